# shellcheck shell=bash disable=SC2154  # the variables are those of scripts/infra
# What the encrypted listeners need, in .infra/tls:
#
#   ca.pem                                  the authority that has signed the two certificates
#   server.pem, server.key                  for 127.0.0.1 and localhost; server-with-key.pem is both, as Kafka reads it
#   client.pem, client.key                  the client at Kafka's listener for certificates; client-locked.key needs the password
#   stranger.pem, stranger.key              an authority that has signed nothing here, itself a certificate: for what must fail
#   password                                of the user `pabal`, at Kafka and at PostgreSQL

need_certificates() {
    [ ! -d "$tls" ] || return 0
    [ ! -f "$kafka/data/meta.properties" ] || tell "these data are older than the password: SCRAM fails until scripts/infra down --wipe"
    command -v openssl >/dev/null || install openssl
    rm -rf "$tls.new" && mkdir -m 700 "$tls.new"
    openssl rand -hex 16 >"$tls.new/password"
    { authority ca && authority stranger \
        && certificate server 'subjectAltName=IP:127.0.0.1,DNS:localhost' && certificate client 'extendedKeyUsage=clientAuth' \
        && openssl pkey -aes256 -passout "file:$tls.new/password" -in "$tls.new/client.key" -out "$tls.new/client-locked.key"
    } >"$state/tls.log" 2>&1 || fail "certificates: $(cat "$state/tls.log")"
    (cd "$tls.new" && cat server.key server.pem >server-with-key.pem)
    # Last, so that what was interrupted is not taken for a whole one.
    rm -rf "$tls" && mv "$tls.new" "$tls"
}

# An authority of its own: <name>.pem and <name>.key.
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -days 3650 -subj "/CN=pabal infra $1" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,digitalSignature \
        -keyout "$tls.new/$1.key" -out "$tls.new/$1.pem"
}

# A certificate that the authority has signed, with an extension: <name>.pem and <name>.key.
certificate() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=pabal $1" \
        -keyout "$tls.new/$1.key" -out "$tls.new/$1.csr" \
        && openssl x509 -req -sha256 -days 3650 -in "$tls.new/$1.csr" -CA "$tls.new/ca.pem" -CAkey "$tls.new/ca.key" \
            -CAcreateserial -extfile <(printf '%s\n' basicConstraints=CA:FALSE "$2") -out "$tls.new/$1.pem"
}
