//! Followers' places in their logs, and what has been read ahead for them.

use std::collections::VecDeque;
use std::sync::Arc;

use kernel::policy::From;

use crate::model::Model;
use crate::ports::{Record, Recovered};

/// One follower at work.
#[derive(Default)]
pub struct Place {
    /// The last position whose handling is committed.
    pub position: u64,
    /// The last position that was read ahead.
    pub read_to: u64,
    /// Read ahead and not yet taken into a batch.
    pub backlog: VecDeque<Arc<Record>>,
    /// It follows its own system's log.
    pub own: bool,
    /// Its service is paused.
    pub paused: bool,
    /// Its position was never stored.
    pub new: bool,
}

impl Place {
    /// It follows another system's topic and asks for more of it.
    pub fn has_room(&self, most: usize) -> bool {
        !self.own && !self.paused && most.saturating_sub(self.backlog.len()) >= most / 2
    }

    /// Forgets what was read ahead: it is read again from the committed position.
    pub fn rewind(&mut self) {
        self.backlog.clear();
        self.read_to = self.position;
    }
}

/// The followers' places at the start. `ends` are the last positions of other systems' topics.
pub fn recover(model: &Model, recovered: &Recovered, ends: &[(String, u64)]) -> Vec<Place> {
    let place = |follower: &crate::model::Follower| {
        let own = follower.topic == model.system.topic;
        let mut stored = recovered.positions.iter();
        let stored = stored.find(|(name, topic, _)| *name == follower.name && *topic == follower.topic);
        let end = if own {
            recovered.last_seq
        } else {
            ends.iter().find(|(topic, _)| *topic == follower.topic).map_or(0, |(_, end)| *end)
        };
        let first = match follower.from {
            From::Beginning => 0,
            From::Now => end,
        };
        let position = stored.map_or(first, |(_, _, position)| *position);
        Place { position, read_to: position, own, new: stored.is_none(), ..Place::default() }
    };
    model.followers.iter().map(place).collect()
}
