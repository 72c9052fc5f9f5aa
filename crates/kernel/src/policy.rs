//! Policies: "whenever event X happens, issue command Y". One named function each; trigger and target are its types.

use std::any::TypeId;
use std::sync::Arc;

use crate::aggregate::Aggregate;
use crate::erased::{ErasedCommand, OnRejection};
use crate::event::{CodecError, Event, EventMetadata};

/// A command for one aggregate of the policy's own service.
pub struct CommandFor<A: Aggregate> {
    key: String,
    command: A::Command,
    on_rejection: OnRejection,
}

impl<A: Aggregate> CommandFor<A> {
    /// A command for the aggregate with this business key.
    pub fn new(key: impl Into<String>, command: impl Into<A::Command>) -> Self {
        Self { key: key.into(), command: command.into(), on_rejection: OnRejection::DeadLetter }
    }

    /// A rejection is an outcome that needs nothing more. Without this, a rejected command is a dead letter at once.
    pub fn or_nothing(mut self) -> Self {
        self.on_rejection = OnRejection::Nothing;
        self
    }

    /// A rejection is compensated by this command to the same aggregate.
    pub fn or(mut self, compensation: impl Into<A::Command>) -> Self {
        self.on_rejection = OnRejection::Compensate(Arc::new(compensation.into()));
        self
    }
}

/// What a policy may return: one command, perhaps one, or several.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a policy returns",
    label = "a policy returns `CommandFor<A>`, `Option<CommandFor<A>>` or `Vec<CommandFor<A>>`"
)]
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

/// Where a subscription starts that has no offset yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFrom {
    /// At the first event there is.
    Beginning,
    /// At what happens from now on.
    Now,
}

/// A function that is a policy: `fn(&E) -> C` or `fn(&E, &EventMetadata) -> C`. `M` only tells the two apart.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a policy",
    label = "a policy is `fn(&E) -> C` or `fn(&E, &EventMetadata) -> C`",
    note = "`E` is an event: one of `kernel::events!`, or `impl Event` for what another system publishes",
    note = "`C` is `CommandFor<A>`, `Option<CommandFor<A>>` or `Vec<CommandFor<A>>`"
)]
pub trait Policy<E: Event, C: Commands, M>: Send + Sync + 'static {
    /// What is to be done about this event.
    fn react(&self, event: &E, metadata: &EventMetadata) -> C;
}

impl<E: Event, C: Commands, F: Fn(&E) -> C + Send + Sync + 'static> Policy<E, C, ()> for F {
    fn react(&self, event: &E, _: &EventMetadata) -> C {
        self(event)
    }
}

impl<E: Event, C: Commands, F: Fn(&E, &EventMetadata) -> C + Send + Sync + 'static> Policy<E, C, EventMetadata> for F {
    fn react(&self, event: &E, metadata: &EventMetadata) -> C {
        self(event, metadata)
    }
}

/// A policy's function with its name and its sentence, as [`policies!`](crate::policies!) declares it.
#[derive(Debug, Clone, Copy)]
pub struct Whenever<F> {
    /// The name on the board, in logs and on dead letters.
    pub name: &'static str,
    /// The sentence on the board: "Whenever …, … ".
    pub sentence: &'static str,
    /// The function itself.
    pub react: F,
    from: StartFrom,
    repeats: bool,
}

impl<F> Whenever<F> {
    /// A policy that reacts to every event there is, from the first.
    pub const fn new(name: &'static str, sentence: &'static str, react: F) -> Self {
        Self { name, sentence: sentence.trim_ascii(), react, from: StartFrom::Beginning, repeats: false }
    }

    /// It reacts to what happens from its first start on, and not to what was published before.
    pub fn from_now(self) -> Self {
        Self { from: StartFrom::Now, ..self }
    }

    /// Its target may publish the event that it waits for, and that is meant: it ends by what the aggregate decides. Without
    /// this such a policy is refused when the system starts, because nothing else would end it.
    pub fn repeats(self) -> Self {
        Self { repeats: true, ..self }
    }
}

/// Declares policies: functions whose doc comment is the sentence that the board shows.
///
/// ```ignore
/// kernel::policies! {
///     /// Whenever a message is accepted, it is validated.
///     pub fn validate(accepted: &SendSuccess) -> CommandFor<Validation> {
///         CommandFor::new(&accepted.message_id, Check::from(accepted))
///     }
/// }
/// // and in the service: `.whenever(policies::validate)`
/// ```
///
/// It expands to a constant `validate: Whenever<fn(&SendSuccess) -> CommandFor<Validation>>` with that function, its name and
/// its sentence; the function is called as `(validate.react)(&event)`.
#[macro_export]
macro_rules! policies {
    ($(
        $(#[doc = $sentence:literal])+
        $visibility:vis fn $name:ident($($event:tt : $type:ty),+ $(,)?) -> $commands:ty $body:block
    )+) => { $(
        $(#[doc = $sentence])+
        #[allow(non_upper_case_globals)] // it reads as the function that it is
        $visibility const $name: $crate::policy::Whenever<fn($($type),+) -> $commands> = {
            fn $name($($event: $type),+) -> $commands $body
            $crate::policy::Whenever::new(::core::stringify!($name), ::core::concat!($($sentence),+), $name)
        };
    )+ };
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
    /// Its target may publish the event that it waits for, and that is meant.
    pub repeats: bool,
    /// The event it waits for.
    pub event_type: String,
    /// Name of the aggregate it asks.
    pub target: &'static str,
    /// The Rust type of that aggregate.
    pub target_type: TypeId,
    react: Arc<React>,
}

impl PolicyDef {
    pub(crate) fn new<E: Event, C: Commands + 'static, M, P: Policy<E, C, M>>(policy: Whenever<P>) -> Self {
        let Whenever { name, sentence, react, from, repeats } = policy;
        let react = move |version: u16, json: &[u8], metadata: &EventMetadata| {
            let event = E::read(version, json)?;
            Ok(react.react(&event, metadata).into_commands().into_iter().map(erase).collect())
        };
        Self {
            name,
            sentence,
            from,
            repeats,
            event_type: E::TYPE.to_owned(),
            target: C::Target::NAME,
            target_type: TypeId::of::<C::Target>(),
            react: Arc::new(react),
        }
    }

    /// The commands that follow from an event.
    pub fn react(&self, version: u16, json: &[u8], metadata: &EventMetadata) -> Result<Vec<ErasedCommand>, CodecError> {
        (self.react)(version, json, metadata)
    }
}

fn erase<A: Aggregate>(to: CommandFor<A>) -> ErasedCommand {
    ErasedCommand { key: to.key, command: Arc::new(to.command), on_rejection: to.on_rejection }
}
