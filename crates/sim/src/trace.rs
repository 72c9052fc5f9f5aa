//! What happened, line by line, to be read; and a digest of all of it, to be compared.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Lines that are kept for reading; the digest covers all of them.
const LINES: usize = 200_000;

/// The trace of one run.
#[derive(Default)]
pub(crate) struct Trace {
    digest: DefaultHasher,
    lines: Vec<String>,
}

impl Trace {
    /// One line, at an instant.
    pub fn log(&mut self, now_ms: i64, line: impl std::fmt::Display) {
        let line = format!("{now_ms} {line}");
        line.hash(&mut self.digest);
        if self.lines.len() < LINES {
            self.lines.push(line);
        }
    }

    /// The same for the same run.
    pub fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// The last lines.
    pub fn tail(&self, lines: usize) -> String {
        self.lines[self.lines.len().saturating_sub(lines)..].join("\n")
    }
}
