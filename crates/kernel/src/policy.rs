//! Policies: "whenever event X happens, issue command Y". One named function each; trigger and target are its types.

use crate::aggregate::Aggregate;
use crate::erased::{ErasedTo, Otherwise};
use crate::event::{Event, Seen, Unreadable};
use crate::schema;
use std::any::TypeId;
use std::sync::Arc;

/// A command for one aggregate of the policy's own service.
pub struct To<A: Aggregate> {
    key: String,
    command: Option<A::Command>,
    otherwise: Otherwise,
}

impl<A: Aggregate> To<A> {
    /// Names the aggregate by its business key.
    pub fn key(key: impl Into<String>) -> Self {
        Self { key: key.into(), command: None, otherwise: Otherwise::DeadLetter }
    }

    /// What is asked of it.
    pub fn command(mut self, command: impl Into<A::Command>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// A refusal is an outcome that needs nothing more. Without this, a refused command is a dead letter at once.
    pub fn or_nothing(mut self) -> Self {
        self.otherwise = Otherwise::Nothing;
        self
    }

    /// A refusal is compensated by this command to the same aggregate.
    pub fn or(mut self, compensation: impl Into<A::Command>) -> Self {
        self.otherwise = Otherwise::Compensate(Arc::new(compensation.into()));
        self
    }
}

/// What a policy may return: one command, perhaps one, or several.
pub trait Commands {
    /// The aggregate that is asked.
    type Target: Aggregate;
    /// The commands in order.
    fn into_commands(self) -> Vec<To<Self::Target>>;
}

impl<A: Aggregate> Commands for To<A> {
    type Target = A;
    fn into_commands(self) -> Vec<To<A>> {
        vec![self]
    }
}
impl<A: Aggregate> Commands for Option<To<A>> {
    type Target = A;
    fn into_commands(self) -> Vec<To<A>> {
        self.into_iter().collect()
    }
}
impl<A: Aggregate> Commands for Vec<To<A>> {
    type Target = A;
    fn into_commands(self) -> Vec<To<A>> {
        self
    }
}

/// Where a subscription starts that has no position yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the first event there is.
    Beginning,
    /// At what happens from now on.
    Now,
}

/// A function that is a policy: `fn(&E) -> C` or `fn(&E, &Seen) -> C`. `M` only tells the two apart.
pub trait Policy<E: Event, C: Commands, M>: Send + Sync + 'static {
    /// What is to be done about this event.
    fn react(&self, event: &E, seen: &Seen) -> C;
}

impl<E: Event, C: Commands, F: Fn(&E) -> C + Send + Sync + 'static> Policy<E, C, ()> for F {
    fn react(&self, event: &E, _: &Seen) -> C {
        self(event)
    }
}

impl<E: Event, C: Commands, F: Fn(&E, &Seen) -> C + Send + Sync + 'static> Policy<E, C, Seen> for F {
    fn react(&self, event: &E, seen: &Seen) -> C {
        self(event, seen)
    }
}

type React = dyn Fn(u16, &[u8], &Seen) -> Result<Vec<ErasedTo>, Unreadable> + Send + Sync;

/// A declared policy without its types.
#[derive(Clone)]
pub struct PolicyDef {
    /// The function's name.
    pub name: &'static str,
    /// The sentence that the board shows.
    pub sentence: &'static str,
    /// Where it starts.
    pub from: From,
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
        from: From,
        sentence: &'static str,
        policy: P,
    ) -> Self {
        let react = move |version: u16, json: &[u8], seen: &Seen| {
            let event = E::read(version, json)?;
            Ok(policy.react(&event, seen).into_commands().into_iter().filter_map(erase).collect())
        };
        Self {
            name: schema::last_segment(std::any::type_name::<P>()),
            sentence,
            from,
            event_type: E::event_type().into_owned(),
            target: C::Target::NAME,
            target_type: TypeId::of::<C::Target>(),
            react: Arc::new(react),
        }
    }

    /// The commands that follow from an event.
    pub fn react(&self, version: u16, json: &[u8], seen: &Seen) -> Result<Vec<ErasedTo>, Unreadable> {
        (self.react)(version, json, seen)
    }
}

fn erase<A: Aggregate>(to: To<A>) -> Option<ErasedTo> {
    Some(ErasedTo { key: to.key, command: Arc::new(to.command?), otherwise: to.otherwise })
}
