# shellcheck shell=bash disable=SC2154  # the variables are those of scripts/infra
# Apache Kafka: one broker that is its own controller.

need_kafka() {
    command -v java >/dev/null || install default-jre-headless
    cmp -s infra/kafka/pom.xml "$kafka/lib/pom.xml" && return
    command -v mvn >/dev/null || install maven
    tell "fetching Kafka"
    rm -rf "$kafka/lib.new"
    mvn --batch-mode --quiet --file infra/kafka/pom.xml dependency:copy-dependencies "-DoutputDirectory=$kafka/lib.new" >&2
    # Last, so that a copy that was interrupted is not taken for a whole one.
    cp infra/kafka/pom.xml "$kafka/lib.new/"
    rm -rf "${kafka:?}/lib" && mv "$kafka/lib.new" "$kafka/lib"
}

# Asks for the brokers that are known to be alive (Metadata, version 0) and sees one: no Java process needed for it.
kafka_answers() {
    local answer
    answer=$( {
        exec 3<>"/dev/tcp/127.0.0.1/$kafka_port"
        printf '\0\0\0\016\0\003\0\0\0\0\0\001\377\377\0\0\0\0' >&3
        timeout 3 head -c 12 <&3 | od -An -v -tu1
    } 2>/dev/null) && [[ $answer =~ 0\ +0\ +0\ +1\ +0\ +0\ +0\ +1$ ]]
}

choose_kafka() {
    kafka_port=$(port_for 20000 "$kafka_port")
    sasl_port=$(port_for 29000 "$sasl_port")
    mutual_port=$(port_for 29000 "$mutual_port")
    while [ "$mutual_port" = "$sasl_port" ]; do mutual_port=$(free_port 29000); done
}

start_kafka() {
    local controller password listeners_at module=org.apache.kafka.common.security
    controller=$(free_port 23000)
    password=$(cat "$tls/password")
    listeners_at="PLAINTEXT://127.0.0.1:$kafka_port,SASL_SSL://127.0.0.1:$sasl_port,SSL://127.0.0.1:$mutual_port"
    mkdir -p "$kafka/data"
    # There is a password in it.
    rm -f "$kafka/server.properties"
    (umask 077 && : >"$kafka/server.properties")
    cat infra/kafka/server.properties - >"$kafka/server.properties" <<-END
	log.dirs=$kafka/data
	listeners=$listeners_at,CONTROLLER://127.0.0.1:$controller
	advertised.listeners=$listeners_at
	controller.quorum.voters=1@127.0.0.1:$controller

	ssl.keystore.location=$tls/server-with-key.pem
	ssl.truststore.location=$tls/ca.pem
	listener.name.sasl_ssl.plain.sasl.jaas.config=$module.plain.PlainLoginModule required user_pabal="$password";
	listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=$module.scram.ScramLoginModule required;
	listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=$module.scram.ScramLoginModule required;
	END
    if [ ! -f "$kafka/data/meta.properties" ]; then
        # Who comes in by SCRAM stands in the cluster's own records, from the first on.
        java -cp "$kafka/lib/*" kafka.tools.StorageTool format --ignore-formatted --cluster-id cGFiYWwtaW5mcmEtMDAwMQ \
            --add-scram "SCRAM-SHA-256=[name=pabal,password=$password]" \
            --add-scram "SCRAM-SHA-512=[name=pabal,password=$password]" \
            --config "$kafka/server.properties" >"$kafka/format.log" 2>&1 || fail "Kafka's storage: $(cat "$kafka/format.log")"
    fi
    # A session of its own and no descriptor of ours: it outlives `make`, and no pipe or lock waits for it.
    setsid java -Xms256m -Xmx512m -XX:+ExitOnOutOfMemoryError -Dorg.slf4j.simpleLogger.showDateTime=true \
        -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS -cp "$kafka/lib/*" kafka.Kafka "$kafka/server.properties" \
        >>"$kafka/log" 2>&1 </dev/null 9>&- &
    echo $! >"$kafka/pid"
}

kafka_up_or_gone() { kafka_answers || gone kafka; }

await_kafka() {
    within 90 kafka_up_or_gone || true
    kafka_answers || fail "Kafka does not answer: $(tail -20 "$kafka/log")"
}
