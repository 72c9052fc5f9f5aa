//! The admin API of services that run elsewhere. Each process answers for itself: what names a service or a view goes to its
//! service; lists go to the service that `?service=` names, and to this process where nothing does.

use std::sync::Arc;

use super::declared::{Declared, Goal, Place};

/// Where a path below `/admin/` leads.
pub(crate) fn goal(declared: &Declared, rest: &[&str], query: &str) -> Goal<'static> {
    let system = parameter(query, "system");
    let (candidates, route): (Vec<Place>, &str) = match rest {
        ["services", service, "pause"] => (services(declared, service), "/admin/services/{service}/pause"),
        ["services", service, "resume"] => (services(declared, service), "/admin/services/{service}/resume"),
        ["views", view, "rebuild"] => {
            let of_view = declared.views.iter().filter(|(name, _)| name == view).map(|(_, place)| *place);
            (of_view.collect(), "/admin/views/{view}/rebuild")
        }
        _ => {
            let Some(service) = parameter(query, "service") else { return Goal::Here };
            let route = match rest {
                ["events"] => "/admin/events",
                ["followers"] => "/admin/followers",
                ["dead-letters"] => "/admin/dead-letters",
                ["dead-letters", "redrive"] => "/admin/dead-letters/redrive",
                ["dead-letters", "discard"] => "/admin/dead-letters/discard",
                _ => return Goal::Here,
            };
            (services(declared, service), route)
        }
    };
    let named: Vec<Place> = candidates.into_iter().filter(|place| system.is_none_or(|system| system == place.system)).collect();
    match named.as_slice() {
        [Place { pool: Some(pool), .. }] => Goal::There { pool: *pool, route: Arc::from(route), is_action: true },
        [] | [_] => Goal::Here,
        several if several.iter().all(|place| place.pool.is_none()) => Goal::Here,
        several => Goal::Unclear(several.iter().map(|place| place.system).collect::<Vec<_>>().join(", ")),
    }
}

fn services(declared: &Declared, service: &str) -> Vec<Place> {
    declared.services.iter().filter(|place| place.service == service).copied().collect()
}

/// A parameter as it stands; names of systems and services need no escapes.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}
