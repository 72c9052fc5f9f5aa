//! A request for a resource, as its handlers take it.

use std::sync::Arc;

use axum::http::{HeaderMap, Uri};

use crate::address::Address;
use crate::context::RequestContext;
use crate::request_log::RequestLog;
use crate::server::{ServedResource, Server};

/// A request whose resource is found.
pub(crate) struct Call<'a> {
    pub server: &'a Server,
    pub resource: &'a Arc<ServedResource>,
    /// The system, where the path begins with it.
    pub system: Option<&'static str>,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    pub context: &'a RequestContext,
    pub log: &'a RequestLog,
}

impl Call<'_> {
    /// What links of the response begin with.
    pub fn address(&self) -> Address {
        Address::new(self.uri, self.headers, &self.server.options, self.system)
    }
}
