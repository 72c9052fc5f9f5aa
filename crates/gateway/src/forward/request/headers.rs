//! Headers between client and service: those of one connection are removed, those of proxies are set by the gateway alone.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{CONNECTION, EXPECT, FORWARDED, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use http_api::{Origin, RequestContext};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const USER: HeaderName = HeaderName::from_static("x-pabal-user");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Headers of one connection: RFC 9110, 7.6.1, and older conventions.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("proxy-authorization"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The actor of unauthenticated requests, which is not forwarded.
const ANONYMOUS: &str = "anonymous";

/// The origin of a request as it is forwarded; owned, because the headers that it comes from change.
pub(super) struct ForwardedOrigin {
    host: String,
    proto: String,
    port: Option<String>,
}

impl From<Origin<'_>> for ForwardedOrigin {
    fn from(origin: Origin<'_>) -> Self {
        Self { host: origin.host.to_owned(), proto: origin.scheme.to_owned(), port: origin.port.map(str::to_owned) }
    }
}

/// Turns a client's headers into those that a service gets.
pub(super) fn prepare_request(
    headers: &mut HeaderMap,
    origin: &ForwardedOrigin,
    peer: Option<SocketAddr>,
    trust: bool,
    context: &RequestContext,
) {
    remove_hop_by_hop(headers);
    headers.remove(HOST);
    // The client's `Expect` is answered by reading its body; the gateway decides about its own.
    headers.remove(EXPECT);
    if !trust {
        remove_forwarded(headers);
    }
    let peer = peer.map(|peer| peer.ip().to_canonical());
    append(headers, &FORWARDED_FOR, peer.map(|peer| peer.to_string()));
    append(headers, &FORWARDED, Some(element(origin, peer)));
    put(headers, FORWARDED_HOST, &origin.host);
    put(headers, FORWARDED_PROTO, &origin.proto);
    match &origin.port {
        Some(port) => put(headers, FORWARDED_PORT, port),
        None => _ = headers.remove(FORWARDED_PORT),
    }
    put(headers, REQUEST_ID, &context.request_id);
    put(headers, TRACEPARENT, &context.traceparent);
    headers.remove(USER);
    if context.actor != ANONYMOUS {
        put(headers, USER, &context.actor);
    }
}

/// Turns a service's headers into those that a client gets. CORS is the gateway's alone.
pub(super) fn prepare_response(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    remove_where(headers, |name| name.starts_with("access-control-"));
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn remove_forwarded(headers: &mut HeaderMap) {
    remove_where(headers, |name| name.starts_with("x-forwarded-"));
    headers.remove(FORWARDED);
    headers.remove(REAL_IP);
}

fn remove_where(headers: &mut HeaderMap, matches: impl Fn(&str) -> bool) {
    let removed: Vec<HeaderName> = headers.keys().filter(|name| matches(name.as_str())).cloned().collect();
    for name in removed {
        headers.remove(name);
    }
}

/// `for=1.2.3.4;host="shop:1";proto=http`.
fn element(origin: &ForwardedOrigin, peer: Option<IpAddr>) -> String {
    let client = match peer {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => format!("\"[{address}]\""),
        None => "unknown".to_owned(),
    };
    format!("for={client};host=\"{}\";proto={}", origin.host, origin.proto)
}

/// Appends an element to a list, and joins the list into one field.
fn append(headers: &mut HeaderMap, name: &HeaderName, element: Option<String>) {
    let Some(element) = element else { return };
    let said = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let list: Vec<&str> = said.chain([element.as_str()]).collect();
    let list = list.join(", ");
    put(headers, name.clone(), &list);
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // A value that no header can carry is left out.
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(pairs: &[(&'static str, &str)], trust: bool) -> HeaderMap {
        let mut headers: HeaderMap =
            pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect();
        let origin = ForwardedOrigin { host: "shop:1".into(), proto: "http".into(), port: None };
        let context = RequestContext { request_id: "r-1".into(), traceparent: "t".into(), actor: "kim".into() };
        prepare_request(&mut headers, &origin, Some("[::1]:5".parse().unwrap()), trust, &context);
        headers
    }

    #[test]
    fn headers_of_one_connection_are_not_forwarded() {
        let headers = sent(
            &[("connection", "close, X-Mine"), ("x-mine", "1"), ("te", "trailers"), ("upgrade", "x"), ("accept", "a/b")],
            false,
        );
        assert!(["connection", "x-mine", "te", "upgrade"].iter().all(|name| !headers.contains_key(*name)));
        assert_eq!(headers["accept"], "a/b");
    }

    #[test]
    fn a_client_can_neither_remove_nor_forge_headers_of_the_gateway() {
        let lies = [("connection", "x-forwarded-host"), ("x-forwarded-for", "6.6.6.6"), ("x-forwarded-prefix", "/evil")];
        let headers = sent(&lies, false);
        assert_eq!(["x-forwarded-host", "x-forwarded-for"].map(|name| &headers[name]), ["shop:1", "::1"]);
        assert_eq!(headers["forwarded"], "for=\"[::1]\";host=\"shop:1\";proto=http");
        assert!(!headers.contains_key("x-forwarded-prefix"));
        assert_eq!(["x-request-id", "traceparent", "x-pabal-user"].map(|name| &headers[name]), ["r-1", "t", "kim"]);
    }

    #[test]
    fn the_list_of_a_trusted_proxy_is_continued() {
        let headers = sent(&[("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=1.1.1.1;proto=https")], true);
        assert_eq!(headers["x-forwarded-for"], "1.1.1.1, ::1");
        assert!(headers["forwarded"].to_str().unwrap().starts_with("for=1.1.1.1;proto=https, for="));
    }
}
