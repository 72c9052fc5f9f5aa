//! The one binary; the only place where things are wired together.
