//! Inbox: what waits to be taken into a batch. Admission of commands, answers of effects, and work for administrators.

use std::collections::VecDeque;

use crate::effects::EndedEffect;
use crate::items::Discard;
use crate::request::QueuedCommand;

/// What waits, by kind; each kind is served in the order of arrival.
#[derive(Default)]
pub struct Inbox {
    commands: VecDeque<Box<QueuedCommand>>,
    answers: VecDeque<EndedEffect>,
    discards: VecDeque<Discard>,
    /// The view of the last rebuild that was asked for.
    rebuild: Option<String>,
}

impl Inbox {
    /// Admits a command, or gives it back where `limit` commands wait already.
    pub fn admit(&mut self, command: Box<QueuedCommand>, limit: usize) -> Result<(), Box<QueuedCommand>> {
        if self.commands.len() >= limit {
            return Err(command);
        }
        self.commands.push_back(command);
        Ok(())
    }

    /// Takes all commands out, to be rejected.
    pub fn reject_queued(&mut self) -> impl Iterator<Item = Box<QueuedCommand>> + '_ {
        self.commands.drain(..)
    }

    /// The next commands, in order.
    pub fn take_commands(&mut self, room: usize) -> impl Iterator<Item = Box<QueuedCommand>> + '_ {
        let taken = room.min(self.commands.len());
        self.commands.drain(..taken)
    }

    /// Puts a command back in front.
    pub fn put_back_command(&mut self, command: Box<QueuedCommand>) {
        self.commands.push_front(command);
    }

    /// Commands that wait.
    pub fn commands(&self) -> usize {
        self.commands.len()
    }

    /// Of a batch's room, what consumers get: at least half while they have a backlog, and all that commands leave.
    pub fn consumer_share(&self, room: usize) -> usize {
        room.div_ceil(2).max(room.saturating_sub(self.commands.len()))
    }

    /// Adds answers of effects.
    pub fn add_answers(&mut self, ended: impl IntoIterator<Item = EndedEffect>) {
        self.answers.extend(ended);
    }

    /// Puts an answer back in front.
    pub fn put_back_answer(&mut self, ended: EndedEffect) {
        self.answers.push_front(ended);
    }

    /// The next answers, in order.
    pub fn take_answers(&mut self, room: usize) -> impl Iterator<Item = EndedEffect> + '_ {
        let taken = room.min(self.answers.len());
        self.answers.drain(..taken)
    }

    /// Answers that wait.
    pub fn answers(&self) -> usize {
        self.answers.len()
    }

    /// Forgets all answers: the effects they belong to are another instance's.
    pub fn forget_answers(&mut self) {
        self.answers.clear();
    }

    /// Adds discards.
    pub fn add_discards(&mut self, discards: impl IntoIterator<Item = Discard>) {
        self.discards.extend(discards);
    }

    /// The next discard.
    pub fn take_discard(&mut self) -> Option<Discard> {
        self.discards.pop_front()
    }

    /// Puts a discard back in front.
    pub fn put_back_discard(&mut self, discard: Discard) {
        self.discards.push_front(discard);
    }

    /// Asks for a rebuild; the last one asked for counts.
    pub fn ask_for_rebuild(&mut self, view: String) {
        self.rebuild = Some(view);
    }

    /// The view of the rebuild that was asked for.
    pub fn take_rebuild(&mut self) -> Option<String> {
        self.rebuild.take()
    }

    /// An administrator has asked for something that is not begun.
    pub fn has_administration(&self) -> bool {
        self.rebuild.is_some() || !self.discards.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumers_get_half_of_a_full_room_and_all_of_an_idle_one() {
        let inbox = Inbox::default();
        assert_eq!(inbox.consumer_share(512), 512, "no command waits");
        let discard = Discard { queue: crate::ids::Queue::Timers(ports::ServiceId(0)), key: "a".into(), position: 3 };
        let mut inbox = Inbox::default();
        inbox.add_discards([discard.clone()]);
        assert!(inbox.has_administration());
        assert_eq!(inbox.take_discard(), Some(discard));
        assert!(!inbox.has_administration());
    }
}
