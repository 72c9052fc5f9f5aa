//! What stays as it is while a core lives.

use std::sync::Arc;

use jiff::tz::TimeZone;
use ports::Model;

use crate::limits::Limits;

/// The declarations, the bounds and the zone of one core.
pub struct Setup {
    /// The declarations.
    pub model: Arc<Model>,
    /// Bounds.
    pub limits: Limits,
    /// The zone of the installation.
    pub zone: TimeZone,
}
