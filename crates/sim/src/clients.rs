//! Clients who send a request, and send it again until it is answered, and at times once more.

use std::collections::BTreeMap;

use kernel::context::Opaque;
use kernel::event::Cause;
use pabal_core::{CommandError, CommandOutcome, CommandRequest, Idempotency, QueuedCommand};
use ports::TableId;

use crate::chance::{Chance, Faults};

/// An answer that a client got.
#[derive(Debug, Clone)]
pub struct Answered {
    /// What the client calls its request.
    pub name: String,
    /// The answer; none, where the process died first.
    pub result: Result<CommandOutcome, CommandError>,
}

/// A request as a client can repeat it.
#[derive(Clone)]
pub struct Sent {
    pub(crate) name: String,
    /// The service and the aggregate.
    pub(crate) to: (&'static str, &'static str),
    /// None, where one is made for each try, as an inbound adapter does.
    pub(crate) key: Option<String>,
    pub(crate) command: Opaque,
    pub(crate) must_exist: bool,
    pub(crate) tries: u32,
}

/// All clients.
pub(crate) struct Clients {
    /// Answers, in order.
    pub answers: Vec<Answered>,
    open: BTreeMap<u64, Sent>,
    next_ticket: u64,
    chance: Chance,
    request_twice: u32,
}

/// A client gives up after so many tries.
const TRIES: u32 = 200;

impl Clients {
    pub fn new(chance: Chance, faults: &Faults) -> Self {
        let request_twice = faults.request_twice;
        Self { answers: Vec::new(), open: BTreeMap::new(), next_ticket: 0, chance, request_twice }
    }

    /// The request as a core takes it. Its idempotency key is the client's name for it.
    pub fn request(&mut self, sent: Sent, table: TableId) -> QueuedCommand {
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        let order = CommandRequest {
            table,
            key: sent.key.clone().unwrap_or_else(|| format!("made-{ticket}")),
            give_id: None,
            command: sent.command.clone(),
            cause: Cause { actor: "client".into(), request: sent.name.clone(), ..Cause::default() },
            must_exist: sent.must_exist,
            expected_version: None,
            idempotency: Some(Idempotency {
                scope: "sim".into(),
                key: sent.name.clone(),
                fingerprint: sent.name.clone(),
                keep_ms: 86_400_000,
            }),
            wait: None,
        };
        self.open.insert(ticket, sent);
        QueuedCommand { ticket, request: order }
    }

    /// What the client does with an answer: the next request, and after how many milliseconds.
    pub fn answered(&mut self, ticket: u64, result: Result<CommandOutcome, CommandError>) -> Option<(u64, Sent)> {
        let sent = self.open.remove(&ticket)?;
        match &result {
            Err(CommandError::Unavailable(_) | CommandError::Overloaded | CommandError::InFlight) => Some(self.again(sent)),
            // A cancel may overtake its message: the client tries again as long as the message has not come. A remembered
            // answer would never change; absence is not remembered.
            Err(CommandError::Absent) if sent.must_exist && sent.tries < TRIES / 2 => Some(self.again(sent)),
            _ => {
                let twice = self.chance.strikes("request twice", self.request_twice);
                let next = twice.then(|| (self.chance.below(5_000), Sent { tries: 0, ..sent.clone() }));
                self.answers.push(Answered { name: sent.name, result });
                next
            }
        }
    }

    /// A process has died: those of its requests that are open are never answered.
    pub fn unheard(&mut self, tickets: impl Fn(u64) -> bool) -> Vec<(u64, Sent)> {
        let dead: Vec<u64> = self.open.keys().copied().filter(|ticket| tickets(*ticket)).collect();
        let sent: Vec<Sent> = dead.iter().filter_map(|ticket| self.open.remove(ticket)).collect();
        sent.into_iter().map(|sent| self.again(sent)).collect()
    }

    /// What an open request is called.
    pub fn name_of(&self, ticket: u64) -> &str {
        self.open.get(&ticket).map_or("", |sent| &sent.name)
    }

    /// # Panics
    /// If a request is never answered.
    pub fn again(&self, sent: Sent) -> (u64, Sent) {
        assert!(sent.tries < TRIES, "{} is never answered", sent.name);
        (10 + self.chance.below(500), Sent { tries: sent.tries + 1, ..sent })
    }
}
