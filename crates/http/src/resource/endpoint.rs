//! What a path addresses within a resource, and the methods it takes.

use super::definition::Resource;
use crate::routing::PathForm;

/// A path whose id, search and action are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Collection,
    Totals,
    SearchIndex,
    /// By the index of the field.
    Search(usize),
    Entity(u64),
    /// The entity, and the index of the action.
    Action(u64, usize),
}

impl Endpoint {
    /// The endpoint of a path; `None` where the resource has none of that id, search or action.
    pub fn resolve(resource: &Resource, form: PathForm<'_>) -> Option<Self> {
        match form {
            PathForm::Collection => Some(Self::Collection),
            PathForm::Totals => Some(Self::Totals),
            PathForm::SearchIndex => Some(Self::SearchIndex),
            PathForm::Search(name) => {
                let mut fields = resource.fields.iter();
                fields.position(|field| field.find_by.as_deref() == Some(name)).map(Self::Search)
            }
            PathForm::Entity(id) => Some(Self::Entity(parse_id(id)?)),
            PathForm::Action(id, name) => {
                let id = parse_id(id)?;
                resource.actions.iter().position(|action| action.def.name == name).map(|action| Self::Action(id, action))
            }
            PathForm::Deeper => None,
        }
    }

    /// The methods that it takes, as `Allow` lists them.
    pub fn allow(self, resource: &Resource) -> String {
        let mut methods = match self {
            Self::Action(..) => vec!["PUT", "PATCH", "POST"],
            _ => vec!["GET", "HEAD"],
        };
        match self {
            Self::Collection if resource.create.is_some() => methods.push("POST"),
            Self::Entity(_) => {
                methods.extend(resource.replace.iter().flat_map(|_| ["PUT", "PATCH"]));
                methods.extend(resource.delete.iter().map(|_| "DELETE"));
            }
            _ => {}
        }
        methods.push("OPTIONS");
        methods.join(", ")
    }
}

/// A positive integer that fits a store's signed column.
fn parse_id(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && (1..=i64::MAX.unsigned_abs()).contains(id))
}
