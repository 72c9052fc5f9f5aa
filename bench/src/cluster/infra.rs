//! Apache Kafka and PostgreSQL, fresh, by the script that has them for tests; stopped with this, however that ends.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failed::{Failed, failed};

/// On its first run the script installs what is missing.
const UP_WITHIN: Duration = Duration::from_mins(15);
/// The script gives each server half a minute before it kills it.
const DOWN_WITHIN: Duration = Duration::from_mins(2);

/// Both servers, with nothing in them.
pub struct Infra {
    /// Kafka's address.
    pub kafka: String,
    /// PostgreSQL's.
    pub postgres: String,
    /// Kafka's process.
    pub kafka_pid: u32,
    /// PostgreSQL's first process, which has started the others.
    pub postgres_pid: u32,
    /// Where Kafka keeps its topics.
    pub topics: PathBuf,
    _stops: Stops,
}

/// Stops the servers and removes their data.
struct Stops(PathBuf);

impl Infra {
    /// Starts them. What an earlier run has left goes first.
    pub async fn fresh(script: &Path) -> Result<Self, Failed> {
        let script = std::path::absolute(script)?;
        // From here on there may be something to stop.
        let stops = Stops(script.clone());
        said(&script, &["down", "--wipe"], DOWN_WITHIN).await?;
        let told = said(&script, &["up"], UP_WITHIN).await?;
        let of = |name: &str| value(&told, name).ok_or_else(|| failed(format!("{} does not say {name}", script.display())));
        let pid = |name: &str| of(name)?.parse::<u32>().map_err(|_| failed(format!("{name} is no process")));
        Ok(Self {
            kafka: of("PABAL_KAFKA_BOOTSTRAP")?,
            postgres: of("PABAL_POSTGRES_URL")?,
            kafka_pid: pid("PABAL_KAFKA_PID")?,
            postgres_pid: pid("PABAL_POSTGRES_PID")?,
            topics: Path::new(&of("PABAL_KAFKA_DIR")?).join("data"),
            _stops: stops,
        })
    }

    /// Bytes of a topic on Kafka's disk, without its indexes.
    pub fn bytes_of(&self, topic: &str, partitions: u32) -> Result<u64, Failed> {
        let mut bytes = 0;
        for partition in 0..partitions {
            for entry in std::fs::read_dir(self.topics.join(format!("{topic}-{partition}")))? {
                let entry = entry?;
                if entry.path().extension().is_some_and(|end| end == "log") {
                    bytes += entry.metadata()?.len();
                }
            }
        }
        Ok(bytes)
    }
}

impl Drop for Stops {
    fn drop(&mut self) {
        let mut down = Command::new(&self.0);
        down.args(["down", "--wipe"]).stdin(Stdio::null()).stdout(Stdio::null());
        let Ok(mut child) = down.spawn() else { return };
        let started = Instant::now();
        while started.elapsed() < DOWN_WITHIN {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        eprintln!("  !! {} down does not end; servers may be left over", self.0.display());
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A script under way; it is not left behind.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        // A process that has ended already need not be killed or waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the script; what it has printed.
async fn said(script: &Path, args: &[&str], within: Duration) -> Result<String, Failed> {
    let what = format!("{} {}", script.display(), args.join(" "));
    let mut command = Command::new(script);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.spawn().map_err(|error| failed(format!("{what} cannot be run: {error}")))?;
    let (mut script, started) = (Script(child), Instant::now());
    let status = loop {
        if let Some(status) = script.0.try_wait()? {
            break status;
        }
        if started.elapsed() > within {
            return Err(failed(format!("{what} has not ended after {} s", within.as_secs())));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    if !status.success() {
        return Err(failed(format!("{what} ended with {status}")));
    }
    let mut text = String::new();
    if let Some(mut out) = script.0.stdout.take() {
        out.read_to_string(&mut text)?;
    }
    Ok(text)
}

/// A line `NAME=value`, with or without quotes.
fn value(text: &str, name: &str) -> Option<String> {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(found.trim_matches('\'').to_owned()).filter(|found| !found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_script_prints_is_understood() {
        let text = "PABAL_KAFKA_BOOTSTRAP=127.0.0.1:1\nPABAL_KAFKA_PID=\nPABAL_KAFKA_DIR='/a b/kafka'\n";
        assert_eq!(value(text, "PABAL_KAFKA_BOOTSTRAP").as_deref(), Some("127.0.0.1:1"));
        assert_eq!(value(text, "PABAL_KAFKA_DIR").as_deref(), Some("/a b/kafka"));
        assert_eq!((value(text, "PABAL_KAFKA_PID"), value(text, "PABAL")), (None, None));
    }
}
