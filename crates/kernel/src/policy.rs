//! Policies: "whenever event X happens, issue command Y". One named function each; trigger and target are its types.

use crate::aggregate::Aggregate;
use crate::erased::{ErasedCommand, OnRejection};
use crate::event::{CodecError, Event, EventMetadata};
use crate::schema;
use std::any::TypeId;
use std::sync::Arc;

/// A command for one aggregate of the policy's own service.
pub struct CommandFor<A: Aggregate> {
    key: String,
    command: Option<A::Command>,
    on_rejection: OnRejection,
}

impl<A: Aggregate> CommandFor<A> {
    /// Names the aggregate by its business key.
    pub fn key(key: impl Into<String>) -> Self {
        Self { key: key.into(), command: None, on_rejection: OnRejection::DeadLetter }
    }

    /// What is asked of it.
    pub fn command(mut self, command: impl Into<A::Command>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// A refusal is an outcome that needs nothing more. Without this, a refused command is a dead letter at once.
    pub fn or_nothing(mut self) -> Self {
        self.on_rejection = OnRejection::Nothing;
        self
    }

    /// A refusal is compensated by this command to the same aggregate.
    pub fn or(mut self, compensation: impl Into<A::Command>) -> Self {
        self.on_rejection = OnRejection::Compensate(Arc::new(compensation.into()));
        self
    }
}

/// What a policy may return: one command, perhaps one, or several.
pub trait Commands {
    /// The aggregate that is asked.
    type Target: Aggregate;
    /// The commands in order.
    fn into_commands(self) -> Vec<CommandFor<Self::Target>>;
}

impl<A: Aggregate> Commands for CommandFor<A> {
    type Target = A;
    fn into_commands(self) -> Vec<CommandFor<A>> {
        vec![self]
    }
}
impl<A: Aggregate> Commands for Option<CommandFor<A>> {
    type Target = A;
    fn into_commands(self) -> Vec<CommandFor<A>> {
        self.into_iter().collect()
    }
}
impl<A: Aggregate> Commands for Vec<CommandFor<A>> {
    type Target = A;
    fn into_commands(self) -> Vec<CommandFor<A>> {
        self
    }
}

/// Where a subscription starts that has no position yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFrom {
    /// At the first event there is.
    Beginning,
    /// At what happens from now on.
    Now,
}

/// A function that is a policy: `fn(&E) -> C` or `fn(&E, &EventMetadata) -> C`. `M` only tells the two apart.
pub trait Policy<E: Event, C: Commands, M>: Send + Sync + 'static {
    /// What is to be done about this event.
    fn react(&self, event: &E, seen: &EventMetadata) -> C;
}

impl<E: Event, C: Commands, F: Fn(&E) -> C + Send + Sync + 'static> Policy<E, C, ()> for F {
    fn react(&self, event: &E, _: &EventMetadata) -> C {
        self(event)
    }
}

impl<E: Event, C: Commands, F: Fn(&E, &EventMetadata) -> C + Send + Sync + 'static> Policy<E, C, EventMetadata> for F {
    fn react(&self, event: &E, seen: &EventMetadata) -> C {
        self(event, seen)
    }
}

type React = dyn Fn(u16, &[u8], &EventMetadata) -> Result<Vec<ErasedCommand>, CodecError> + Send + Sync;

/// A declared policy without its types.
#[derive(Clone)]
pub struct PolicyDef {
    /// The function's name.
    pub name: &'static str,
    /// The sentence that the board shows.
    pub sentence: &'static str,
    /// Where it starts.
    pub from: StartFrom,
    /// The event it waits for.
    pub event_type: String,
    /// Name of the aggregate it asks.
    pub target: &'static str,
    /// The Rust type of that aggregate.
    pub target_type: TypeId,
    react: Arc<React>,
}

impl PolicyDef {
    pub(crate) fn of<E: Event, C: Commands + 'static, M, P: Policy<E, C, M>>(
        from: StartFrom,
        sentence: &'static str,
        policy: P,
    ) -> Self {
        let react = move |version: u16, json: &[u8], seen: &EventMetadata| {
            let event = E::read(version, json)?;
            Ok(policy.react(&event, seen).into_commands().into_iter().filter_map(erase).collect())
        };
        Self {
            name: schema::last_segment(std::any::type_name::<P>()),
            sentence,
            from,
            event_type: E::TYPE.to_owned(),
            target: C::Target::NAME,
            target_type: TypeId::of::<C::Target>(),
            react: Arc::new(react),
        }
    }

    /// The commands that follow from an event.
    pub fn react(&self, version: u16, json: &[u8], seen: &EventMetadata) -> Result<Vec<ErasedCommand>, CodecError> {
        (self.react)(version, json, seen)
    }
}

fn erase<A: Aggregate>(to: CommandFor<A>) -> Option<ErasedCommand> {
    Some(ErasedCommand { key: to.key, command: Arc::new(to.command?), on_rejection: to.on_rejection })
}
