//! Rolling updates: declarations change while older versions keep running; and each schema has one owner.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use std::sync::Arc;

use kernel::context::Opaque;
use kernel::{Domain, Event, IndexValue, Row, Service, System, view};
use ports::model::TableId;
use ports::{Commit, Condition, CounterDelta, Model, Query, Reader, RowWrite, Sort, Store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store_postgres::{OpenError, PostgresOptions, PostgresReader, PostgresStore};
use support::Schema;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
struct Note {
    id: Option<u64>,
    colour: String,
    author: Option<String>,
}

impl Row for Note {
    fn id(&self) -> Option<u64> {
        self.id
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Written {}

impl Event for Written {
    const TYPE: &'static str = "Written";
}

const NOTES: TableId = TableId(0);

fn model(system: &'static str, fields: &[&str]) -> Arc<Model> {
    let mut notes = view::<Note>("notes", "Notes.").on::<Written>(|_, _, _| {});
    for field in fields {
        notes = match *field {
            "colour" => notes.counted("colour", |note| IndexValue::from(&note.colour)),
            "author" => notes.filter("author", |note| IndexValue::from(note.author.clone())),
            _ => notes.counted("author", |note| IndexValue::from(note.author.clone())),
        };
    }
    let service = Service::new("note", 8080, Domain::Supporting, "Keeps notes.").follows("elsewhere").view(notes);
    Model::new(System::new(system, "events", "Notes.").service(service)).expect("well declared")
}

/// A running version of the service.
struct Version {
    model: Arc<Model>,
    store: PostgresStore,
    reader: PostgresReader,
    number: u64,
}

impl Version {
    fn start(schema: &Schema, fields: &[&str]) -> Self {
        let model = model("desk", fields);
        let (mut store, reader, _) = PostgresStore::connect(&schema.options(), &model).expect("starts");
        store.recover().expect("recovers");
        Self { model, store, reader, number: 0 }
    }

    /// Updates a note, as a core does that has read it.
    fn write(&mut self, key: &str, old: Option<(&Note, u64)>, new: Option<&Note>) {
        let table = self.model.table_of(NOTES).clone();
        let index = |note: &Note| table.index(&(Arc::new(note.clone()) as Opaque));
        let mut counters = Vec::new();
        for (note, delta) in old.map(|(note, _)| (note, -1)).into_iter().chain(new.map(|note| (note, 1))) {
            if note.id.is_some() {
                let of = table.counters(&index(note)).into_iter();
                counters.extend(of.map(|counter| CounterDelta { table: NOTES, counter, delta }));
            }
        }
        let old_version = old.map_or(0, |(_, version)| version);
        self.number += 1;
        let row = RowWrite {
            table: NOTES,
            key: key.into(),
            id: new.or(old.map(|(note, _)| note)).and_then(|note| note.id),
            old_version,
            version: old_version + 1,
            schema: 1,
            data: new.map(|note| serde_json::to_vec(note).unwrap()),
            index: new.map(index).unwrap_or_default(),
        };
        let commit = Commit { number: self.number, rows: vec![row], counters, ..Commit::default() };
        self.store.commit(&commit).expect("commits");
    }

    /// The number of notes of an author: by counter or index, and as found.
    fn of(&self, field: usize, author: &str) -> (u64, usize) {
        let conditions = vec![(field, Condition::Is(author.into()))];
        let query = Query { conditions, ..Query::first(100) };
        (self.reader.total(NOTES, &query).unwrap().rows, self.reader.page(NOTES, &query).unwrap().rows.len())
    }

    fn counters(&self, name: &str) -> Vec<(String, u64)> {
        self.reader.counters(NOTES, name).unwrap()
    }

    fn housekeeping(&mut self) {
        self.store.prune(0, 0, 0, 100).unwrap();
    }
}

fn note(id: u64, colour: &str, author: &str) -> Note {
    Note { id: Some(id), colour: colour.into(), author: Some(author.into()) }
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_new_field_is_backfilled_counted_and_indexed() {
    let schema = Schema::new();
    let mut old = Version::start(&schema, &["colour"]);
    for id in 1..=1_234 {
        let author = if id % 3 == 0 { "kim" } else { "lee" };
        old.write(&format!("n{id}"), None, Some(&note(id, "red", author)));
    }
    old.write("hidden", None, Some(&Note { id: None, ..note(0, "red", "kim") }));
    let new = Version::start(&schema, &["colour", "writer"]);
    assert_eq!(new.of(1, "kim"), (411, 100));
    assert_eq!(new.counters("author"), [("kim".to_owned(), 411), ("lee".to_owned(), 823)]);
    assert_eq!(new.counters("colour"), [("red".to_owned(), 1_234)]);
    let sort = Sort { field: Some(1), descending: true };
    let page = new.reader.page(NOTES, &Query { sort, ..Query::first(3) }).unwrap();
    assert_eq!(page.next.unwrap().value, IndexValue::from("lee"));
    assert_eq!(
        schema.look().one("SELECT count(*) FROM pg_indexes WHERE tablename = 'note__notes' AND indexdef LIKE '%f_author%'"),
        "1"
    );
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn an_old_version_that_keeps_writing_leaves_nothing_uncounted() {
    let schema = Schema::new();
    let mut old = Version::start(&schema, &["colour"]);
    let (a, b, c) = (note(1, "red", "kim"), note(2, "red", "kim"), note(3, "blue", "lee"));
    old.write("a", None, Some(&a));
    old.write("b", None, Some(&b));
    let mut new = Version::start(&schema, &["colour", "writer"]);
    assert_eq!(new.of(1, "kim"), (2, 2));
    // The old version does not know authors, but updates a note and inserts one.
    let a_by_lee = note(1, "red", "lee");
    old.write("a", Some((&a, 1)), Some(&a_by_lee));
    old.write("c", None, Some(&c));
    assert_eq!(new.of(1, "lee"), (0, 0), "not yet");
    new.housekeeping();
    assert_eq!((new.of(1, "kim"), new.of(1, "lee")), ((1, 1), (2, 2)));
    // The new version updates what the old one has written, before a backfill.
    old.write("b", Some((&b, 1)), Some(&note(2, "blue", "lee")));
    new.write("b", Some((&note(2, "blue", "lee"), 2)), Some(&note(2, "blue", "park")));
    old.write("d", None, Some(&Note { id: None, ..note(4, "red", "choi") }));
    new.write("d", Some((&Note { id: None, ..note(4, "red", "choi") }, 1)), Some(&note(4, "red", "choi")));
    new.housekeeping();
    let expected = [("choi", 1), ("lee", 2), ("park", 1)].map(|(author, rows)| (author.to_owned(), rows));
    assert_eq!(new.counters("author"), expected);
    assert_eq!(new.counters("colour"), [("blue".to_owned(), 2), ("red".to_owned(), 2)]);
    // The old version restarts meanwhile.
    let mut old = Version::start(&schema, &["colour"]);
    old.write("e", None, Some(&note(5, "red", "choi")));
    let new = Version::start(&schema, &["colour", "writer"]);
    assert_eq!(new.of(1, "choi"), (2, 2));
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_filter_that_becomes_counted_is_counted() {
    let schema = Schema::new();
    let mut old = Version::start(&schema, &["author"]);
    old.write("a", None, Some(&note(1, "red", "kim")));
    let mut new = Version::start(&schema, &["writer"]);
    assert_eq!(new.counters("author"), [("kim".to_owned(), 1)]);
    old.write("a", Some((&note(1, "red", "kim"), 1)), Some(&note(1, "red", "lee")));
    new.housekeeping();
    assert_eq!(new.counters("author"), [("lee".to_owned(), 1)]);
    // Back and forth again: counts of an earlier time are discarded.
    drop(Version::start(&schema, &["author", "colour"]));
    let last = Version::start(&schema, &["writer"]);
    assert_eq!(last.counters("author"), [("lee".to_owned(), 1)]);
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn versions_that_start_concurrently_migrate_one_after_the_other() {
    let schema = Schema::new();
    std::thread::scope(|scope| {
        for start in 0..8 {
            let schema = &schema;
            scope.spawn(move || {
                let fields: &[&str] = if start % 2 == 0 { &["colour"] } else { &["colour", "writer"] };
                let mut version = Version::start(schema, fields);
                version.write(&format!("n{start}"), None, Some(&note(start + 1, "red", "kim")));
            });
        }
    });
    let last = Version::start(&schema, &["colour", "writer"]);
    assert_eq!(last.of(1, "kim"), (8, 8));
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn schemas_of_others_are_refused() {
    let schema = Schema::new();
    let refused = |options: &PostgresOptions, model: &Model| PostgresStore::connect(options, model).map(drop).unwrap_err();
    let desk = model("desk", &["colour"]);
    drop(Version::start(&schema, &["colour"]));
    let other = refused(&schema.options(), &model("office", &["colour"]));
    assert!(matches!(other, OpenError::OtherOwner { .. }), "{other}");
    let mut look = schema.look();
    look.run("UPDATE store_meta SET compatible = 99");
    let newer = refused(&schema.options(), &desk);
    assert!(matches!(newer, OpenError::Newer { needed: 99, .. }), "{newer}");
    // A newer version that this one is compatible with.
    look.run("UPDATE store_meta SET compatible = 1, version = 99");
    assert!(PostgresStore::connect(&schema.options(), &desk).is_ok());
    let foreign = Schema::new();
    let name = &foreign.name;
    look.run(&format!("CREATE SCHEMA \"{name}\"; CREATE TABLE \"{name}\".bookmarks (a int)"));
    let refusal = refused(&foreign.options(), &desk);
    assert!(matches!(refusal, OpenError::External { .. }), "{refusal}");
    look.run(&format!(
        "CREATE TABLE \"{name}\".machine (); CREATE TABLE \"{name}\".relayed (); CREATE TABLE \"{name}\".shape ()"
    ));
    let refusal = refused(&foreign.options(), &desk);
    assert!(matches!(refusal, OpenError::Unsupported { .. }), "from before the first release: {refusal}");
    look.run(&format!("CREATE TABLE \"{name}\".store_meta (a int)"));
    let refusal = refused(&foreign.options(), &desk);
    assert!(matches!(refusal, OpenError::External { .. }), "{refusal}");
    for bad in ["pg_mine", "1a", "a\"b", "A", "information_schema", ""] {
        let refusal = refused(&schema.options().in_schema(bad), &desk);
        assert!(matches!(refusal, OpenError::SchemaName(_)), "{bad}: {refusal}");
    }
}

#[test]
fn an_address_is_never_printed_with_its_password() {
    let options = PostgresOptions::new("postgres://somebody:s3cret@127.0.0.1:1/nothing").unwrap();
    assert!(!format!("{options:?}").contains("s3cret"));
    let refusal = PostgresStore::connect(&options, &model("desk", &[])).map(drop).unwrap_err();
    assert!(!refusal.to_string().contains("s3cret"), "{refusal}");
    assert!(PostgresOptions::new("not an address s3cret").is_err_and(|error| !error.to_string().contains("s3cret")));
}
