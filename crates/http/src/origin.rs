//! The scheme and host of a request as its client sees them: links begin with them, and a gateway forwards them.

use axum::http::header::{FORWARDED, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};

/// Scheme, host and, where a proxy named it apart, port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The host, with its port where the client sent one.
    pub host: &'a str,
    /// The port, where only `X-Forwarded-Port` names it.
    pub port: Option<&'a str>,
}

impl<'a> Origin<'a> {
    /// Of a request. What it does not say comes from `public_url`; headers of proxies count only where they are trusted.
    pub fn new(uri: &'a Uri, headers: &'a HeaderMap, public_url: &'a str, trust_forwarded: bool) -> Self {
        let (default_scheme, default_host) = public_url.split_once("://").unwrap_or(("http", public_url));
        let trusted = headers_of(headers, trust_forwarded);
        let host = host_of(uri, headers, trust_forwarded).unwrap_or(default_host.trim_end_matches('/'));
        let scheme = trusted.pair("proto").or_else(|| trusted.first("x-forwarded-proto"));
        let scheme = scheme.filter(|scheme| matches!(*scheme, "http" | "https")).unwrap_or(default_scheme);
        let port = trusted.first("x-forwarded-port").filter(|port| is_port(port));
        Self { scheme, host, port }
    }

    /// `scheme://host[:port]`.
    pub fn url(&self) -> String {
        let (scheme, host) = (self.scheme, self.host);
        match self.port {
            Some(port) if !has_port(host) && !is_default_port(scheme, port) => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        }
    }
}

/// The host that the client used, if it has the form of one: it is written into links.
pub fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap, trust_forwarded: bool) -> Option<&'a str> {
    let trusted = headers_of(headers, trust_forwarded);
    let forwarded = trusted.pair("host").or_else(|| trusted.first("x-forwarded-host"));
    let named = forwarded.or_else(|| uri.authority().map(Authority::as_str));
    named.or_else(|| headers.get(HOST)?.to_str().ok()).filter(|host| is_host(host))
}

/// The headers of proxies, where they are trusted.
struct Trusted<'a>(Option<&'a HeaderMap>);

fn headers_of(headers: &HeaderMap, trust: bool) -> Trusted<'_> {
    Trusted(trust.then_some(headers))
}

impl<'a> Trusted<'a> {
    /// The first element of a comma-separated list: the one nearest to the client.
    fn first(&self, name: &str) -> Option<&'a str> {
        self.0?.get(name)?.to_str().ok()?.split(',').next().map(str::trim)
    }

    /// One pair of the first element of `Forwarded` (RFC 7239).
    fn pair(&self, name: &str) -> Option<&'a str> {
        let first = self.first(FORWARDED.as_str())?;
        let mut pairs = first.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_matches('"'))
    }
}

fn is_host(host: &str) -> bool {
    (1..=255).contains(&host.len()) && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| is_port(port))
}

fn is_port(port: &str) -> bool {
    (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_default_port(scheme: &str, port: &str) -> bool {
    matches!((scheme, port), ("http", "80") | ("https", "443"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(uri: &str, pairs: &[(&'static str, &str)], trust_forwarded: bool) -> String {
        let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Origin::new(&uri.parse().unwrap(), &headers, "http://localhost:8088", trust_forwarded).url()
    }

    #[test]
    fn the_host_is_the_clients_and_headers_of_proxies_count_only_where_they_are_trusted() {
        assert_eq!(url("/a", &[("host", "shop:1")], false), "http://shop:1");
        assert_eq!(url("http://other/a", &[("host", "shop:1")], false), "http://other");
        assert_eq!(url("/a", &[("host", "evil\"; x=")], false), "http://localhost:8088");
        let proxied =
            [("host", "inner"), ("x-forwarded-host", "shop"), ("x-forwarded-proto", "https"), ("x-forwarded-port", "444")];
        assert_eq!(url("/a", &proxied, false), "http://inner");
        assert_eq!(url("/a", &proxied, true), "https://shop:444");
        assert_eq!(url("/a", &[("forwarded", "for=1.1.1.1;Host=\"shop\";proto=https, for=2.2.2.2")], true), "https://shop");
    }
}
