//! The border to the business: its panic is an error of one item, and the writer goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code of the business; a panic becomes an error that names it.
pub fn guarded<T>(name: &str, run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| format!("{name} panicked"))
}
