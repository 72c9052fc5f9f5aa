//! What systems make on first use is made before it, beside everything else: nobody waits for it.

use std::panic::catch_unwind;
use std::sync::Arc;

use driver::Engine;

/// Runs what the systems have declared for this, once the doors are open: before that it would take time from the start.
/// A request that comes in meanwhile waits for what it needs as it would have without.
pub fn up(engines: &[Arc<Engine>]) {
    let warm_ups: Vec<_> = engines.iter().flat_map(|engine| engine.model().system.warm_ups.clone()).collect();
    if warm_ups.is_empty() {
        return;
    }
    let warm = move || {
        for warm_up in warm_ups {
            // What panics here panics again where it is needed, and is answered there.
            drop(catch_unwind(warm_up));
        }
    };
    if let Err(error) = std::thread::Builder::new().name("pabal-warm-up".to_owned()).spawn(warm) {
        tracing::debug!(%error, "nothing is warmed up");
    }
}
