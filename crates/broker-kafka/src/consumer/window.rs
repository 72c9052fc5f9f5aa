//! Records of one partition that were read and are kept for a while.
//!
//! Subscriptions of one partition are at slightly different positions: the slower one should not send the client back.

use std::collections::{BTreeMap, VecDeque};

use ports::Delivery;

/// Records that were returned already and are kept, at most, and their bytes.
pub const KEPT: usize = 2_048;
const KEPT_BYTES: usize = 8 << 20;

/// Records behind a position, in order.
#[derive(Default)]
pub struct Window {
    records: VecDeque<Delivery>,
    bytes: usize,
    /// The last number of each outbox, to see which records were relayed twice.
    numbers: BTreeMap<String, u64>,
}

impl Window {
    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds the next record. True if its outbox has sent this number, or a higher one, before.
    pub fn push(&mut self, delivery: Delivery) -> bool {
        let mut republished = false;
        if let Some(stamp) = &delivery.stamp {
            let last = self.numbers.entry(stamp.outbox.clone()).or_default();
            republished = stamp.number <= *last;
            *last = stamp.number.max(*last);
        }
        self.bytes += size(&delivery);
        self.records.push_back(delivery);
        republished
    }

    /// Drops the oldest records up to a position as long as too many are kept; returns the position of the last that went.
    pub fn trim(&mut self, after: u64) -> Option<u64> {
        let mut dropped = None;
        while self.records.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.records.pop_front_if(|delivery| delivery.record.seq <= after) else { break };
            self.bytes -= size(&oldest);
            dropped = Some(oldest.record.seq);
        }
        dropped
    }

    /// Records behind a position.
    pub fn len_after(&self, after: u64) -> usize {
        self.records.len() - self.index_after(after)
    }

    /// The first records behind a position.
    pub fn after(&self, after: u64, limit: usize) -> Vec<Delivery> {
        self.records.iter().skip(self.index_after(after)).take(limit).cloned().collect()
    }

    fn index_after(&self, after: u64) -> usize {
        self.records.partition_point(|delivery| delivery.record.seq <= after)
    }
}

fn size(delivery: &Delivery) -> usize {
    delivery.record.data.len() + 400
}
