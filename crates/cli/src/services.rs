//! Services by name: `<system>/<service>` on the command line, `<system>.<service>` as a consumer group.

use kernel::System;

use crate::failed::Failed;

/// One service as a system of its own.
pub fn find(systems: &[System], name: &str) -> Result<System, Failed> {
    let found = name
        .split_once('/')
        .and_then(|(system, service)| systems.iter().find(|other| other.name == system).and_then(|system| system.only(service)));
    found.ok_or_else(|| {
        let all = systems
            .iter()
            .flat_map(|system| system.services.iter().map(move |service| format!("{}/{}", system.name, service.name)));
        let all: Vec<String> = all.collect();
        Failed::config(format!("there is no service `{name}`; there is {}, and `gateway`", all.join(", ")))
    })
}

/// The consumer group of a system with one service.
pub fn group_name(system: &System) -> String {
    let service = system.services.first().map_or("", |service| service.name);
    format!("{}.{service}", system.name)
}
