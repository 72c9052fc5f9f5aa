//! A carrier that keeps a ledger: the calls that it carried out, with their ids, in a file that several processes append to.
//!
//! The handler that comes with the service is a pure function and answers yes to a query for any id. With a ledger the answer
//! is a real one, and the tests can count which calls were carried out.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use kernel::service::EffectHandlerDef;
use kernel::{EffectCall, Reaction, RetrySafety};
use ports::Channel;
use serde::{Deserialize, Serialize};

/// One line of the ledger: a call that was carried out.
#[derive(Debug, Serialize, Deserialize)]
struct Line<'a> {
    id: std::borrow::Cow<'a, str>,
    attempt: u32,
    effect: serde_json::Value,
}

/// The service's own handler, with a ledger.
pub struct LedgerChannel {
    def: EffectHandlerDef,
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl LedgerChannel {
    /// Opens the ledger, or creates it.
    pub fn open(def: EffectHandlerDef, path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { def, path: path.to_owned(), file: Arc::new(Mutex::new(file)) })
    }

    fn react(&self, effect: &[u8], call: &EffectCall<'_>) -> std::io::Result<Reaction<Vec<u8>>> {
        if call.asking && !self.has(call.id)? {
            return Ok(Reaction::UnknownId);
        }
        if !call.asking {
            let effect = serde_json::from_slice(effect)?;
            let mut line = serde_json::to_vec(&Line { id: call.id.into(), attempt: call.attempt, effect })?;
            line.push(b'\n');
            // One write of one line: other processes append to the same file.
            self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)?;
        }
        Ok(self.def.call(effect, call).unwrap_or(Reaction::Unreachable))
    }

    /// Reads the whole ledger: queries are rare.
    fn has(&self, id: &str) -> std::io::Result<bool> {
        for line in BufReader::new(File::open(&self.path)?).lines() {
            if serde_json::from_str::<Line<'_>>(&line?).is_ok_and(|line| line.id == id) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Channel for LedgerChannel {
    fn repeat(&self) -> RetrySafety {
        self.def.repeat
    }

    fn call<'a>(
        &'a self,
        effect: &'a [u8],
        call: EffectCall<'a>,
    ) -> Pin<Box<dyn Future<Output = Reaction<Vec<u8>>> + Send + 'a>> {
        let reaction = self.react(effect, &call).unwrap_or_else(|error| {
            tracing::error!(port = self.def.port, %error, "the ledger cannot be used");
            // The line may or may not have been written.
            Reaction::TimedOut
        });
        Box::pin(std::future::ready(reaction))
    }
}
