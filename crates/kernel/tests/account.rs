//! One aggregate with everything that is stored and read again later, through the kit and without its types.
#![allow(missing_docs, clippy::unwrap_used, reason = "a sample, and tests may say what they expect")]

use kernel::event::{CodecError, from_json};
use kernel::kit::given;
use kernel::{
    Aggregate, CommandFor, Context, Decision, Domain, Effect, EffectCall, EventMetadata, Outcome, Reaction, Rejected, Rejection,
    RetrySafety, Service, Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Charged {
    pub won: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failed {}

kernel::events! {
    pub enum AccountEvent { Charged, Failed }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Command {
    Charge(u64),
    Hear(Option<u64>),
    GiveUp,
}

/// Version 1 was the bare amount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Collect {
    pub won: u64,
}

impl Effect for Collect {
    const PORT: &'static str = "bank";
    const VERSION: u16 = 2;
    type Reply = u64;
    fn read(version: u16, json: &[u8]) -> Result<Self, CodecError> {
        if version > 1 { from_json(json) } else { Ok(Self { won: from_json(json)? }) }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct TooMuch;

impl Rejection for TooMuch {
    fn rejected(&self) -> Rejected {
        Rejected::rule("too-much", "that is too much")
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    won: u64,
}

impl Default for Limit {
    fn default() -> Self {
        Self { won: 100 }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    won: u64,
}

impl Aggregate for Account {
    const NAME: &'static str = "account";
    const COMMAND_VERSION: u16 = 2;
    type Command = Command;
    type Event = AccountEvent;
    type Effect = Collect;
    type Rejection = TooMuch;
    type Settings = Limit;

    fn decide(_: Option<&Self>, command: &Command, context: &Context<'_, Limit>) -> Result<Decision<Self>, TooMuch> {
        let later = Timestamp::from_second(context.now.as_second() + 60).unwrap();
        Ok(match command {
            Command::Charge(won) if *won > context.settings.won => return Err(TooMuch),
            Command::Charge(won) => Decision::nothing().effect(Collect { won: *won }).timer("giveUp", later, Command::GiveUp),
            Command::Hear(Some(won)) => Decision::event(Charged { won: *won }).clear("giveUp"),
            Command::Hear(None) => Decision::event(Failed {}),
            Command::GiveUp => Decision::event(Failed {}).withdraw(),
        })
    }

    fn evolve(now: Option<Self>, event: &AccountEvent) -> Option<Self> {
        let account = now.unwrap_or_default();
        Some(match event {
            AccountEvent::Charged(charged) => Self { won: account.won + charged.won },
            AccountEvent::Failed(_) => account,
        })
    }

    fn answered(_: Collect, outcome: Outcome<u64>) -> Option<Command> {
        match outcome {
            Outcome::Reply(won) => Some(Command::Hear(Some(won))),
            Outcome::Unreachable | Outcome::Unknown => Some(Command::Hear(None)),
            Outcome::Withdrawn => None,
        }
    }

    /// Version 1 knew the amount alone.
    fn read_command(version: u16, json: &[u8]) -> Result<Command, CodecError> {
        if version > 1 { from_json(json) } else { Ok(Command::Charge(from_json(json)?)) }
    }
}

kernel::policies! {
    /// Whenever an account was charged,
    /// it is charged again.
    fn again(charged: &Charged, _: &EventMetadata) -> CommandFor<Account> {
        CommandFor::new("kim", Command::Charge(charged.won))
    }
}

const NOW: &str = "2024-09-23T00:00:00Z";

fn bank(collect: &Collect, call: &EffectCall<'_>, _: &Limit) -> Reaction<u64> {
    if call.asking { Reaction::reply(collect.won) } else { Reaction::TimedOut }
}

#[test]
fn a_command_and_an_effect_of_an_older_version_are_upcast() {
    let service = Service::new("bank", 1, Domain::Core, "").aggregate::<Account>();
    let account = &service.aggregates[0].of;
    let charge = account.decode_command(1, b"7").unwrap();
    assert_eq!(charge.downcast_ref(), Some(&Command::Charge(7)));
    assert_eq!((account.command_version(), account.encode_command(&charge).unwrap()), (2, br#"{"Charge":7}"#.to_vec()));
    let heard = account.answered(1, b"7", Outcome::Reply(b"7".to_vec())).unwrap().unwrap();
    assert_eq!(heard.downcast_ref(), Some(&Command::Hear(Some(7))));
    let service = service.effect_handler(RetrySafety::Queryable, bank);
    let call = EffectCall { id: "1", attempt: 1, asking: true, version: 1 };
    assert_eq!(service.effect_handlers[0].call(b"7", &call).unwrap(), Reaction::reply(b"7".to_vec()));
}

#[test]
fn settings_that_are_not_declared_are_a_fault_and_no_default() {
    struct Nothing;
    impl kernel::context::Lookup for Nothing {
        fn row(&self, _: std::any::TypeId, _: &str) -> Option<kernel::context::Opaque> {
            None
        }
        fn answer(&self, _: &'static str, _: String) -> Option<kernel::context::Opaque> {
            None
        }
        fn settings(&self) -> Option<&kernel::context::Opaque> {
            None
        }
    }
    let service = Service::new("bank", 1, Domain::Core, "").aggregate::<Account>();
    let zone = jiff::tz::TimeZone::UTC;
    let context = Context::new(Timestamp::UNIX_EPOCH, &zone, 1, "kim", "", &Nothing);
    let charge = std::sync::Arc::new(Command::Charge(7)) as kernel::context::Opaque;
    let decided = service.aggregates[0].of.decide(None, &charge, &context).map(drop);
    let fault = kernel::erased::DecisionError::Fault("account reads settings that its system does not declare".into());
    assert_eq!(decided, Err(fault));
}

#[test]
fn a_policy_has_its_sentence_its_name_and_its_function() {
    assert_eq!((again.name, again.sentence), ("again", "Whenever an account was charged, it is charged again."));
    let service = Service::new("bank", 1, Domain::Core, "").aggregate::<Account>().whenever(again.from_now().repeats());
    let policy = &service.policies[0];
    assert_eq!((policy.event_type.as_str(), policy.target, policy.repeats), ("Charged", "account", true));
    let metadata = EventMetadata {
        id: "1".into(),
        source: "bank".into(),
        event_type: "Charged".into(),
        key: "kim".into(),
        time: Timestamp::UNIX_EPOCH,
    };
    let commands = policy.react(1, br#"{"eventType":"Charged","won":7}"#, &metadata).unwrap();
    assert_eq!(commands[0].command.downcast_ref(), Some(&Command::Charge(7)));
}

#[test]
fn effects_timers_and_withdrawals_are_asserted() {
    let then = given::<Account>([]).at(NOW).when(Command::Charge(7)).nothing();
    then.effects([Collect { won: 7 }]).sets("giveUp", "2024-09-23T00:01:00Z", Command::GiveUp);
    given::<Account>([]).when(Command::Hear(Some(7))).then([Charged { won: 7 }.into()]).effects([]).clears("giveUp");
    given::<Account>([]).when(Command::GiveUp).no_timers().withdraws();
    given::<Account>([]).settings(Limit { won: 1 }).when(Command::Charge(2)).rejected(&TooMuch);
}

#[test]
fn what_a_step_leaves_is_there_for_the_next() {
    let play = given::<Account>([]).at(NOW).play().command(Command::Charge(7));
    assert_eq!((play.effects(), play.timers()), (&[Collect { won: 7 }][..], vec!["giveUp"]));
    let (play, later) = play.handled(bank);
    assert_eq!((play.event_types(), play.timers(), later.len()), (vec!["Charged"], vec![], 0));
    let play = play.command(Command::Charge(5)).due("giveUp");
    assert_eq!(play.now().to_string(), "2024-09-23T00:01:00Z");
    let play = play.ends(Outcome::Withdrawn);
    assert_eq!((play.event_types(), play.state()), (vec!["Charged", "Failed"], Some(&Account { won: 7 })));
}

#[test]
#[should_panic(expected = "`tomorrow` is not a time in RFC 3339")]
fn a_text_that_is_no_time_is_refused() {
    let _ = given::<Account>([]).at("tomorrow");
}

#[test]
#[should_panic(expected = "no timer `other` is set; there is [\"giveUp\"]")]
fn a_timer_that_is_not_set_is_not_due() {
    let _ = given::<Account>([]).play().command(Command::Charge(1)).due("other");
}
