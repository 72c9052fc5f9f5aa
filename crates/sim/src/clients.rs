//! Clients that send a request, retry it until it is answered, and at times send it once more.

use std::collections::{BTreeMap, BTreeSet};

use kernel::context::Opaque;
use kernel::event::Cause;
use pabal_core::{CommandError, CommandOutcome, CommandRequest, Idempotency, QueuedCommand};
use ports::TableId;

use crate::chance::Chance;
use crate::faults::Faults;

/// An answer to a client.
#[derive(Debug, Clone)]
pub struct ClientAnswer {
    /// What the client calls its request.
    pub name: String,
    /// The answer.
    pub result: Result<CommandOutcome, CommandError>,
}

/// A request as a client can repeat it.
#[derive(Clone)]
pub struct ClientRequest {
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
    pub answers: Vec<ClientAnswer>,
    open: BTreeMap<u64, ClientRequest>,
    names: BTreeSet<String>,
    next_ticket: u64,
    chance: Chance,
    request_twice: u32,
}

/// Tries after which a request without an answer is a failure of the run.
const TRIES: u32 = 200;

impl Clients {
    pub fn new(chance: Chance, faults: &Faults) -> Self {
        let request_twice = faults.request_twice;
        Self { answers: Vec::new(), open: BTreeMap::new(), names: BTreeSet::new(), next_ticket: 0, chance, request_twice }
    }

    /// The request as a core takes it. Its idempotency key is the client's name for it.
    pub fn request(&mut self, sent: ClientRequest, table: TableId) -> QueuedCommand {
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        let command = CommandRequest {
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
        QueuedCommand { ticket, request: command }
    }

    /// A request that a test makes. Its name is the client's idempotency key.
    ///
    /// # Panics
    /// If the name was used before: the second command would be answered as the first one was, and never be carried out.
    pub fn register(&mut self, name: &str) {
        let new = self.names.insert(name.to_owned());
        assert!(new, "a request named {name} was sent before: a name is an idempotency key, each command needs its own");
    }

    /// What the client does with an answer: the next request, and after how many milliseconds.
    pub fn answered(&mut self, ticket: u64, result: Result<CommandOutcome, CommandError>) -> Option<(u64, ClientRequest)> {
        let sent = self.open.remove(&ticket)?;
        match &result {
            Err(CommandError::Unavailable(_) | CommandError::Overloaded | CommandError::InFlight) => Some(self.retry(sent)),
            // A cancel may overtake its message: the client retries until the message has come. A remembered answer would
            // never change; absence is not remembered.
            Err(CommandError::Absent) if sent.must_exist && sent.tries < TRIES / 2 => Some(self.retry(sent)),
            _ => {
                let twice = self.chance.strikes("request twice", self.request_twice);
                let next = twice.then(|| (self.chance.below(5_000), ClientRequest { tries: 0, ..sent.clone() }));
                self.answers.push(ClientAnswer { name: sent.name, result });
                next
            }
        }
    }

    /// The retries of open requests that will not be answered, as their process has died.
    pub fn retry_open(&mut self, tickets: impl Fn(u64) -> bool) -> Vec<(u64, ClientRequest)> {
        let dead: Vec<u64> = self.open.keys().copied().filter(|ticket| tickets(*ticket)).collect();
        let sent: Vec<ClientRequest> = dead.iter().filter_map(|ticket| self.open.remove(ticket)).collect();
        sent.into_iter().map(|sent| self.retry(sent)).collect()
    }

    /// Requests that tests have made so far.
    pub fn requests(&self) -> u64 {
        self.names.len() as u64
    }

    /// What an open request is called.
    pub fn name_of(&self, ticket: u64) -> &str {
        self.open.get(&ticket).map_or("", |sent| &sent.name)
    }

    /// The next try, and after how many milliseconds.
    ///
    /// # Panics
    /// If the request has been tried too often.
    pub fn retry(&self, sent: ClientRequest) -> (u64, ClientRequest) {
        assert!(sent.tries < TRIES, "{} is not answered", sent.name);
        (10 + self.chance.below(500), ClientRequest { tries: sent.tries + 1, ..sent })
    }
}
