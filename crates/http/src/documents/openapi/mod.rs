//! The OpenAPI 3.1 document: every path, parameter and response status, from the declarations alone.

mod operations;
mod parts;
mod paths;

use std::sync::Arc;

use ports::Model;
use serde_json::{Map, Value, json};

use crate::resource::{Resource, declared};
use crate::server::Server;

/// The document of these systems, for tools that do not run them.
pub fn openapi(models: &[Arc<Model>], version: &str) -> Value {
    let resources: Vec<Resource> = models.iter().flat_map(|model| declared(model, None)).collect();
    document(&resources.iter().collect::<Vec<_>>(), version, true, true)
}

/// The document of what a process serves.
pub(crate) fn of_server(server: &Server) -> Value {
    let resources: Vec<&Resource> = server.resources.iter().map(|served| &***served).collect();
    document(&resources, &server.options.version, server.options.metrics.is_some(), server.options.admin)
}

fn document(resources: &[&Resource], version: &str, metrics: bool, admin: bool) -> Value {
    let mut document_paths = Map::new();
    for resource in resources {
        paths::add(&mut document_paths, resource, resource.route.path(), resource.route.system);
    }
    for resource in resources {
        let namesakes = resources.iter().filter(|other| other.route.name == resource.route.name).count();
        let bare = format!("/{}", resource.route.name);
        if namesakes == 1 {
            paths::add(&mut document_paths, resource, &bare, "");
        } else if !document_paths.contains_key(&bare) {
            document_paths.insert(bare, paths::shared(resource.route.name));
        }
    }
    operations::add(&mut document_paths, metrics, admin);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pabal",
            "version": version,
            "description": "Resources are HAL (`_links`, `_embedded`). Every path exists as `/{system}/{things}` and, where the name is \
                unique among the systems that run, as `/{things}`; links have the form of the request. Empty texts and `null` mean \
                absent, unknown fields are ignored, and a number may be sent as a numeric string.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": parts::tags(resources),
        "paths": document_paths,
        "components": parts::components(resources),
    })
}
