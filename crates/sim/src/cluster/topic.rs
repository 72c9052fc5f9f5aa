//! A topic with partitions, as a Kafka-like broker keeps it: it outlives every process, and acknowledgements may be lost, or
//! batches arrive after they have timed out.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ports::{BrokerError, Delivery, Publisher, Record, Stamp};

use crate::chance::Chance;
use crate::faults::Faults;

type Stamped = (Stamp, Record);

/// The topic. Clones share it.
#[derive(Clone)]
pub(super) struct Topic {
    partitions: Arc<Mutex<Vec<Vec<Delivery>>>>,
}

impl Topic {
    pub fn new(partitions: usize) -> Self {
        Self { partitions: Arc::new(Mutex::new(vec![Vec::new(); partitions.max(1)])) }
    }

    fn partitions(&self) -> MutexGuard<'_, Vec<Vec<Delivery>>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At the end of the partition of its key.
    pub fn append(&self, records: &[Stamped]) {
        let mut partitions = self.partitions();
        for (stamp, record) in records {
            let hash = record
                .key
                .bytes()
                .fold(14_695_981_039_346_656_037_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211));
            let index = usize::try_from(hash % partitions.len() as u64).unwrap_or(0);
            let seq = partitions[index].len() as u64 + 1;
            partitions[index].push(Delivery { record: Record { seq, ..record.clone() }, stamp: Some(stamp.clone()) });
        }
    }

    pub fn fetch(&self, partition: u32, after: u64, limit: usize) -> Vec<Delivery> {
        let partitions = self.partitions();
        let records = partitions.get(partition as usize).map(Vec::as_slice).unwrap_or_default();
        records.iter().skip(usize::try_from(after).unwrap_or(usize::MAX)).take(limit).cloned().collect()
    }

    pub fn end(&self, partition: u32) -> u64 {
        self.partitions().get(partition as usize).map_or(0, |records| records.len() as u64)
    }

    /// Everything, partition by partition, each record where it came first.
    pub fn once(&self) -> Vec<Record> {
        let mut seen = BTreeSet::new();
        let partitions = self.partitions();
        let all = partitions.iter().flatten();
        let number = |delivery: &Delivery| delivery.stamp.as_ref().map(|stamp| (stamp.outbox.clone(), stamp.number));
        all.filter(|delivery| seen.insert(number(delivery))).map(|delivery| delivery.record.clone()).collect()
    }

    pub fn len(&self) -> usize {
        self.partitions().iter().map(Vec::len).sum()
    }
}

/// The publisher of one process.
pub(super) struct SimPublisher {
    topic: Topic,
    chance: Chance,
    faults: Faults,
    /// Batches that timed out and will arrive later.
    pub late: Vec<Vec<Stamped>>,
}

impl SimPublisher {
    pub fn new(topic: &Topic, chance: &Chance, faults: Faults) -> Self {
        Self { topic: topic.clone(), chance: chance.clone(), faults, late: Vec::new() }
    }
}

impl Publisher for SimPublisher {
    fn publish(&mut self, _: &str, records: &[Stamped]) -> Result<(), BrokerError> {
        if self.chance.strikes("batch published in part", self.faults.publish_cut) {
            let part = usize::try_from(self.chance.below(records.len() as u64)).unwrap_or(0);
            self.topic.append(&records[..part]);
            return Err(BrokerError("the connection broke".into()));
        }
        if self.chance.strikes("batch published late", self.faults.publish_late) {
            self.late.push(records.to_vec());
            return Err(BrokerError("no answer in time".into()));
        }
        self.topic.append(records);
        if self.chance.strikes("acknowledgement lost", self.faults.publish_unacknowledged) {
            return Err(BrokerError("no answer".into()));
        }
        Ok(())
    }

    fn published(&mut self, _: &str, outbox: &str, after: u64) -> Result<BTreeSet<u64>, BrokerError> {
        let partitions = self.topic.partitions();
        let stamps = partitions.iter().flatten().filter_map(|delivery| delivery.stamp.as_ref());
        Ok(stamps.filter(|stamp| stamp.outbox == outbox && stamp.number > after).map(|stamp| stamp.number).collect())
    }
}
