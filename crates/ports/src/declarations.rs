//! What systems declare, checked before anything starts: what would start silently and be wrong afterwards is refused by name.
//!
//! What one system says is checked by [`crate::Model::new`], what several of them say about each other by
//! [`check_installation`], and which ports have an adapter by [`check_effects`], once the adapters are known.

use std::collections::{BTreeMap, BTreeSet};

use kernel::erased::AnyAggregate;
use kernel::field::{Ask, FieldInfo};
use kernel::schema::Variant;
use kernel::service::{AggregateDef, Service, System};
use kernel::settings::SettingsType;

/// A fault of a declaration, found when a system is started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct DeclarationError {
    /// The system, or the service as `system/service`.
    pub place: String,
    /// What is wrong, with the name of the declaration.
    pub fault: String,
}

type Checked = Result<(), DeclarationError>;

fn fault(place: impl Into<String>, fault: String) -> Checked {
    Err(DeclarationError { place: place.into(), fault })
}

fn at(system: &System, service: &Service) -> String {
    format!("{}/{}", system.name, service.name)
}

/// Checks one system by itself.
pub fn check_system(system: &System) -> Checked {
    if system.services.is_empty() {
        return fault(system.name, "a system needs at least one service".into());
    }
    check_names(system)?;
    check_services(system)?;
    check_resources(system)?;
    check_published(system)?;
    check_settings(system)?;
    for service in &system.services {
        check_tables(system, service)?;
        check_fields(system, service)?;
        check_targets(system, service)?;
        if follows_own_topic(system, service) {
            check_events(system, service, system)?;
            check_repetition(system, service)?;
        }
    }
    Ok(())
}

/// Checks systems that run in one installation: all of the binary, whether they are started or not.
pub fn check_installation(systems: &[System]) -> Checked {
    for system in systems {
        check_system(system)?;
    }
    if let Some(name) = twice(systems.iter().map(|system| system.name)) {
        return fault(name, "two systems have this name".into());
    }
    if let Some(topic) = twice(systems.iter().map(|system| system.topic)) {
        let names: Vec<_> = systems.iter().filter(|system| system.topic == topic).map(|system| system.name).collect();
        return fault(names.join(" and "), format!("both publish to the topic `{topic}`"));
    }
    for system in systems {
        for service in &system.services {
            let Some(topic) = service.follows.filter(|_| !follows_own_topic(system, service)) else { continue };
            let Some(publisher) = systems.iter().find(|other| other.topic == topic) else {
                let known: Vec<_> = systems.iter().map(|other| other.topic).collect();
                let known = known.join(", ");
                return fault(
                    at(system, service),
                    format!("follows the topic `{topic}`, which no system publishes; there is {known}"),
                );
            };
            check_events(system, service, publisher)?;
        }
    }
    Ok(())
}

/// Checks that every port has an effect handler of the system or an adapter of the binary.
pub fn check_effects(system: &System, has_adapter: impl Fn(&str) -> bool) -> Checked {
    let handled: BTreeSet<_> = system.services.iter().flat_map(|service| &service.effect_handlers).map(|def| def.port).collect();
    for service in &system.services {
        for def in &service.aggregates {
            let (name, port) = (def.of.name(), def.of.port());
            if !port.is_empty() && !handled.contains(port) && !has_adapter(port) {
                let fault =
                    format!("effects of `{name}` go through the port `{port}`, which has neither a handler nor an adapter");
                return self::fault(at(system, service), fault);
            }
        }
    }
    Ok(())
}

/// Names become paths, tables, topics and metrics.
fn check_names(system: &System) -> Checked {
    named(system.name, "system", system.name, "")?;
    named(system.name, "topic", system.topic, ".")?;
    for service in &system.services {
        let place = at(system, service);
        named(&place, "service", service.name, "")?;
        if let Some(topic) = service.follows {
            named(&place, "topic", topic, ".")?;
        }
        for def in &service.aggregates {
            named(&place, "aggregate", def.of.name(), "")?;
        }
        for view in &service.views {
            named(&place, "view", view.name, "")?;
        }
        for resource in &service.resources {
            named(&place, "resource", resource.name, "")?;
            for action in &resource.actions {
                named(&place, "action", action.name, "")?;
            }
        }
        for field in declared_fields(service).flat_map(|(_, fields, _)| fields) {
            named(&place, "field", field.name, "")?;
        }
    }
    Ok(())
}

fn named(place: &str, what: &str, name: &str, beside: &str) -> Checked {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter) || beside.contains(letter);
    if name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.chars().all(allowed) {
        return Ok(());
    }
    fault(
        place,
        format!("the {what} `{name}` may have letters, digits, `-` and `_` in its name, and begins with a letter or digit"),
    )
}

fn check_services(system: &System) -> Checked {
    if let Some(name) = twice(system.services.iter().map(|service| service.name)) {
        return fault(system.name, format!("two services are called `{name}`"));
    }
    let handlers = system.services.iter().flat_map(|service| &service.effect_handlers).map(|def| def.port);
    if let Some(port) = twice(handlers) {
        return fault(system.name, format!("the port `{port}` has two effect handlers"));
    }
    Ok(())
}

/// Resources and views are found under their names at one address.
fn check_resources(system: &System) -> Checked {
    let shown = system.services.iter().flat_map(|service| {
        let views = service.views.iter().map(|view| view.name);
        service.resources.iter().map(|resource| resource.name).chain(views)
    });
    if let Some(name) = twice(shown) {
        return fault(system.name, format!("two resources or views are called `{name}`"));
    }
    for service in &system.services {
        for (place, resource) in service.resources.iter().enumerate() {
            let other = service.resources[..place].iter().find(|other| other.aggregate == resource.aggregate);
            if let Some(other) = other {
                let fault = format!("the resources `{}` and `{}` show one aggregate; it can have one", other.name, resource.name);
                return self::fault(at(system, service), fault);
            }
        }
    }
    Ok(())
}

/// One name on the topic means one thing.
fn check_published(system: &System) -> Checked {
    let mut known: BTreeMap<String, (&'static str, Variant)> = BTreeMap::new();
    for service in &system.services {
        for def in &service.aggregates {
            for event in def.of.events().into_iter().filter(|event| !event.private) {
                match known.get(&event.name) {
                    Some((other, declared)) if declared.schema != event.schema => {
                        let (name, event) = (def.of.name(), event.name);
                        let fault = format!("`{other}` and `{name}` publish `{event}` with different fields");
                        return self::fault(at(system, service), fault);
                    }
                    Some(_) => {}
                    None => drop(known.insert(event.name.clone(), (def.of.name(), event))),
                }
            }
        }
    }
    Ok(())
}

fn check_settings(system: &System) -> Checked {
    let declared = system.settings_def.as_ref().map(|def| def.of);
    let wrong = |read: &SettingsType| !read.is_none() && Some(*read) != declared;
    for service in &system.services {
        let aggregates = service.aggregates.iter().map(|def| (def.of.name(), "aggregate", def.of.settings()));
        let handlers = service.effect_handlers.iter().map(|def| (def.port, "effect handler", def.of));
        if let Some((name, what, read)) = aggregates.chain(handlers).find(|(_, _, read)| wrong(read)) {
            let declared = declared.map_or("none", |declared| declared.name);
            let fault = format!("the {what} `{name}` reads the settings `{}`; the system declares {declared}", read.name);
            return self::fault(at(system, service), fault);
        }
    }
    Ok(())
}

fn check_tables(system: &System, service: &Service) -> Checked {
    let aggregates = service.aggregates.iter().map(|def| def.of.name());
    let names: Vec<_> = aggregates.chain(service.views.iter().map(|view| view.name)).collect();
    let rebuilt = service.views.iter().map(|view| sql_name(service.name, view.name, REBUILD));
    if let Some(table) = twice(names.iter().map(|name| sql_name(service.name, name, "")).chain(rebuilt)) {
        let of: Vec<_> =
            names.iter().filter(|name| sql_name(service.name, name, "") == table).map(|name| format!("`{name}`")).collect();
        return fault(at(system, service), format!("{} would share the table `{table}`", of.join(" and ")));
    }
    let elsewhere = system.services.iter().filter(|other| other.name != service.name).flat_map(|other| &other.aggregates);
    let types: Vec<_> = elsewhere.map(type_of).collect();
    match service.aggregates.iter().find(|def| types.contains(&type_of(def))) {
        Some(def) => fault(at(system, service), format!("the aggregate `{}` belongs to another service, too", def.of.name())),
        None => Ok(()),
    }
}

fn type_of(def: &AggregateDef) -> std::any::TypeId {
    AnyAggregate::type_id(def.of.as_ref())
}

type Fields<'a> = (&'static str, &'a [FieldInfo], &'a [[&'static str; 2]]);

/// Resources and views with their fields and their totals.
fn declared_fields(service: &Service) -> impl Iterator<Item = Fields<'_>> {
    let resources = service.resources.iter().map(|def| (def.name, &def.fields[..], &def.crossed[..]));
    resources.chain(service.views.iter().map(|def| (def.name, &def.fields[..], &def.crossed[..])))
}

fn check_fields(system: &System, service: &Service) -> Checked {
    for (name, fields, totals) in declared_fields(service) {
        if let Some(field) = twice(fields.iter().map(|field| field.name)) {
            return fault(at(system, service), format!("`{name}` declares the field `{field}` twice"));
        }
        let counted = |name: &str| fields.iter().any(|field| field.name == name && field.ask == Ask::Counted);
        if let Some(field) = totals.iter().flatten().find(|field| !counted(field)) {
            return fault(at(system, service), format!("totals of `{name}`: `{field}` is not a counted field of it"));
        }
    }
    Ok(())
}

fn check_targets(system: &System, service: &Service) -> Checked {
    match service.policies.iter().find(|policy| service.aggregate_of(policy.target_type).is_none()) {
        Some(policy) => {
            let (name, target) = (policy.name, policy.target);
            fault(at(system, service), format!("policy `{name}` asks `{target}`, which is not an aggregate of this service"))
        }
        None => Ok(()),
    }
}

/// Policies and views wait for events that the publisher of their topic publishes.
fn check_events(system: &System, service: &Service, publisher: &System) -> Checked {
    let policies = service.policies.iter().map(|policy| ("policy", policy.name, &policy.event_type));
    let views = service.views.iter().flat_map(|view| view.events.iter().map(|event| ("view", view.name, event)));
    let events: Vec<_> =
        publisher.services.iter().flat_map(|other| other.aggregates.iter().flat_map(|def| def.of.events())).collect();
    for (what, name, event) in policies.chain(views) {
        if publisher.elsewhere.contains(event) || events.iter().any(|known| known.name == *event && !known.private) {
            continue;
        }
        let why = if events.iter().any(|known| known.name == *event) {
            "is private to its service".to_owned()
        } else {
            format!("no service of `{}` publishes", publisher.name)
        };
        return fault(at(system, service), format!("{what} `{name}` waits for `{event}`, which {why}"));
    }
    Ok(())
}

/// A policy whose target may publish the very event that it waits for sets itself off. Longer ways round are how sagas work;
/// whether they end is decided by states, which no declaration shows.
fn check_repetition(system: &System, service: &Service) -> Checked {
    for policy in service.policies.iter().filter(|policy| !policy.repeats) {
        let Some(target) = service.aggregate_of(policy.target_type) else { continue };
        if target.of.events().iter().any(|event| !event.private && event.name == policy.event_type) {
            let (name, target, event) = (policy.name, policy.target, &policy.event_type);
            let fault = format!(
                "policy `{name}` asks `{target}`, which may publish `{event}` and set it off again; if that is meant, say `.repeats()`"
            );
            return self::fault(at(system, service), fault);
        }
    }
    Ok(())
}

fn follows_own_topic(system: &System, service: &Service) -> bool {
    service.follows.is_none_or(|topic| topic == system.topic)
}

/// The first that comes a second time.
fn twice<T: Ord + Clone>(names: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(name.clone()))
}

/// The suffix of the table in which a view is rebuilt.
pub(crate) const REBUILD: &str = "__rebuild";

/// The name of a table in the store.
pub(crate) fn sql_name(service: &str, name: &str, suffix: &str) -> String {
    format!("{}__{}{suffix}", snake(service), snake(name))
}

/// `myMessages` → `my_messages`, `management-center` → `management_center`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
            out.push(letter.to_ascii_lowercase());
        } else if letter.is_ascii_alphanumeric() {
            out.push(letter);
        } else {
            out.push('_');
        }
    }
    out
}
