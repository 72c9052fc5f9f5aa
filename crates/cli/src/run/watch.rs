//! Looks after the disk: a store that finds it full takes nothing more, so somebody must hear of it before.

use std::time::Duration;

use store_sqlite::DataDir;

use crate::config::Config;
use crate::show;

const EVERY: Duration = Duration::from_mins(1);

/// Warns, once each time it gets short.
pub fn disk(config: &Config, dir: &DataDir) {
    let (least, path) = (config.limits.min_free_disk_bytes, dir.path().to_owned());
    tokio::spawn(async move {
        let mut short = false;
        loop {
            if let Ok(free) = fs4::available_space(&path) {
                metrics::gauge!("pabal_disk_free_bytes").set(precise(free));
                if free < least && !short {
                    tracing::warn!(disk.free_bytes = free, "only {} are left on the disk of the data", show::bytes(free));
                }
                short = free < least;
            }
            tokio::time::sleep(EVERY).await;
        }
    });
}

/// A gauge is a float; no disk is so large that it matters.
#[allow(clippy::cast_precision_loss)]
fn precise(bytes: u64) -> f64 {
    bytes as f64
}
