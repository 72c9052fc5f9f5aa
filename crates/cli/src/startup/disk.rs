//! Free disk space, as a gauge and as a warning: a store on a full disk takes no commits.

use std::path::Path;
use std::time::Duration;

use crate::show;

const EVERY: Duration = Duration::from_mins(1);

/// Measures the file system of `path` once a minute; warns each time the free space falls below `min_free_bytes`.
pub fn watch(path: &Path, min_free_bytes: u64) {
    let path = path.to_owned();
    tokio::spawn(async move {
        let mut low = false;
        loop {
            if let Ok(free) = fs4::available_space(&path) {
                metrics::gauge!("pabal_disk_free_bytes").set(to_f64(free));
                if free < min_free_bytes && !low {
                    tracing::warn!(disk.free_bytes = free, "low disk space: {} free", show::bytes(free));
                }
                low = free < min_free_bytes;
            }
            tokio::time::sleep(EVERY).await;
        }
    });
}

/// A gauge is a float; no disk is so large that its precision matters.
#[allow(clippy::cast_precision_loss)]
fn to_f64(bytes: u64) -> f64 {
    bytes as f64
}
