//! The paths below a resource or view: their forms, and their templates.

use std::sync::Arc;

/// What the segments below a resource's name are, by their form alone; whether that id, search or action exists, the target
/// of the route knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathForm<'p> {
    /// `/things`
    Collection,
    /// `/things/totals`
    Totals,
    /// `/things/search`
    SearchIndex,
    /// `/things/search/{name}`
    Search(&'p str),
    /// `/things/{id}`
    Entity(&'p str),
    /// `/things/{id}/{action}`
    Action(&'p str, &'p str),
    /// More segments than any path that is declared.
    Deeper,
}

impl<'p> PathForm<'p> {
    /// The form of the segments behind a resource's name.
    pub(crate) fn of_segments(segments: &[&'p str]) -> Self {
        match *segments {
            [] => Self::Collection,
            ["totals"] => Self::Totals,
            ["search"] => Self::SearchIndex,
            ["search", name] => Self::Search(name),
            [id] => Self::Entity(id),
            [id, action] => Self::Action(id, action),
            _ => Self::Deeper,
        }
    }
}

/// Path templates of one resource or view, as metrics and logs name them: made once, shared by every request.
#[derive(Debug, Clone)]
pub struct Templates {
    collection: Arc<str>,
    entity: Arc<str>,
    totals: Arc<str>,
    search: Arc<str>,
    action: Arc<str>,
    deeper: Arc<str>,
}

impl Templates {
    pub(crate) fn new(system: &str, name: &str) -> Self {
        let template = |below: &str| Arc::from(format!("/{system}/{name}{below}"));
        Self {
            collection: template(""),
            entity: template("/{id}"),
            totals: template("/totals"),
            search: template("/search"),
            action: template("/{id}/{action}"),
            deeper: template("/{id}/{action}/…"),
        }
    }

    /// The template of a path of that form.
    pub fn of(&self, form: PathForm<'_>) -> &Arc<str> {
        match form {
            PathForm::Collection => &self.collection,
            PathForm::Totals => &self.totals,
            PathForm::SearchIndex | PathForm::Search(_) => &self.search,
            PathForm::Entity(_) => &self.entity,
            PathForm::Action(..) => &self.action,
            PathForm::Deeper => &self.deeper,
        }
    }
}
