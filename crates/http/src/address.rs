//! The absolute address under which a client reached us: what links begin with.

use axum::http::header::{FORWARDED, HOST};
use axum::http::{HeaderMap, Uri};

use crate::options::HttpOptions;

/// Scheme, authority and the form of the request's path: links answer in the form they were asked in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    origin: String,
    prefix: &'static str,
}

impl Address {
    /// Of a request; `prefix` is `/system` where the request named the system, else empty.
    pub fn of(uri: &Uri, headers: &HeaderMap, options: &HttpOptions, system: Option<&'static str>) -> Self {
        Self { origin: origin(uri, headers, options), prefix: system.unwrap_or("") }
    }

    /// `http://host/things` or `http://host/system/things`.
    pub fn things(&self, name: &str) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("{}{slash}{}/{name}", self.origin, self.prefix)
    }
}

fn origin(uri: &Uri, headers: &HeaderMap, options: &HttpOptions) -> String {
    let (default_scheme, default_host) = options.public_url.split_once("://").unwrap_or(("http", &options.public_url));
    let host = host(uri, headers, options).unwrap_or(default_host.trim_end_matches('/'));
    let scheme = forwarded_scheme(headers, options).unwrap_or(default_scheme);
    let port = forwarded(headers, options, "x-forwarded-port").filter(|port| !port.is_empty() && is_port(port));
    match port {
        Some(port) if !has_port(host) && !is_default_port(scheme, port) => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    }
}

/// The host that the client used, if it is one: what stands in a link must not carry anything else.
pub(crate) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap, options: &HttpOptions) -> Option<&'a str> {
    let forwarded_host = forwarded_pair(headers, options, "host").or_else(|| forwarded(headers, options, "x-forwarded-host"));
    let named = forwarded_host.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str));
    named.or_else(|| headers.get(HOST)?.to_str().ok()).filter(|host| is_host(host))
}

fn forwarded_scheme<'a>(headers: &'a HeaderMap, options: &HttpOptions) -> Option<&'a str> {
    let scheme = forwarded_pair(headers, options, "proto").or_else(|| forwarded(headers, options, "x-forwarded-proto"));
    scheme.filter(|scheme| matches!(*scheme, "http" | "https"))
}

/// The first of a comma-separated list: the one nearest to the client.
fn forwarded<'a>(headers: &'a HeaderMap, options: &HttpOptions, name: &str) -> Option<&'a str> {
    let value = headers.get(name).filter(|_| options.trust_forwarded)?.to_str().ok()?;
    value.split(',').next().map(str::trim)
}

/// One pair of the first element of `Forwarded` (RFC 7239).
fn forwarded_pair<'a>(headers: &'a HeaderMap, options: &HttpOptions, name: &str) -> Option<&'a str> {
    let first = headers.get(FORWARDED).filter(|_| options.trust_forwarded)?.to_str().ok()?.split(',').next()?;
    let pairs = first.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_matches('"')).next()
}

fn is_host(host: &str) -> bool {
    (1..=255).contains(&host.len()) && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| is_port(port) && !port.is_empty())
}

fn is_port(port: &str) -> bool {
    port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_default_port(scheme: &str, port: &str) -> bool {
    matches!((scheme, port), ("http", "80") | ("https", "443"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(uri: &str, pairs: &[(&'static str, &str)], trust: bool, system: Option<&'static str>) -> String {
        let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let options = HttpOptions { trust_forwarded: trust, ..HttpOptions::default() };
        Address::of(&uri.parse().unwrap(), &headers, &options, system).things("things")
    }

    #[test]
    fn links_follow_the_host_and_the_form_of_the_request() {
        assert_eq!(address("/things", &[("host", "shop:8088")], false, None), "http://shop:8088/things");
        assert_eq!(address("/a/things", &[("host", "shop:8088")], false, Some("a")), "http://shop:8088/a/things");
        assert_eq!(address("http://abs:1/things", &[("host", "shop")], false, None), "http://abs:1/things");
    }

    #[test]
    fn forwarded_headers_count_only_where_they_are_trusted() {
        let pairs =
            [("host", "inner"), ("x-forwarded-host", "outer"), ("x-forwarded-proto", "https"), ("x-forwarded-port", "8443")];
        assert_eq!(address("/things", &pairs, false, None), "http://inner/things");
        assert_eq!(address("/things", &pairs, true, None), "https://outer:8443/things");
        let pairs = [("host", "inner"), ("forwarded", "for=1.2.3.4;proto=https;host=\"outer\", for=5.6.7.8")];
        assert_eq!(address("/things", &pairs, true, None), "https://outer/things");
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        assert_eq!(address("/things", &[("host", "a\"><b")], false, None), "http://localhost:8088/things");
    }
}
