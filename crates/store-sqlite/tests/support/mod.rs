//! A small system whose declared fields a test chooses.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]
#![allow(dead_code, missing_docs, reason = "each test binary uses its part")]

use std::sync::Arc;

use kernel::{Domain, Event, IndexValue, Row, Service, System, view};
use ports::model::TableId;
use ports::{Commit, CounterDelta, Model, RowWrite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A row of the view.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    pub id: Option<u64>,
    pub colour: String,
    pub author: Option<String>,
    pub at: Option<i64>,
}

impl Row for Note {
    fn id(&self) -> Option<u64> {
        self.id
    }
}

/// The events of the view.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Written {}

impl Event for Written {
    const TYPE: &'static str = "Written";
}

/// The view of notes is table 0.
pub const NOTES: TableId = TableId(0);

/// A system with one view of notes and the fields of that names.
pub fn model(system: &'static str, fields: &[&str]) -> Arc<Model> {
    let mut notes = view::<Note>("notes", "Notes.").on::<Written>(|_, _, _| {});
    for field in fields {
        notes = match *field {
            "colour" => notes.counted("colour", |note| IndexValue::from(&note.colour)),
            "author, the key" => notes.keyed("author", |note| IndexValue::from(note.author.clone())),
            "author" => notes.filter("author", |note| IndexValue::from(note.author.clone())),
            "writer" => notes.counted("writer", |note| IndexValue::from(note.author.clone())),
            _ => notes.period("at", |note| IndexValue::from(note.at)),
        };
    }
    if fields.contains(&"colour") && fields.contains(&"writer") {
        notes = notes.totals("colour", "writer");
    }
    let service = Service::new("note", 8080, Domain::Supporting, "Keeps notes.").follows("elsewhere").view(notes);
    Model::new(System::new(system, "events", "Notes.").service(service)).expect("well declared")
}

/// Notes of few colours and authors, at instants out of order; some have no author, some no instant.
pub fn notes(number: u64) -> Vec<Note> {
    let colours = ["red", "green", "blue"];
    let note = |position: u64| Note {
        id: Some(1 + (position * 7919) % 100_003),
        colour: colours[usize::try_from(position % 3).unwrap()].to_owned(),
        author: (!position.is_multiple_of(5)).then(|| format!("author {}", position % 11)),
        at: (!position.is_multiple_of(7)).then(|| i64::try_from(position * 31 % 97).unwrap()),
    };
    (0..number).map(note).collect()
}

/// A commit that puts new notes in.
pub fn commit(model: &Model, number: u64, notes: &[Note]) -> Commit {
    let table = model.table_of(NOTES);
    let mut commit = Commit { number, ..Commit::default() };
    for (position, note) in notes.iter().enumerate() {
        let row: kernel::context::Opaque = Arc::new(note.clone());
        let index = table.index(&row);
        if note.id.is_some() {
            let deltas = table.counters(&index).into_iter().map(|counter| CounterDelta { table: NOTES, counter, delta: 1 });
            commit.counters.extend(deltas);
        }
        commit.rows.push(RowWrite {
            table: NOTES,
            key: format!("note-{number}-{:05}", (position * 31) % 100_003),
            id: note.id,
            old_version: 0,
            version: 1,
            schema: 1,
            data: Some(table.encode(&row).expect("writes")),
            index,
        });
    }
    commit
}
