//! A cluster as the checks see it.

use std::sync::Arc;

use pabal_core::Status;
use ports::{Model, Reader, Record, StoredRow};

use super::{Cluster, Planned};
use crate::chance::Chance;
use crate::clients::{ClientAnswer, ClientRequest};
use crate::effect_ledger::RecordedCall;
use crate::installation::Installation;

impl Installation for Cluster {
    fn plan_request(&mut self, after_ms: u64, request: ClientRequest) {
        self.clients.register(&request.name);
        self.plan(after_ms, Planned::Request(request));
    }

    fn models(&self) -> Vec<Arc<Model>> {
        self.services.iter().map(|service| service.model.clone()).collect()
    }

    fn reader(&self, service: &str) -> &dyn Reader {
        let found = self.services.iter().find(|found| found.model.system.services[0].name == service);
        let Some(found) = found else { panic!("{service} is not declared") };
        found.store.reader()
    }

    fn topic(&self) -> Vec<Record> {
        self.topic.once()
    }

    fn answers(&self) -> &[ClientAnswer] {
        &self.clients.answers
    }

    fn calls(&self) -> Vec<RecordedCall> {
        self.effects.seen().to_vec()
    }

    fn chance(&self) -> &Chance {
        &self.chance
    }

    fn status(&self) -> Vec<Status> {
        self.replicas.iter().filter_map(|replica| replica.process.as_ref()).map(|process| process.core.status()).collect()
    }

    fn digest(&self) -> u64 {
        self.trace.digest()
    }

    fn tail(&self, lines: usize) -> String {
        self.trace.tail(lines)
    }

    fn rebuilt(&mut self, view: &str) -> Vec<StoredRow> {
        match self.read_anew(view) {
            Ok(rows) => rows,
            Err(error) => panic!("{view} could not be rebuilt: {error}"),
        }
    }
}
