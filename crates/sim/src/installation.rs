//! What both simulated installations are to a test: something that requests are sent to, and that is checked once it has
//! come to rest.

use std::sync::Arc;

use kernel::context::Opaque;
use pabal_core::Status;
use ports::{Model, Reader, Record, StoredRow, TableId};

use crate::chance::{Chance, Tally};
use crate::clients::{ClientAnswer, ClientRequest};
use crate::effect_ledger::RecordedCall;

/// A simulated installation: one process with everything in it, or a cluster.
pub trait Installation {
    /// Plans a request; [`Installation::send`] makes one.
    fn plan_request(&mut self, after_ms: u64, request: ClientRequest);
    /// The declarations: of the system, or of each service that runs alone.
    fn models(&self) -> Vec<Arc<Model>>;
    /// What a service's store shows.
    fn reader(&self, service: &str) -> &dyn Reader;
    /// What was published, each record once, in an order that is right for each key.
    fn topic(&self) -> Vec<Record>;
    /// Answers that clients got, in order.
    fn answers(&self) -> &[ClientAnswer];
    /// The effects that were carried out.
    fn calls(&self) -> Vec<RecordedCall>;
    /// Chance.
    fn chance(&self) -> &Chance;
    /// How its cores are doing.
    fn status(&self) -> Vec<Status>;
    /// A digest of everything that happened: the same seed gives the same.
    fn digest(&self) -> u64;
    /// The last lines of the trace.
    fn tail(&self, lines: usize) -> String;
    /// The rows of a view, made once more from the beginning of the topic.
    fn rebuilt(&mut self, view: &str) -> Vec<StoredRow>;

    /// How often each fault struck, and each other thing worth counting happened.
    fn tally(&self) -> Tally {
        self.chance().tally()
    }

    /// A service's table.
    ///
    /// # Panics
    /// If it is not declared: that is a fault of the test.
    fn table(&self, service: &str, name: &str) -> TableId {
        let found = self.models().iter().find_map(|model| model.find(service, name).map(|table| table.id));
        let Some(table) = found else { panic!("{service}/{name} is not declared") };
        table
    }

    /// Plans a command: a client sends it at `after_ms` from now, and retries until it is answered. Its name is the client's
    /// idempotency key. Without a key each try makes one, as an inbound adapter does.
    ///
    /// # Panics
    /// If the name was used before: the second command would be answered as the first one, and never be carried out.
    fn send(
        &mut self,
        after_ms: u64,
        name: &str,
        to: (&'static str, &'static str),
        key: Option<&str>,
        command: Opaque,
        must_exist: bool,
    ) {
        let key = key.map(str::to_owned);
        self.plan_request(after_ms, ClientRequest { name: name.to_owned(), to, key, command, must_exist, tries: 0 });
    }

    /// Plans the rows of a first run, in their order.
    fn seed(&mut self) {
        let models = self.models();
        let first = models.first().map_or("", |model| model.system.name);
        for model in &models {
            let prefix = if model.system.name == first { String::new() } else { format!("{}-", model.system.name) };
            for (place, seed) in model.system.seeds.iter().enumerate() {
                for service in &model.system.services {
                    let Some(resource) = service.resources.iter().find(|resource| resource.name == seed.resource) else {
                        continue;
                    };
                    let new = resource.create.as_ref().and_then(|create| create.make(seed.body.clone()).ok());
                    let table = model.by_type(resource.aggregate).map(|table| model.table_of(table).name);
                    let (Some(new), Some(table)) = (new, table) else { continue };
                    let name = format!("{prefix}seed-{place}");
                    let to = (service.name, table);
                    self.plan_request(
                        0,
                        ClientRequest { name, to, key: new.key, command: new.command, must_exist: false, tries: 0 },
                    );
                }
            }
        }
    }
}
