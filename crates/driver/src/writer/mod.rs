//! The writer thread: feeds the core, carries out its actions, and sleeps until there is something to do.

mod broker_side;
mod effects;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use pabal_core::{Action, CommandError, CommandRequest, Core, Input, QueuedCommand, Status};
use ports::{Clock, Partition};
use tokio::sync::{oneshot, watch};

pub(crate) use broker_side::BrokerSide;
pub(crate) use effects::Effects;

use crate::message::{Message, ReplySender, stopping};

/// Commands that wait for their outcome, at most; each holds some memory of its client's.
const MAX_OPEN_COMMANDS: usize = 16_384;

/// The longest sleep: the status carries a heartbeat even where nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The shortest sleep after a turn without actions, lest a wake time in the past become a busy loop.
const SHORTEST_SLEEP: Duration = Duration::from_millis(2);

/// The shortest interval between two publications of the status while there is work, in milliseconds.
const STATUS_INTERVAL_MS: i64 = 100;

/// The writer of one system: owns the core, and through it the store.
pub(crate) struct Writer {
    core: Core,
    clock: Arc<dyn Clock>,
    messages: Receiver<Message>,
    effects: Effects,
    broker: Option<BrokerSide>,
    /// Senders of open commands, by ticket.
    open: HashMap<u64, ReplySender>,
    last_ticket: u64,
    committed: watch::Sender<u64>,
    status: watch::Sender<Status>,
    status_ms: i64,
    stopping: Option<oneshot::Sender<()>>,
}

impl Writer {
    /// Needs [`Self::run`] on a thread of its own.
    pub fn new(
        core: Core,
        clock: Arc<dyn Clock>,
        messages: Receiver<Message>,
        effects: Effects,
        broker: Option<BrokerSide>,
        committed: watch::Sender<u64>,
        status: watch::Sender<Status>,
    ) -> Self {
        let open = HashMap::new();
        Self { core, clock, messages, effects, broker, open, last_ticket: 0, committed, status, status_ms: 0, stopping: None }
    }

    /// Runs until it is stopped and every accepted command is answered.
    pub fn run(mut self) {
        let mut sleep = Duration::ZERO;
        loop {
            self.take_messages(sleep);
            let wanted = self.take_deliveries();
            for result in self.effects.take_results() {
                self.accept(result);
            }
            let turn = self.core.turn(self.clock.now());
            let idle = turn.actions.is_empty();
            for action in turn.actions {
                self.act(action);
            }
            // Wants that have changed are fetched without a sleep: another system's topic may have more.
            let more = turn.more || self.effects.has_results() || self.wants() != wanted;
            self.publish_status(!more);
            if !more
                && self.open.is_empty()
                && let Some(stopped) = self.stopping.take()
            {
                drop(self); // the store and the inbox are closed before the caller learns of it
                let _ = stopped.send(());
                return;
            }
            sleep = if more { Duration::ZERO } else { self.sleep_until(turn.wake_ms, idle) };
        }
    }

    /// How long to sleep before the next turn.
    fn sleep_until(&self, wake_ms: Option<i64>, idle: bool) -> Duration {
        let now_ms = self.clock.now().as_millisecond();
        let until = wake_ms.map_or(HEARTBEAT, |at| Duration::from_millis(u64::try_from(at - now_ms).unwrap_or(0)));
        let shortest = if idle { SHORTEST_SLEEP } else { Duration::ZERO };
        until.clamp(shortest, HEARTBEAT)
    }

    fn take_messages(&mut self, sleep: Duration) {
        if !sleep.is_zero() {
            match self.messages.recv_timeout(sleep) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => return,
                // Unreachable, since the effects hold a sender. Sleeping keeps it from becoming a busy loop.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(sleep),
            }
        }
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Command(request, reply) => self.take_command(*request, reply),
            Message::Input(input) => self.accept(*input),
            Message::Wake => {}
            Message::Assigned { ends, handed } => {
                self.accept(Input::HandedOver { positions: handed });
                self.accept(Input::Assigned { partitions: ends });
            }
            Message::Revoked(partitions, done) => {
                // Between two turns nothing is in progress: what is not committed by now is not going to be.
                self.commit_offsets();
                self.accept(Input::Revoked { partitions });
                let _ = done.send(());
            }
            Message::Stop(stopped) => self.stopping = Some(stopped),
        }
    }

    fn take_command(&mut self, request: CommandRequest, reply: ReplySender) {
        if self.stopping.is_some() {
            let _ = reply.send(Err(stopping()));
        } else if self.open.len() >= MAX_OPEN_COMMANDS {
            let _ = reply.send(Err(CommandError::Overloaded));
        } else {
            self.last_ticket += 1;
            self.open.insert(self.last_ticket, reply);
            let queued = QueuedCommand { ticket: self.last_ticket, request };
            self.accept(Input::Command(Box::new(queued)));
        }
    }

    fn accept(&mut self, input: Input) {
        let now = self.clock.now();
        if let Some(action) = self.core.accept(input, now) {
            self.act(action);
        }
    }

    /// What the core wants of a broker: partition, position after which, and how many records.
    fn wants(&self) -> Vec<(Partition, u64, usize)> {
        if self.broker.is_some() { self.core.wants() } else { Vec::new() }
    }

    /// Fetches what is wanted, and returns what that was.
    fn take_deliveries(&mut self) -> Vec<(Partition, u64, usize)> {
        let wanted = self.wants();
        for want in &wanted {
            let delivered = self.broker.as_ref().and_then(|broker| broker.fetch(want));
            if let Some(delivered) = delivered {
                self.accept(delivered);
            }
        }
        wanted
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Reply { ticket, result } => {
                if let Some(reply) = self.open.remove(&ticket) {
                    let _ = reply.send(result); // the client may have gone; what was committed stays committed
                }
            }
            Action::Call(job) => self.effects.call(job),
            Action::Committed { last_seq } => drop(self.committed.send(last_seq)),
        }
    }

    /// Always before a sleep, or the last change would show only after the next heartbeat.
    fn publish_status(&mut self, before_sleep: bool) {
        let now_ms = self.clock.now().as_millisecond();
        if before_sleep || now_ms.saturating_sub(self.status_ms) >= STATUS_INTERVAL_MS {
            self.status_ms = now_ms;
            let _ = self.status.send(self.core.status());
            self.commit_offsets();
        }
    }

    fn commit_offsets(&self) {
        if let Some(broker) = &self.broker {
            broker.commit_offsets(&self.core.status());
        }
    }
}
