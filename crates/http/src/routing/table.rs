//! The table of routes: every declared resource and view by its name, with and without its system.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::{HeaderMap, Uri};

use super::path::{PathForm, Templates};
use crate::origin::host_of;

/// A declared resource or view.
#[derive(Debug, Clone)]
pub struct Route {
    /// The system that declares it.
    pub system: &'static str,
    /// The service that owns it.
    pub service: &'static str,
    /// Its name, the first segment of its paths.
    pub name: &'static str,
    /// Its path templates.
    pub templates: Templates,
}

impl Route {
    /// The route of what a service declares under this name.
    pub fn new(system: &'static str, service: &'static str, name: &'static str) -> Self {
        Self { system, service, name, templates: Templates::new(system, name) }
    }

    /// The canonical path, `/system/things`, whichever form a request uses.
    pub fn path(&self) -> &str {
        self.templates.of(PathForm::Collection)
    }
}

/// Which system a name means that several systems declare, where neither the header nor the host name says it.
#[derive(Debug, Clone, Default)]
pub struct SystemSelection {
    /// The system of the installation's settings.
    pub default_system: Option<String>,
    /// Whether `Forwarded` and `X-Forwarded-Host` are believed.
    pub trust_forwarded: bool,
}

/// Every route, each with its target.
pub struct RouteTable<T> {
    selection: SystemSelection,
    by_system: HashMap<&'static str, HashMap<&'static str, Arc<T>>>,
    by_name: HashMap<&'static str, Vec<Arc<T>>>,
}

/// What a path leads to.
pub enum Match<'t, 'p, T> {
    /// One resource or view; `system` is given where the path names it.
    One {
        /// The target of its route.
        target: &'t Arc<T>,
        /// The path below its name.
        form: PathForm<'p>,
        /// The system, if the path begins with it.
        system: Option<&'static str>,
    },
    /// Several systems declare the name, and nothing selects one of them.
    Ambiguous(&'t [Arc<T>]),
    /// No declared resource or view.
    None,
}

impl<T: AsRef<Route>> RouteTable<T> {
    /// A table of these targets, in the order of the declarations.
    pub fn new(targets: &[Arc<T>], selection: SystemSelection) -> Self {
        let mut by_system: HashMap<_, HashMap<_, _>> = HashMap::new();
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for target in targets {
            let route = (**target).as_ref();
            by_system.entry(route.system).or_default().insert(route.name, target.clone());
            by_name.entry(route.name).or_default().push(target.clone());
        }
        Self { selection, by_system, by_name }
    }

    /// What a request's path leads to. Allocates nothing.
    pub fn find<'p>(&self, uri: &'p Uri, headers: &HeaderMap) -> Match<'_, 'p, T> {
        // More segments than any route has, so that a long path costs no more than a short one.
        let mut segments = [""; 5];
        let mut count = 0;
        for segment in uri.path().trim_matches('/').split('/') {
            let Some(free) = segments.get_mut(count) else { return Match::None };
            *free = segment;
            count += 1;
        }
        let segments = &segments[..count];
        if let [system, name, below @ ..] = segments
            && let Some((system, targets)) = self.by_system.get_key_value(*system)
            && let Some(target) = targets.get(*name)
        {
            return Match::One { target, form: PathForm::of_segments(below), system: Some(system) };
        }
        let Some((candidates, below)) = segments.split_first().and_then(|(name, below)| Some((self.by_name.get(*name)?, below)))
        else {
            return Match::None;
        };
        match self.select(candidates, uri, headers) {
            Some(target) => Match::One { target, form: PathForm::of_segments(below), system: None },
            None => Match::Ambiguous(candidates),
        }
    }

    /// The only candidate, or the one whose system is named by the header, the host, or the settings.
    fn select<'t>(&self, candidates: &'t [Arc<T>], uri: &Uri, headers: &HeaderMap) -> Option<&'t Arc<T>> {
        if let [only] = candidates {
            return Some(only);
        }
        let by_header = headers.get("x-pabal-system").and_then(|system| system.to_str().ok());
        let by_host = host_of(uri, headers, self.selection.trust_forwarded).and_then(|host| host.split(['.', ':']).next());
        let named = [by_header, by_host, self.selection.default_system.as_deref()];
        named.into_iter().flatten().find_map(|system| candidates.iter().find(|target| (***target).as_ref().system == system))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Target(Route);

    impl AsRef<Route> for Target {
        fn as_ref(&self) -> &Route {
            &self.0
        }
    }

    fn table(default_system: Option<&str>) -> RouteTable<Target> {
        let routes = [("a", "things"), ("b", "things"), ("b", "parts")];
        let targets = routes.map(|(system, name)| Arc::new(Target(Route::new(system, "service", name))));
        let selection = SystemSelection { default_system: default_system.map(str::to_owned), trust_forwarded: false };
        RouteTable::new(&targets, selection)
    }

    /// What a path leads to, as `system template`.
    fn found(table: &RouteTable<Target>, path: &str, headers: &[(&'static str, &str)]) -> String {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        match table.find(&path.parse().unwrap(), &headers) {
            Match::One { target, form, system } => format!("{} {}", system.unwrap_or("-"), target.0.templates.of(form)),
            Match::Ambiguous(targets) => format!("{} candidates", targets.len()),
            Match::None => "none".to_owned(),
        }
    }

    #[test]
    fn a_unique_name_needs_no_system_and_a_prefixed_one_is_always_unique() {
        let table = table(None);
        assert_eq!(found(&table, "/parts/7", &[]), "- /b/parts/{id}");
        assert_eq!(found(&table, "/a/things/7/close", &[]), "a /a/things/{id}/{action}");
        assert_eq!(found(&table, "/b/parts/search/findByName", &[]), "b /b/parts/search");
        assert_eq!(found(&table, "/b/parts/1/2/3", &[]), "b /b/parts/{id}/{action}/…");
        assert_eq!(["/", "/other", "/a/parts", "/b/parts/1/2/3/4"].map(|path| found(&table, path, &[])), ["none"; 4]);
    }

    #[test]
    fn a_shared_name_means_the_system_of_the_header_then_of_the_host_then_of_the_settings() {
        assert_eq!(found(&table(None), "/things", &[("host", "localhost:8088")]), "2 candidates");
        assert_eq!(found(&table(Some("b")), "/things", &[("host", "localhost:8088")]), "- /b/things");
        assert_eq!(found(&table(Some("b")), "/things", &[("host", "a.shop:8088")]), "- /a/things");
        let both = [("host", "a.shop:8088"), ("x-pabal-system", "b")];
        assert_eq!(found(&table(None), "/things", &both), "- /b/things");
    }
}
