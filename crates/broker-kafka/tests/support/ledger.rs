//! What several processes of a group do together: a store of positions and of what was handled, fenced as a real one is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use broker_kafka::{KafkaBroker, Options};
use ports::{Broker, Delivery, GroupMember, Partition};

/// What all members share.
#[derive(Default)]
pub struct Ledger {
    pub inner: Mutex<Inner>,
}

#[derive(Default)]
pub struct Inner {
    pub positions: BTreeMap<Partition, u64>,
    pub handled: Vec<(Partition, Delivery)>,
    pub owners: BTreeMap<Partition, usize>,
    /// How often a partition went from one member to another.
    pub moves: usize,
    /// Violations.
    pub faults: Vec<String>,
    /// The last number of each outbox in each partition.
    pub numbers: BTreeMap<(Partition, String), u64>,
    pub repeated: usize,
}

impl Ledger {
    pub fn len(&self) -> usize {
        self.inner.lock().unwrap().handled.len()
    }

    /// Numbers in the order in which they were handled, for each key; fails on what must not happen.
    pub fn by_key(&self) -> BTreeMap<String, Vec<u64>> {
        let inner = self.inner.lock().unwrap();
        assert_eq!(inner.faults, Vec::<String>::new());
        let mut by_key: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut homes: BTreeMap<String, Partition> = BTreeMap::new();
        for (partition, delivery) in &inner.handled {
            let key = &delivery.record.key;
            assert_eq!(homes.entry(key.clone()).or_insert_with(|| partition.clone()), partition, "{key} has one partition");
            by_key.entry(key.clone()).or_default().push(delivery.stamp.as_ref().unwrap().number);
        }
        by_key
    }

    /// Every number of a range was handled once, and in order for each key.
    pub fn holds(&self, from: u64, to: u64) {
        let by_key = self.by_key();
        for (key, numbers) in &by_key {
            assert!(numbers.is_sorted_by(|one, next| one < next), "{key}: {numbers:?}");
        }
        let all: BTreeSet<u64> = by_key.values().flatten().copied().collect();
        assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), all.len());
        let missing: Vec<u64> = (from..to).filter(|number| !all.contains(number)).collect();
        assert!(
            missing.is_empty() && all.len() as u64 == to - from,
            "{} missing, the first {:?}",
            missing.len(),
            missing.first()
        );
    }
}

struct LedgerMember {
    me: usize,
    ledger: Arc<Ledger>,
    mine: Arc<Mutex<BTreeSet<Partition>>>,
}

impl GroupMember for LedgerMember {
    fn assigned(&self, partitions: Vec<Partition>) {
        let mut inner = self.ledger.inner.lock().unwrap();
        for partition in partitions {
            if let Some(owner) = inner.owners.insert(partition.clone(), self.me) {
                inner.faults.push(format!("{partition} was assigned to {} while {owner} had it", self.me));
            }
            inner.moves += 1;
            self.mine.lock().unwrap().insert(partition);
        }
    }

    fn revoked(&self, partitions: Vec<Partition>) {
        let mut inner = self.ledger.inner.lock().unwrap();
        for partition in partitions {
            if inner.owners.remove(&partition) != Some(self.me) {
                inner.faults.push(format!("{partition} was revoked from {}, which did not have it", self.me));
            }
            self.mine.lock().unwrap().remove(&partition);
        }
    }
}

/// A process: it handles what its partitions bring.
pub struct Process {
    pub broker: Arc<KafkaBroker>,
    pub mine: Arc<Mutex<BTreeSet<Partition>>>,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl Process {
    pub fn start(options: &Options, group: &str, topic: &str, me: usize, ledger: &Arc<Ledger>) -> Self {
        let broker = Arc::new(KafkaBroker::new(options).unwrap());
        let mine: Arc<Mutex<BTreeSet<Partition>>> = Arc::default();
        let woken = Arc::new((Mutex::new(false), Condvar::new()));
        let waking = woken.clone();
        let wake = move || {
            *waking.0.lock().unwrap() = true;
            waking.1.notify_one();
        };
        broker.watch(topic, Box::new(wake));
        let member = LedgerMember { me, ledger: ledger.clone(), mine: mine.clone() };
        broker.join(group, &[topic.to_owned()], Box::new(member)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let worker = {
            let (broker, mine, stop, ledger, group) =
                (broker.clone(), mine.clone(), stop.clone(), ledger.clone(), group.to_owned());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let partitions = mine.lock().unwrap().clone();
                    let handled: usize = partitions.iter().map(|partition| handle(&broker, &ledger, &group, me, partition)).sum();
                    if handled == 0 {
                        let asleep = woken.0.lock().unwrap();
                        let mut awake = woken.1.wait_timeout(asleep, Duration::from_millis(500)).unwrap().0;
                        *awake = false;
                    }
                }
            })
        };
        Self { broker, mine, stop, worker: Some(worker) }
    }

    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            worker.join().unwrap();
        }
        self.broker.close();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn handle(broker: &KafkaBroker, ledger: &Ledger, group: &str, me: usize, partition: &Partition) -> usize {
    let after = ledger.inner.lock().unwrap().positions.get(partition).copied().unwrap_or(0);
    let Ok(deliveries) = broker.fetch(partition, after, 500) else { return 0 };
    let mut inner = ledger.inner.lock().unwrap();
    // The fence: neither revoked meanwhile, nor moved by another member.
    if inner.owners.get(partition) != Some(&me) || inner.positions.get(partition).copied().unwrap_or(0) != after {
        return 0;
    }
    let mut last = after;
    let count = deliveries.len();
    for delivery in deliveries {
        if delivery.record.seq <= last {
            inner.faults.push(format!("{partition}: {} comes after {last}", delivery.record.seq));
        }
        last = delivery.record.seq;
        if let Some(stamp) = &delivery.stamp {
            let known = inner.numbers.entry((partition.clone(), stamp.outbox.clone())).or_default();
            if stamp.number <= *known {
                inner.repeated += 1;
                continue;
            }
            *known = stamp.number;
        }
        inner.handled.push((partition.clone(), delivery));
    }
    inner.positions.insert(partition.clone(), last);
    drop(inner);
    if count > 0 {
        broker.report_offsets(group, &[(partition.clone(), last)]);
    }
    count
}
