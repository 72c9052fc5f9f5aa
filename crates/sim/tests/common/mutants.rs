//! Business rules that are wrong on purpose: the checks must fail, though the machine around them is right.

use std::any::TypeId;
use std::sync::Arc;

use kernel::context::{Context, Opaque};
use kernel::erased::{AnyAggregate, DecisionError, ErasedDecision};
use kernel::event::CodecError;
use kernel::schema::Variant;
use kernel::settings::SettingsType;
use kernel::{Outcome, System};
use rcs::delivery::handset::CarrierReply;
use rcs::delivery::{Command, Delivery, RecallState, Status};

/// A way in which a delivery may judge wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misjudged {
    /// A receipt that comes a second time counts a second time.
    ReceiptTwice,
    /// A receipt that comes after a recall was refused counts for nothing.
    ReceiptAfterRefusal,
}

/// The system with that delivery in the place of its own.
pub fn misjudging(mut system: System, how: Misjudged) -> System {
    for def in system.services.iter_mut().flat_map(|service| &mut service.aggregates) {
        if def.of.name() == "device" {
            def.of = Arc::new(Mutant { inner: def.of.clone(), how });
        }
    }
    system
}

struct Mutant {
    inner: Arc<dyn AnyAggregate>,
    how: Misjudged,
}

impl Mutant {
    /// The state that the rule wrongly takes for the present one; none, where nothing is to happen.
    fn believed(&self, now: &Delivery, command: &Command) -> Option<Delivery> {
        let receipt = matches!(command, Command::Hear { reply: CarrierReply::Delivered | CarrierReply::Read, .. });
        match self.how {
            Misjudged::ReceiptTwice if receipt && now.status == Status::Delivered => {
                Some(Delivery { status: Status::Submitted, ..now.clone() })
            }
            Misjudged::ReceiptAfterRefusal if receipt && now.recall == RecallState::Refused => None,
            _ => Some(now.clone()),
        }
    }
}

impl AnyAggregate for Mutant {
    fn decide(&self, now: Option<&Opaque>, command: &Opaque, at: &Context<'_>) -> Result<ErasedDecision, DecisionError> {
        let (Some(state), Some(asked)) = (now.and_then(|now| now.downcast_ref()), command.downcast_ref()) else {
            return self.inner.decide(now, command, at);
        };
        match self.believed(state, asked) {
            Some(believed) => self.inner.decide(Some(&(Arc::new(believed) as Opaque)), command, at),
            None => self.inner.decide(now, &(Arc::new(Command::HearWithdrawn) as Opaque), at),
        }
    }

    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn type_id(&self) -> TypeId {
        AnyAggregate::type_id(self.inner.as_ref())
    }
    fn version(&self) -> u16 {
        self.inner.version()
    }
    fn decode_state(&self, version: u16, json: &[u8]) -> Result<Opaque, CodecError> {
        self.inner.decode_state(version, json)
    }
    fn encode_state(&self, state: &Opaque) -> Result<Vec<u8>, CodecError> {
        self.inner.encode_state(state)
    }
    fn command_version(&self) -> u16 {
        self.inner.command_version()
    }
    fn decode_command(&self, version: u16, json: &[u8]) -> Result<Opaque, CodecError> {
        self.inner.decode_command(version, json)
    }
    fn encode_command(&self, command: &Opaque) -> Result<Vec<u8>, CodecError> {
        self.inner.encode_command(command)
    }
    fn answered(&self, version: u16, effect: &[u8], outcome: Outcome<Vec<u8>>) -> Result<Option<Opaque>, CodecError> {
        self.inner.answered(version, effect, outcome)
    }
    fn commands(&self) -> Vec<Variant> {
        self.inner.commands()
    }
    fn events(&self) -> Vec<Variant> {
        self.inner.events()
    }
    fn port(&self) -> &'static str {
        self.inner.port()
    }
    fn settings(&self) -> SettingsType {
        self.inner.settings()
    }
}
