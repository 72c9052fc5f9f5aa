//! A world as the checks see it.

use std::sync::Arc;

use pabal_core::{Core, Input, Status};
use ports::{LogQuery, Model, Query, Reader, Record, StoredRow};

use super::{Planned, World};
use crate::chance::Chance;
use crate::clients::{ClientAnswer, ClientRequest};
use crate::effect_ledger::RecordedCall;
use crate::installation::Installation;

impl Installation for World {
    fn plan_request(&mut self, after_ms: u64, request: ClientRequest) {
        self.clients.register(&request.name);
        self.plan(after_ms, Planned::Request(request));
    }

    fn models(&self) -> Vec<Arc<Model>> {
        self.engines.iter().map(|engine| engine.model.clone()).collect()
    }

    fn reader(&self, service: &str) -> &dyn Reader {
        let found = self.engines.iter().find(|engine| engine.has_service(service));
        let Some(engine) = found else { panic!("{service} is not declared") };
        &engine.store
    }

    fn topic(&self) -> Vec<Record> {
        let all = LogQuery { limit: 1_000_000, ..LogQuery::default() };
        self.engines.iter().flat_map(|engine| engine.store.log(&all).unwrap_or_default()).collect()
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
        self.engines.iter().filter_map(|engine| engine.core.as_ref()).map(Core::status).collect()
    }

    fn digest(&self) -> u64 {
        self.trace.digest()
    }

    fn tail(&self, lines: usize) -> String {
        self.trace.tail(lines)
    }

    fn rebuilt(&mut self, view: &str) -> Vec<StoredRow> {
        self.start();
        let now = self.now();
        let table = |model: &Model| model.tables.iter().find(|table| table.name == view).map(|table| table.id);
        let found = self.engines.iter().enumerate().find_map(|(number, engine)| Some((number, table(&engine.model)?)));
        let Some((number, table)) = found else { panic!("{view} is not declared") };
        if let Some(core) = self.engines[number].core.as_mut() {
            core.accept(Input::Rebuild { view: view.to_owned() }, now);
        }
        self.settle(0);
        let unfinished = self.status().into_iter().find_map(|status| status.rebuild);
        assert!(unfinished.is_none(), "the rebuild was not finished: {unfinished:?}");
        self.engines[number].store.page(table, &Query::first(1000)).map(|page| page.rows).unwrap_or_default()
    }
}
