//! What a request turned out to be about, for the log: found by whoever handles it, read by whoever writes the line.

use std::sync::{Arc, OnceLock};

/// Where a request led, in the response's extensions. A log may name the route's template; the path itself it may not.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    route: OnceLock<(Arc<str>, &'static str)>,
    key: OnceLock<String>,
}

impl Trail {
    /// The route's template and the service behind it, empty where it is the machine's own.
    pub(crate) fn leads_to(&self, route: Arc<str>, service: &'static str) {
        // The first word counts; there is no second.
        let _ = self.route.set((route, service));
    }

    /// The business key that the request changes, or tries to.
    pub(crate) fn concerns(&self, key: &str) {
        let _ = self.key.set(key.to_owned());
    }

    /// The route's template.
    pub fn route(&self) -> Option<&Arc<str>> {
        self.route.get().map(|(route, _)| route)
    }

    /// The service behind it.
    pub fn service(&self) -> Option<&'static str> {
        self.route.get().map(|(_, service)| *service)
    }

    /// The correlation key of a change. It may be what somebody is called by: whoever shows it looks at it first.
    pub fn key(&self) -> Option<&str> {
        self.key.get().map(String::as_str)
    }
}
