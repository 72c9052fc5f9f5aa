//! The routes of the admin API.

/// A route below `/admin/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminRoute<'p> {
    /// The log of events.
    Events,
    /// Subscriptions with their positions.
    Subscriptions,
    /// Parked and dead work.
    DeadLetters,
    /// Retry of a parked key.
    Redrive,
    /// Removal of a dead letter.
    Discard,
    /// Rebuild of the view of this name.
    Rebuild(&'p str),
    /// Pause of the service of this name.
    Pause(&'p str),
    /// End of the pause of the service of this name.
    Resume(&'p str),
}

impl<'p> AdminRoute<'p> {
    /// The route of a path.
    pub fn parse(path: &'p str) -> Option<Self> {
        let mut segments = path.trim_matches('/').strip_prefix("admin/")?.split('/');
        let names = (segments.next()?, segments.next(), segments.next(), segments.next());
        Some(match names {
            ("events", None, ..) => Self::Events,
            ("subscriptions", None, ..) => Self::Subscriptions,
            ("dead-letters", None, ..) => Self::DeadLetters,
            ("dead-letters", Some("redrive"), None, _) => Self::Redrive,
            ("dead-letters", Some("discard"), None, _) => Self::Discard,
            ("views", Some(view), Some("rebuild"), None) => Self::Rebuild(view),
            ("services", Some(service), Some("pause"), None) => Self::Pause(service),
            ("services", Some(service), Some("resume"), None) => Self::Resume(service),
            _ => return None,
        })
    }

    /// Its path template.
    pub fn template(self) -> &'static str {
        match self {
            Self::Events => "/admin/events",
            Self::Subscriptions => "/admin/subscriptions",
            Self::DeadLetters => "/admin/dead-letters",
            Self::Redrive => "/admin/dead-letters/redrive",
            Self::Discard => "/admin/dead-letters/discard",
            Self::Rebuild(_) => "/admin/views/{view}/rebuild",
            Self::Pause(_) => "/admin/services/{service}/pause",
            Self::Resume(_) => "/admin/services/{service}/resume",
        }
    }

    /// Whether it changes something, and so takes `POST` instead of `GET`.
    pub fn is_write(self) -> bool {
        !matches!(self, Self::Events | Self::Subscriptions | Self::DeadLetters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_admin_have_one_route_each() {
        assert_eq!(AdminRoute::parse("/admin/events/"), Some(AdminRoute::Events));
        assert_eq!(AdminRoute::parse("/admin/views/things/rebuild"), Some(AdminRoute::Rebuild("things")));
        assert_eq!(AdminRoute::Resume("desk").template(), "/admin/services/{service}/resume");
        for path in ["/admin", "/admin/dead-letters/other", "/admin/events/1", "/events"] {
            assert_eq!(AdminRoute::parse(path), None, "{path}");
        }
    }
}
