//! The origins whose pages may send requests.

use std::collections::BTreeSet;

/// Allowed origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// These, each as `scheme://host:port`.
    Listed(BTreeSet<String>),
    /// Any: for development.
    Any,
}

impl Default for Origins {
    fn default() -> Self {
        Self::Listed(BTreeSet::new())
    }
}

impl Origins {
    /// Whether pages of this origin may send requests.
    pub(crate) fn allow(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(origins) => origins.contains(origin),
        }
    }
}
