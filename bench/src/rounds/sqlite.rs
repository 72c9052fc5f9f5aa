//! What the disk and SQLite do without anything of ours: syncs a second, and rows in batches.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use crate::failed::{Failed, failed};
use crate::numbers::to_f64;

/// What one sync makes durable: a page.
const PAGE: [u8; 4096] = [7; 4096];

/// Appends of a page a second, each synced.
pub fn syncs(dir: &Path, lasts: Duration) -> Result<f64, Failed> {
    let path = dir.join("sync");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < lasts {
        file.write_all(&PAGE)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = to_f64(count) / started.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// Rows a second, each as long as a state and as an event are, in transactions of so many.
pub fn rows(dir: &Path, batch: u64, lengths: (usize, usize), lasts: Duration) -> Result<f64, Failed> {
    let path = dir.join(format!("plain-{batch}.db"));
    let mut connection = Connection::open(&path).map_err(failed)?;
    for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL")] {
        connection.pragma_update(None, name, value).map_err(failed)?;
    }
    let tables = "CREATE TABLE state (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, data BLOB NOT NULL) STRICT;
                  CREATE TABLE event (seq INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;";
    connection.execute_batch(tables).map_err(failed)?;
    let (state, event) = (vec![b's'; lengths.0], vec![b'e'; lengths.1]);
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < lasts {
        let work = connection.transaction().map_err(failed)?;
        {
            let mut states = work.prepare_cached("INSERT INTO state (key, data) VALUES (?1, ?2)").map_err(failed)?;
            let mut events = work.prepare_cached("INSERT INTO event (data) VALUES (?1)").map_err(failed)?;
            for number in count..count + batch {
                states
                    .execute(params![crate::load::requests::key(crate::args::Keys::Scattered, number), state])
                    .map_err(failed)?;
                events.execute(params![event]).map_err(failed)?;
            }
        }
        work.commit().map_err(failed)?;
        count += batch;
    }
    Ok(to_f64(count) / started.elapsed().as_secs_f64())
}
