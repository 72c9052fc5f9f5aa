//! `pabal` with a carrier that keeps a ledger: the binary that the tests of a cluster run.
//!
//! It is the shipped library with one adapter of its own, as a binary with real carriers has.

mod ledger;

use std::process::ExitCode;
use std::sync::Arc;

use pabal::Pabal;

/// The file of the ledger. Not `PABAL_…`, which are settings.
const LEDGER: &str = "HANDSET_LEDGER";

fn main() -> ExitCode {
    let pabal = Pabal::new([rcs::system()]).channel("handset", |context| {
        let path = std::env::var_os(LEDGER).ok_or(format!("{LEDGER} does not name a file"))?;
        Ok(Arc::new(ledger::LedgerChannel::open(context.handler.clone(), path.as_ref())?))
    });
    pabal.main()
}
