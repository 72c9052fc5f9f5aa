//! The OpenAPI 3.1 document: every path, parameter and status that can be answered, from the declarations alone.

mod operations;
mod parts;
mod paths;

use std::sync::Arc;

use ports::Model;
use serde_json::{Map, Value, json};

use crate::site::Site;
use crate::thing::{Thing, things_of};

/// The document of these systems, also for tools that run none of them.
pub fn openapi(models: &[Arc<Model>], version: &str) -> Value {
    let things: Vec<Thing> = models.iter().flat_map(|model| things_of(model, None)).collect();
    document(&things.iter().collect::<Vec<_>>(), version, true, true)
}

/// The document of what a site serves.
pub(crate) fn of(site: &Site) -> Value {
    let things: Vec<&Thing> = site.things.iter().map(|served| &***served).collect();
    document(&things, &site.options.version, site.options.metrics.is_some(), site.options.admin)
}

fn document(things: &[&Thing], version: &str, metrics: bool, admin: bool) -> Value {
    let mut document_paths = Map::new();
    for thing in things {
        paths::add(&mut document_paths, thing, &thing.path, thing.system);
    }
    for thing in things {
        let namesakes = things.iter().filter(|other| other.name == thing.name).count();
        let bare = format!("/{}", thing.name);
        if namesakes == 1 {
            paths::add(&mut document_paths, thing, &bare, "");
        } else if !document_paths.contains_key(&bare) {
            document_paths.insert(bare, paths::shared(thing.name));
        }
    }
    operations::add(&mut document_paths, metrics, admin);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pabal",
            "version": version,
            "description": "Resources are HAL (`_links`, `_embedded`). Every path exists as `/{system}/{things}` and, where the name is \
                unique among the systems that run, as `/{things}`; links answer in the form that was asked. Empty texts and `null` mean \
                absent, unknown fields are ignored, and a number may come as a numeric string.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": parts::tags(things),
        "paths": document_paths,
        "components": parts::components(things),
    })
}
