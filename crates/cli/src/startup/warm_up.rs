//! Warm-up: what systems would build on first use is built in the background, right after the start.

use std::panic::catch_unwind;
use std::sync::Arc;

use driver::Engine;

/// Runs the systems' declared warm-ups on a thread of their own. A request that comes first builds what it needs itself.
pub fn spawn(engines: &[Arc<Engine>]) {
    let warm_ups: Vec<_> = engines.iter().flat_map(|engine| engine.model().system.warm_ups.clone()).collect();
    if warm_ups.is_empty() {
        return;
    }
    let warm = move || {
        for warm_up in warm_ups {
            // A panic comes again on first use, and is answered there.
            drop(catch_unwind(warm_up));
        }
    };
    if let Err(error) = std::thread::Builder::new().name("pabal-warm-up".to_owned()).spawn(warm) {
        tracing::debug!(%error, "no thread for the warm-up");
    }
}
