//! Why an attempt brought no response.

/// Why an attempt brought no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Every circuit breaker is open. Nothing was sent.
    CircuitOpen,
    /// All connections were in use for as long as the attempt could wait. Nothing was sent.
    Busy,
    /// No connection could be established. Nothing was sent.
    NotConnected,
    /// No response came in time.
    TimedOut,
    /// The connection ended before the response.
    Broken,
}

impl Failure {
    /// Its name in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::CircuitOpen => "circuit_open",
            Self::Busy => "busy",
            Self::NotConnected => "not_connected",
            Self::TimedOut => "timed_out",
            Self::Broken => "broken",
        }
    }

    /// Whether the service cannot have received the request.
    pub fn is_before_sending(self) -> bool {
        matches!(self, Self::CircuitOpen | Self::Busy | Self::NotConnected)
    }
}
