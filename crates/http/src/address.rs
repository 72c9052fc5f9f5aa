//! The absolute address that links begin with.

use axum::http::{HeaderMap, Uri};

use crate::options::HttpOptions;
use crate::origin::Origin;

/// Scheme, authority and the form of the request's path: links have the form of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    origin: String,
    prefix: &'static str,
}

impl Address {
    /// Of a request; `system` is given where its path begins with the system.
    pub fn new(uri: &Uri, headers: &HeaderMap, options: &HttpOptions, system: Option<&'static str>) -> Self {
        let origin = Origin::new(uri, headers, &options.public_url, options.trust_forwarded);
        Self { origin: origin.url(), prefix: system.unwrap_or("") }
    }

    /// `http://host/things` or `http://host/system/things`.
    pub fn collection(&self, name: &str) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("{}{slash}{}/{name}", self.origin, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(uri: &str, pairs: &[(&'static str, &str)], system: Option<&'static str>) -> String {
        let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let options = HttpOptions::default();
        Address::new(&uri.parse().unwrap(), &headers, &options, system).collection("things")
    }

    #[test]
    fn links_follow_the_host_and_the_form_of_the_request() {
        assert_eq!(address("/things", &[("host", "shop:8088")], None), "http://shop:8088/things");
        assert_eq!(address("/a/things", &[("host", "shop:8088")], Some("a")), "http://shop:8088/a/things");
        assert_eq!(address("http://abs:1/things", &[("host", "shop")], None), "http://abs:1/things");
    }
}
