//! What an access log says about a request: written while the request is handled, read from the response.

use std::sync::{Arc, OnceLock};

/// The route and the key of a request, in the response's extensions. A log may show the route's template, but not the path.
#[derive(Debug, Clone, Default)]
pub struct RequestLog {
    route: OnceLock<(Arc<str>, &'static str)>,
    key: OnceLock<String>,
}

impl RequestLog {
    /// Records the route's template and the service behind it, empty for the platform's own routes. Only the first call counts.
    pub fn record_route(&self, template: Arc<str>, service: &'static str) {
        let _ = self.route.set((template, service));
    }

    /// Records the correlation key of the aggregate that the request changes, or tries to. Only the first call counts.
    pub(crate) fn record_key(&self, key: &str) {
        let _ = self.key.set(key.to_owned());
    }

    /// The route's template.
    pub fn route(&self) -> Option<&Arc<str>> {
        self.route.get().map(|(template, _)| template)
    }

    /// The service behind it.
    pub fn service(&self) -> Option<&'static str> {
        self.route.get().map(|(_, service)| *service)
    }

    /// The correlation key of a change. It may be personal data: mask it before it is written anywhere.
    pub fn key(&self) -> Option<&str> {
        self.key.get().map(String::as_str)
    }
}
