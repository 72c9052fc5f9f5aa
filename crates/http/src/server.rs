//! What a process serves, worked out once at start.

use std::ops::Deref;
use std::sync::Arc;

use driver::Engine;

use crate::options::HttpOptions;
use crate::resource::{Resource, declared};
use crate::routing::{Route, RouteTable, SystemSelection};

/// The engines of a process, with the routes to their resources.
pub(crate) struct Server {
    pub options: HttpOptions,
    pub engines: Vec<Arc<Engine>>,
    /// In the order of the declarations.
    pub resources: Vec<Arc<ServedResource>>,
    pub routes: RouteTable<ServedResource>,
    /// The service, where it is the only one served.
    pub service: Option<String>,
    /// Held while a rebuild is started.
    pub rebuilding: tokio::sync::Mutex<()>,
}

/// A resource or view, with the engine that runs it.
pub(crate) struct ServedResource {
    pub engine: Arc<Engine>,
    resource: Resource,
}

impl Deref for ServedResource {
    type Target = Resource;
    fn deref(&self) -> &Resource {
        &self.resource
    }
}

impl AsRef<Route> for ServedResource {
    fn as_ref(&self) -> &Route {
        &self.resource.route
    }
}

impl Server {
    /// Serves what these systems declare, or one of their services alone.
    pub fn new(engines: Vec<Arc<Engine>>, service: Option<&str>, options: HttpOptions) -> Self {
        let served = engines.iter().flat_map(|engine| {
            let resources = declared(engine.model(), service);
            resources.into_iter().map(|resource| Arc::new(ServedResource { engine: engine.clone(), resource }))
        });
        let resources: Vec<Arc<ServedResource>> = served.collect();
        let selection =
            SystemSelection { default_system: options.default_system.clone(), trust_forwarded: options.trust_forwarded };
        let routes = RouteTable::new(&resources, selection);
        let service = service.map(str::to_owned);
        Self { options, engines, resources, routes, service, rebuilding: tokio::sync::Mutex::default() }
    }
}
