//! Concurrent writers: no event is lost, events of a key stay in order, and there are no deadlocks.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ports::{CommitError, LogQuery, Outbox, Reader, Record, Store};
use support::worker::{Worker, change, drained, patiently, row, said};
use support::{Look, Schema};

const WRITERS: u64 = 24;

/// Commits of each writer; `PABAL_TEST_COMMITS` overrides it.
fn commits() -> u64 {
    std::env::var("PABAL_TEST_COMMITS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

/// One key in eight is changed by all writers, the others by one each.
fn key(writer: u64, number: u64) -> String {
    if number.is_multiple_of(8) { format!("shared{}", number / 8 % 5) } else { format!("own{}", 100 + writer) }
}

/// Commits one batch after the other; conflicts are decided again. Returns how many there were.
fn write(worker: &mut Worker, writer: u64) -> u64 {
    let (mut versions, mut conflicts) = (BTreeMap::<String, u64>::new(), 0);
    for number in 0..commits() {
        let key = key(writer, number);
        loop {
            let version = versions.get(&key).copied().unwrap_or_default();
            match worker.attempt(&change(&[(&key, version)])) {
                Ok(()) => {
                    versions.insert(key, version + 1);
                    break;
                }
                Err(CommitError::Conflict(_)) => {
                    conflicts += 1;
                    versions.insert(key.clone(), worker.version(&key));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    conflicts
}

/// The naive consumer, which loses records: everything visible after the last position seen.
fn naive(look: &mut Look, done: &AtomicBool) -> BTreeSet<String> {
    followed(done, |after| {
        let some = look.one(&format!(
            "SELECT coalesce(string_agg(seq || ' ' || id, E'\\n'), '') \
             FROM (SELECT seq, id FROM log WHERE seq > {after} ORDER BY seq LIMIT 1000) AS page"
        ));
        some.lines().map(|line| line.split_once(' ').unwrap()).map(|(seq, id)| (seq.parse().unwrap(), id.to_owned())).collect()
    })
}

/// The reader's way: pages up to the horizon.
fn read(worker: &Worker, done: &AtomicBool) -> BTreeSet<String> {
    followed(done, |after| {
        let some = worker.reader.log(&LogQuery { after, limit: 1_000, ..LogQuery::default() }).unwrap();
        some.into_iter().map(|record| (record.seq, record.id)).collect()
    })
}

/// Continues after the last position of each page until the end.
fn followed(done: &AtomicBool, mut page: impl FnMut(u64) -> Vec<(u64, String)>) -> BTreeSet<String> {
    let (mut after, mut seen) = (0, BTreeSet::new());
    loop {
        let last_round = done.load(Ordering::SeqCst);
        let some = page(after);
        after = some.last().map_or(after, |(seq, _)| *seq);
        let empty = some.is_empty();
        seen.extend(some.into_iter().map(|(_, id)| id));
        if last_round && empty {
            return seen;
        }
    }
}

/// The relay's way.
fn relayed(worker: &mut Worker, done: &AtomicBool) -> Vec<(u64, Record)> {
    let mut all = Vec::new();
    loop {
        let last_round = done.load(Ordering::SeqCst);
        let some = drained(&mut worker.outbox);
        if last_round && some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

fn in_order_by_key(records: &[(u64, Record)]) {
    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, record) in records {
        let version: u64 = record.id.rsplit_once('/').unwrap().1.parse().unwrap();
        let last = versions.entry(&record.key).or_default();
        assert_eq!(version, *last + 1, "{} comes behind version {last}", record.id);
        *last = version;
    }
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn a_cursor_over_positions_skips_late_commits_and_neither_reader_nor_outbox_does() {
    let schema = Schema::new();
    let mut options = schema.options();
    (options.lease, options.relay_lease) = (Duration::from_mins(1), Duration::from_mins(1));
    let mut workers: Vec<_> = (0..WRITERS).map(|_| Worker::join(&options)).collect();
    let mut relay = Worker::join(&options);
    let eye = Worker::join(&options);
    // Some commits are slow between the assignment of positions and their end.
    schema.look().run(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF random() < 0.03 THEN PERFORM pg_sleep(random() * 0.02); END IF; RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER dawdles AFTER INSERT ON log INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle()",
    );
    let (done, started) = (AtomicBool::new(false), Instant::now());
    let mut look = schema.look();
    let (conflicts, seen, read, numbered) = std::thread::scope(|scope| {
        let naive = scope.spawn(|| naive(&mut look, &done));
        let read = scope.spawn(|| read(&eye, &done));
        let relayed = scope.spawn(|| relayed(&mut relay, &done));
        let writing: Vec<_> =
            workers.iter_mut().zip(0..).map(|(worker, writer)| scope.spawn(move || write(worker, writer))).collect();
        let conflicts: u64 = writing.into_iter().map(|writing| writing.join().unwrap()).sum();
        done.store(true, Ordering::SeqCst);
        (conflicts, naive.join().unwrap(), read.join().unwrap(), relayed.join().unwrap())
    });
    let all = usize::try_from(WRITERS * commits()).unwrap();
    let lost = all - seen.len();
    println!("{all} commits in {:?}, {conflicts} conflicts; behind the last position: {lost} lost", started.elapsed());
    assert!(lost > 0, "it is known to lose");
    assert_eq!(read.len(), all, "who reads up to where the log is whole misses none");
    assert_eq!(numbered.len(), all);
    let numbers: Vec<u64> = numbered.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=all as u64).collect::<Vec<_>>());
    assert_eq!(numbered.iter().map(|(_, record)| &record.id).collect::<BTreeSet<_>>().len(), all);
    in_order_by_key(&numbered);
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn batches_that_share_rows_never_deadlock() {
    const KEYS: usize = 40;
    let schema = Schema::new();
    let options = schema.options();
    let mut workers: Vec<_> = (0..8).map(|_| Worker::join(&options)).collect();
    let keys: Vec<String> = (0..KEYS).map(|number| format!("k{number}")).collect();
    workers[0].commit(&change(&keys.iter().map(|key| (key.as_str(), 0)).collect::<Vec<_>>()));
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let mut look = schema.look();
    let before = look.one(deadlocks);
    let applied = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for (worker, writer) in workers.iter_mut().zip(1_usize..) {
            let (keys, applied) = (&keys, &applied);
            scope.spawn(move || {
                let end = Instant::now() + Duration::from_secs(8);
                let mut chance = writer * 7919;
                while Instant::now() < end {
                    // A third of the rows, in an order of its own; some are deleted and inserted again.
                    chance = (chance * 1_103_515_245 + 12_345) % 2_147_483_648;
                    let mine: Vec<&String> =
                        keys.iter().enumerate().filter(|(at, _)| (at * 31 + chance) % 3 == 0).map(|(_, key)| key).collect();
                    let mut changes = change(&[]);
                    for (position, key) in mine.iter().enumerate() {
                        let version = worker.version(key);
                        let mut row = row(key, version);
                        if version > 0 && (position + chance) % 7 == 0 {
                            row.data = None;
                        }
                        changes.rows.push(row);
                        changes.log.push(said(key, version + 1));
                    }
                    changes.rows.sort_by(|one, other| one.key.cmp(&other.key));
                    match worker.attempt(&changes) {
                        Ok(()) => applied.fetch_add(1, Ordering::SeqCst),
                        Err(CommitError::Conflict(_)) => 0,
                        Err(error) => panic!("{error}"),
                    };
                }
            });
        }
    });
    println!("{} batches applied", applied.load(Ordering::SeqCst));
    assert!(applied.load(Ordering::SeqCst) > 50);
    // Statistics are reported with a delay.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(look.one(deadlocks), before);
}

/// Instances die and others adopt their effects: each effect ends once.
#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn effects_end_once_however_often_their_owners_die() {
    let schema = Schema::new();
    let mut options = schema.options();
    (options.lease, options.release_on_drop) = (Duration::from_millis(400), false);
    let mut first = Worker::join(&options);
    let table = support::worker::parcels();
    let effects: Vec<_> =
        (1..=300).map(|place| contract_tests::rows::effect(first.effects_from + place, table, &format!("k{place}"))).collect();
    first.commit(&ports::Commit { effects, ..Default::default() });
    drop(first);
    let (ended, left) = (AtomicU64::new(0), "SELECT count(*) = 0 FROM effect");
    std::thread::scope(|scope| {
        for heir in 0..4_u64 {
            let (options, ended, schema) = (&options, &ended, &schema);
            scope.spawn(move || {
                let mut look = schema.look();
                let mut round = heir;
                while look.one(left) != "t" {
                    let mut worker = Worker::join(options);
                    for _ in 0..3 {
                        let Ok(mine) = worker.store.adopt(20) else { break };
                        for effect in mine.iter().take(7) {
                            let done = ports::Commit { effects_done: vec![effect.number], ..Default::default() };
                            match worker.attempt(&done) {
                                Ok(()) => drop(ended.fetch_add(1, Ordering::SeqCst)),
                                Err(CommitError::Conflict(_) | CommitError::Fenced) => {}
                                Err(error) => panic!("{error}"),
                            }
                        }
                        round += 1;
                        std::thread::sleep(Duration::from_millis(60 * (round % 9)));
                    }
                }
            });
        }
    });
    assert_eq!(ended.load(Ordering::SeqCst), 300);
}

/// Other processes are notified by the database, this one directly.
#[test]
#[ignore = "needs PostgreSQL: scripts/test-distributed"]
fn watchers_are_notified_of_commits_of_this_process_and_of_others() {
    let schema = Schema::new();
    let mut options = schema.options();
    options.notify_every = Duration::from_millis(200);
    let (mut one, other) = (Worker::join(&options), Worker::join(&options));
    let heard: [std::sync::Arc<AtomicU64>; 2] = Default::default();
    for (outbox, heard) in [&one.outbox, &other.outbox].into_iter().zip(&heard) {
        let heard = heard.clone();
        outbox.watch(Box::new(move || {
            heard.fetch_add(1, Ordering::SeqCst);
        }));
    }
    let mut look = schema.look();
    look.until(&format!("SELECT count(*) = 2 FROM pg_stat_activity WHERE application_name = 'pabal {} notifier'", schema.name));
    std::thread::sleep(Duration::from_millis(100));
    let before = [0, 1].map(|at: usize| heard[at].load(Ordering::SeqCst));
    for version in 0..200 {
        one.commit(&change(&[("k1", version)]));
    }
    patiently(|| (heard[1].load(Ordering::SeqCst) > before[1]).then_some(()).ok_or("nothing heard"));
    std::thread::sleep(Duration::from_millis(100));
    let times = [0, 1].map(|at: usize| heard[at].load(Ordering::SeqCst) - before[at]);
    assert!(times[0] >= 200, "the own process hears of each: {times:?}");
    assert!(times[1] < 100, "others hear of several at once: {times:?}");
}
