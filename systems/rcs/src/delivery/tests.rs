//! Given, when, then: a delivery and the carrier's words, in good and in bad order.

use kernel::aggregate::TimerChange;
use kernel::kit::{Given, Then, given};
use kernel::{Effect, EffectCall, Reaction};

use super::handset::simulator;
use super::*;
use crate::letter::{Fallback, FallbackType};
use crate::settings::RcsSettings;

const NOW: &str = "2024-09-23T03:00:00Z";
const FIRST: Asked = Asked::Submission { channel: Channel::Rcs, attempt: 1 };

fn letter(to: &str) -> Letter {
    Letter {
        id: 1,
        message_id: "msg-1".into(),
        user_contact: to.into(),
        mno: Some("kt".into()),
        chatbot_id: "0801234567".into(),
        description: "test".into(),
        ..Letter::default()
    }
}

fn with_fallback(to: &str) -> Letter {
    Letter { fallback: Some(Fallback { kind: FallbackType::Sms, text: "plain".into() }), ..letter(to) }
}

/// A delivery that is played through step by step, as the runtime would.
struct Play {
    past: Vec<DeliveryEvent>,
    state: Option<Delivery>,
    effects: Vec<HandsetCall>,
    timers: Vec<TimerChange<Command>>,
    withdrawn: bool,
}

impl Play {
    fn of(letter: Letter) -> Self {
        let play = Self { past: vec![], state: None, effects: vec![], timers: vec![], withdrawn: false };
        play.then(Command::Deliver(Box::new(letter)))
    }

    fn then(self, command: Command) -> Self {
        let then: Then<Delivery> = at(self.past.clone()).when(command);
        let state = then.after.clone();
        let decision = then.decision();
        let past = self.past.into_iter().chain(decision.events).collect();
        Self { past, state, effects: decision.effects, timers: decision.timers, withdrawn: decision.withdraw }
    }

    /// Runs what was asked of the handset; what it says later is handed back.
    fn run(mut self) -> (Self, Vec<Command>) {
        let effect = self.effects.remove(0);
        let hear = |reply| Delivery::answered(effect.clone(), Outcome::Reply(reply)).unwrap();
        let call =
            |asking| simulator(&effect, &EffectCall { id: "call", attempt: 1, asking, version: 1 }, &RcsSettings::default());
        match call(false) {
            Reaction::Reply { now, later } => (self.then(hear(now)), later.into_iter().map(|later| hear(later.reply)).collect()),
            Reaction::TimedOut => {
                let Reaction::Reply { now, later } = call(true) else { panic!("asked, it must know") };
                (self.then(hear(now)), later.into_iter().map(|later| hear(later.reply)).collect())
            }
            other => panic!("the simulator never says {other:?}"),
        }
    }

    /// Runs what was asked, and everything the handset says later.
    fn played_out(self) -> Self {
        let (play, later) = self.run();
        later.into_iter().fold(play, Self::then)
    }

    fn cancel(self) -> Self {
        self.then(Command::Recall { id: 1 })
    }

    fn status(&self) -> Status {
        self.state.as_ref().unwrap().status
    }

    fn names(&self) -> Vec<String> {
        let name = |event: &DeliveryEvent| serde_json::to_value(event).unwrap()["eventType"].as_str().unwrap().to_owned();
        self.past.iter().map(name).collect()
    }

    fn due_in_s(&self, timer: &str) -> i64 {
        let due = self.timers.iter().find_map(|change| match change {
            TimerChange::Set { name, due, .. } if name == timer => Some(*due),
            _ => None,
        });
        due.unwrap().as_second() - NOW.parse::<Timestamp>().unwrap().as_second()
    }
}

fn at(past: Vec<DeliveryEvent>) -> Given<Delivery> {
    given(past).named("msg-1", 9).at(NOW)
}

fn refusal(play: &Play) -> String {
    match play.past.last() {
        Some(DeliveryEvent::RecallRefused(rejected)) => rejected.reason.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_ordinary_number_has_its_message_delivered_with_price_and_the_messages_own_id() {
    let play = Play::of(letter("01012341234")).played_out();
    let expected = SendSucceed {
        letter: letter("01012341234"),
        result: "send succeed".into(),
        channel: Channel::Rcs,
        price_won: Some(RcsSettings::default().prices.sms),
    };
    assert_eq!(play.past.last(), Some(&DeliveryEvent::SendSucceed(expected)));
    assert!(play.timers.is_empty(), "what ends at once needs no timer");
}

#[test]
fn number_01_has_no_subscriber_and_fails_for_good() {
    let play = Play::of(letter("01000000001")).played_out();
    assert_eq!(play.status(), Status::Failed);
    assert_eq!(play.state.unwrap().reason.as_deref(), Some("no such subscriber"));
}

#[test]
fn number_02_without_rcs_falls_back_or_fails() {
    let plain = Play::of(with_fallback("01000000002")).played_out().played_out();
    assert_eq!(plain.status(), Status::Delivered);
    let state = plain.state.unwrap();
    assert_eq!((state.channel, state.price_won), (Channel::Sms, Some(RcsSettings::default().prices.fallback_sms)));
    assert_eq!(Play::of(letter("01000000002")).played_out().status(), Status::Failed);
}

#[test]
fn number_03_is_off_and_gets_it_when_it_is_on_again() {
    let (play, later) = Play::of(letter("01000000003")).run();
    assert_eq!((play.status(), later.len()), (Status::Submitted, 1));
    assert_eq!(later.into_iter().fold(play, Play::then).status(), Status::Delivered);
}

#[test]
fn number_04_is_throttled_three_times_and_then_delivered_after_growing_delays() {
    let mut play = Play::of(letter("01000000004"));
    for delay_s in [5, 30, 120] {
        play = play.played_out();
        assert_eq!((play.status(), play.due_in_s("retry")), (Status::Queued, delay_s));
        play = play.then(Command::Retry);
    }
    assert_eq!(play.played_out().status(), Status::Delivered);
}

#[test]
fn number_05_sends_its_receipt_twice_and_that_is_nothing_twice() {
    let play = Play::of(letter("01000000005")).played_out();
    assert_eq!(play.names(), ["Queued", "Submitted", "SendSucceed"]);
}

#[test]
fn number_06_sends_its_receipt_late() {
    let call = HandsetCall::Submit(Box::new(match &Play::of(letter("01000000006")).effects[0] {
        HandsetCall::Submit(submit) => (**submit).clone(),
        HandsetCall::Recall(_) => panic!("nothing to recall"),
    }));
    let Reaction::Reply { later, .. } =
        simulator(&call, &EffectCall { id: "call", attempt: 1, asking: false, version: 1 }, &RcsSettings::default())
    else {
        panic!("no answer")
    };
    assert_eq!(later[0].after.as_secs(), 10);
}

#[test]
fn number_07_never_sends_a_receipt_and_expires_at_the_end_of_its_validity() {
    let play = Play::of(letter("01000000007")).played_out();
    assert_eq!((play.status(), play.due_in_s("validity")), (Status::Submitted, 24 * 3_600));
    let play = play.then(Command::Expire);
    assert_eq!(play.status(), Status::Expired);
    assert_eq!(play.names(), ["Queued", "Submitted", "SendFailed"]);
}

#[test]
fn number_08_fails_when_the_retries_are_used_up() {
    let mut play = Play::of(letter("01000000008"));
    for delay_s in [5, 30, 120, 600] {
        play = play.played_out();
        assert_eq!(play.due_in_s("retry"), delay_s);
        play = play.then(Command::Retry);
    }
    let play = play.played_out();
    assert_eq!(play.status(), Status::Failed);
    assert_eq!(play.state.unwrap().reason.as_deref(), Some("retries used up: temporary error"));
}

#[test]
fn number_09_is_delivered_and_its_recall_is_refused() {
    let play = Play::of(letter("01000000009")).played_out().cancel().played_out();
    assert_eq!((play.status(), refusal(&play).as_str()), (Status::Delivered, "the carrier does not give it back"));
    assert_eq!(play.state.unwrap().result(), Some("send succeed"));
}

#[test]
fn number_10_is_read_and_a_cancel_after_that_is_refused_without_asking() {
    let play = Play::of(letter("01000000010")).played_out();
    assert_eq!(play.names(), ["Queued", "Submitted", "SendSucceed", "Read"]);
    let play = play.cancel();
    assert_eq!((play.effects.len(), refusal(&play).as_str()), (0, "already read"));
}

#[test]
fn number_11_times_out_is_asked_again_by_the_same_id_and_is_never_sent_twice() {
    let play = Play::of(letter("01000000011"));
    let call =
        |asking| simulator(&play.effects[0], &EffectCall { id: "call", attempt: 1, asking, version: 1 }, &RcsSettings::default());
    assert_eq!(call(false), Reaction::TimedOut);
    let play = play.played_out();
    assert_eq!(play.names(), ["Queued", "Submitted", "SendSucceed"]);
}

#[test]
fn a_message_that_is_known_is_not_sent_a_second_time() {
    let play = Play::of(letter("01012341234")).then(Command::Deliver(Box::new(letter("01012341234"))));
    assert!(play.effects.is_empty());
}

#[test]
fn a_later_weaker_receipt_never_downgrades() {
    let hear = |reply| Command::Hear { asked: FIRST, reply };
    let play = Play::of(letter("01012341234")).played_out();
    let weaker = [
        CarrierReply::Accepted,
        CarrierReply::NoRcs,
        CarrierReply::Busy { reason: String::new() },
        CarrierReply::Rejected { reason: String::new() },
    ];
    let play = weaker.into_iter().fold(play, |play, reply| play.then(hear(reply)));
    assert_eq!(play.names(), ["Queued", "SendSucceed"]);
}

#[test]
fn a_receipt_after_the_validity_is_believed() {
    let expired = Play::of(letter("01000000007")).played_out().then(Command::Expire);
    let late = Command::Hear { asked: FIRST, reply: CarrierReply::Delivered };
    assert_eq!(expired.then(late).status(), Status::Delivered);
}

#[test]
fn a_carrier_that_cannot_be_reached_is_tried_again_and_an_unknown_outcome_is_left_to_receipts() {
    let play = Play::of(letter("01012341234"));
    let effect = play.effects[0].clone();
    let unreachable = Delivery::answered(effect.clone(), Outcome::Unreachable).unwrap();
    let play = play.then(unreachable);
    assert_eq!(play.due_in_s("retry"), 5);
    let unknown = Delivery::answered(effect, Outcome::Unknown).unwrap();
    let play = Play::of(letter("01012341234")).then(unknown);
    assert_eq!((play.status(), play.due_in_s("validity")), (Status::Submitted, 24 * 3_600));
}

#[test]
fn a_cancel_before_the_message_is_granted_and_nothing_is_sent() {
    let play = Play { past: vec![], state: None, effects: vec![], timers: vec![], withdrawn: false }.cancel();
    assert_eq!((play.status(), play.names()), (Status::Canceled, vec!["RecallGranted".to_owned()]));
    let play = play.then(Command::Deliver(Box::new(letter("01012341234"))));
    assert!(play.effects.is_empty());
}

#[test]
fn a_cancel_while_the_next_try_is_awaited_is_granted_at_once() {
    let play = Play::of(letter("01000000008")).played_out().cancel();
    assert_eq!(play.status(), Status::Canceled);
    assert!(play.then(Command::Retry).effects.is_empty());
}

#[test]
fn a_cancel_while_the_submission_is_in_flight_takes_it_back_where_it_has_not_gone_out() {
    let play = Play::of(letter("01012341234"));
    let effect = play.effects[0].clone();
    let play = play.cancel();
    assert!(play.withdrawn);
    assert_eq!(play.state.as_ref().unwrap().result(), Some("CANCEL"));
    let play = play.then(Delivery::answered(effect, Outcome::Withdrawn).unwrap());
    assert_eq!(play.names(), ["Queued", "RecallAsked", "RecallGranted"]);
}

#[test]
fn a_cancel_while_the_submission_is_in_flight_is_decided_when_its_answer_comes() {
    let hear = |reply| Command::Hear { asked: FIRST, reply };
    let waiting = || Play::of(letter("01012341234")).cancel();
    let delivered = waiting().then(hear(CarrierReply::Delivered));
    assert_eq!(delivered.names(), ["Queued", "RecallAsked", "SendSucceed", "RecallAsked"]);
    assert_eq!(delivered.played_out().status(), Status::Canceled);
    let busy = waiting().then(hear(CarrierReply::Busy { reason: String::new() }));
    assert_eq!(busy.names(), ["Queued", "RecallAsked", "RecallGranted"]);
    let rejected = waiting().then(hear(CarrierReply::Rejected { reason: "never".into() }));
    assert_eq!(rejected.names(), ["Queued", "RecallAsked", "SendFailed", "RecallRefused"]);
}

#[test]
fn after_submission_and_after_delivery_the_carrier_is_asked_and_granted_is_cancel() {
    for to in ["01000000007", "01012341234"] {
        let play = Play::of(letter(to)).played_out().cancel();
        assert!(matches!(play.effects.as_slice(), [HandsetCall::Recall(_)]));
        let play = play.played_out();
        assert_eq!((play.status(), play.state.as_ref().unwrap().result()), (Status::Canceled, Some("CANCEL")));
        assert!(play.cancel().effects.is_empty());
    }
}

#[test]
fn a_cancel_of_what_failed_is_refused() {
    let play = Play::of(letter("01000000001")).played_out().cancel();
    assert_eq!(refusal(&play), "it was not delivered");
}

#[test]
fn a_delivery_receipt_after_a_refused_recall_wins() {
    let (play, later) = Play::of(letter("01000000006")).run();
    let rejected = Command::Hear { asked: Asked::Recall, reply: CarrierReply::RecallRefused { reason: "no".into() } };
    let play = play.cancel().then(rejected);
    let play = later.into_iter().fold(play, Play::then);
    assert_eq!(play.state.unwrap().result(), Some("send succeed"));
}

#[test]
fn a_receipt_after_a_granted_recall_changes_nothing() {
    let (play, later) = Play::of(letter("01000000006")).run();
    let play = later.into_iter().fold(play.cancel().played_out(), Play::then);
    assert_eq!(play.status(), Status::Canceled);
}

#[test]
fn being_read_while_the_recall_is_asked_is_already_read() {
    let read = Command::Hear { asked: FIRST, reply: CarrierReply::Read };
    let play = Play::of(letter("01000000007")).played_out().cancel().then(read);
    assert_eq!(refusal(&play), "already read");
    let granted = Command::Hear { asked: Asked::Recall, reply: CarrierReply::RecallGranted };
    assert_eq!(play.then(granted).status(), Status::Delivered);
}

#[test]
fn a_recall_whose_outcome_nobody_knows_counts_as_refused() {
    let play = Play::of(letter("01012341234")).played_out().cancel();
    let unknown = Delivery::answered(play.effects[0].clone(), Outcome::Unknown).unwrap();
    assert_eq!(refusal(&play.then(unknown)), "the carrier did not answer");
}

#[test]
fn calls_of_one_carrier_share_its_rate() {
    assert_eq!(Play::of(letter("01012341234")).effects[0].lane().as_deref(), Some("kt"));
}
