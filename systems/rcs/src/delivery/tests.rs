//! Given, when, then: a delivery and the carrier's words, in good and in bad order.

use kernel::kit::{Given, Play, given};
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

/// The steps of a delivery: what was asked of the handset is run by the simulator.
trait Steps: Sized {
    fn played_out(self) -> Self;
    fn cancel(self) -> Self;
    fn status(&self) -> Status;
    fn result(&self) -> Option<&'static str>;
    fn due_in_s(&self, timer: &str) -> i64;
}

impl Steps for Play<Delivery> {
    /// Runs what was asked, and everything the handset says later.
    fn played_out(self) -> Self {
        let (play, later) = self.handled(simulator);
        later.into_iter().fold(play, Self::command)
    }

    fn cancel(self) -> Self {
        self.command(Command::Recall { id: 1 })
    }

    fn status(&self) -> Status {
        self.state().unwrap().status
    }

    fn result(&self) -> Option<&'static str> {
        self.state().unwrap().result()
    }

    fn due_in_s(&self, timer: &str) -> i64 {
        self.timer(timer).unwrap().as_second() - self.now().as_second()
    }
}

fn deliver(letter: Letter) -> Play<Delivery> {
    at(vec![]).play().command(Command::Deliver(Box::new(letter)))
}

fn at(past: Vec<DeliveryEvent>) -> Given<Delivery> {
    given(past).named("msg-1", 9).at(NOW)
}

fn refusal(play: &Play<Delivery>) -> String {
    match play.events().last() {
        Some(DeliveryEvent::RecallRefused(rejected)) => rejected.reason.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_ordinary_number_has_its_message_delivered_with_price_and_the_messages_own_id() {
    let play = deliver(letter("01012341234")).played_out();
    let expected = SendSucceed {
        letter: letter("01012341234"),
        result: "send succeed".into(),
        channel: Channel::Rcs,
        price_won: Some(RcsSettings::default().prices.sms),
    };
    assert_eq!(play.events().last(), Some(&DeliveryEvent::SendSucceed(expected)));
    assert!(play.timers().is_empty(), "what ends at once needs no timer");
}

#[test]
fn number_01_has_no_subscriber_and_fails_for_good() {
    let play = deliver(letter("01000000001")).played_out();
    assert_eq!(play.status(), Status::Failed);
    assert_eq!(play.state().unwrap().reason.as_deref(), Some("no such subscriber"));
}

#[test]
fn number_02_without_rcs_falls_back_or_fails() {
    let plain = deliver(with_fallback("01000000002")).played_out().played_out();
    assert_eq!(plain.status(), Status::Delivered);
    let state = plain.state().unwrap();
    assert_eq!((state.channel, state.price_won), (Channel::Sms, Some(RcsSettings::default().prices.fallback_sms)));
    assert_eq!(deliver(letter("01000000002")).played_out().status(), Status::Failed);
}

#[test]
fn number_03_is_off_and_gets_it_when_it_is_on_again() {
    let (play, later) = deliver(letter("01000000003")).handled(simulator);
    assert_eq!((play.status(), later.len()), (Status::Submitted, 1));
    assert_eq!(later.into_iter().fold(play, Play::command).status(), Status::Delivered);
}

#[test]
fn number_04_is_throttled_three_times_and_then_delivered_after_growing_delays() {
    let mut play = deliver(letter("01000000004"));
    for delay_s in [5, 30, 120] {
        play = play.played_out();
        assert_eq!((play.status(), play.due_in_s("retry")), (Status::Queued, delay_s));
        play = play.due("retry");
    }
    assert_eq!(play.played_out().status(), Status::Delivered);
}

#[test]
fn number_05_sends_its_receipt_twice_and_that_is_nothing_twice() {
    let play = deliver(letter("01000000005")).played_out();
    assert_eq!(play.event_types(), ["Queued", "Submitted", "SendSucceed"]);
}

#[test]
fn number_06_sends_its_receipt_late() {
    let call = HandsetCall::Submit(Box::new(match &deliver(letter("01000000006")).effects()[0] {
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
    let play = deliver(letter("01000000007")).played_out();
    assert_eq!((play.status(), play.due_in_s("validity")), (Status::Submitted, 24 * 3_600));
    let play = play.due("validity");
    assert_eq!(play.status(), Status::Expired);
    assert_eq!(play.event_types(), ["Queued", "Submitted", "SendFailed"]);
}

#[test]
fn number_08_fails_when_the_retries_are_used_up() {
    let mut play = deliver(letter("01000000008"));
    for delay_s in [5, 30, 120, 600] {
        play = play.played_out();
        assert_eq!(play.due_in_s("retry"), delay_s);
        play = play.due("retry");
    }
    let play = play.played_out();
    assert_eq!(play.status(), Status::Failed);
    assert_eq!(play.state().unwrap().reason.as_deref(), Some("retries used up: temporary error"));
}

#[test]
fn number_09_is_delivered_and_its_recall_is_refused() {
    let play = deliver(letter("01000000009")).played_out().cancel().played_out();
    assert_eq!((play.status(), refusal(&play).as_str()), (Status::Delivered, "the carrier does not give it back"));
    assert_eq!(play.result(), Some("send succeed"));
}

#[test]
fn number_10_is_read_and_a_cancel_after_that_is_refused_without_asking() {
    let play = deliver(letter("01000000010")).played_out();
    assert_eq!(play.event_types(), ["Queued", "Submitted", "SendSucceed", "Read"]);
    let play = play.cancel();
    assert_eq!((play.effects().len(), refusal(&play).as_str()), (0, "already read"));
}

#[test]
fn number_11_times_out_is_asked_again_by_the_same_id_and_is_never_sent_twice() {
    let play = deliver(letter("01000000011"));
    let call = |asking| {
        simulator(&play.effects()[0], &EffectCall { id: "call", attempt: 1, asking, version: 1 }, &RcsSettings::default())
    };
    assert_eq!(call(false), Reaction::TimedOut);
    let play = play.played_out();
    assert_eq!(play.event_types(), ["Queued", "Submitted", "SendSucceed"]);
}

#[test]
fn a_message_that_is_known_is_not_sent_a_second_time() {
    let play = deliver(letter("01012341234")).command(Command::Deliver(Box::new(letter("01012341234"))));
    assert_eq!(play.effects().len(), 1);
}

#[test]
fn a_later_weaker_receipt_never_downgrades() {
    let hear = |reply| Command::Hear { asked: FIRST, reply };
    let play = deliver(letter("01012341234")).played_out();
    let weaker = [
        CarrierReply::Accepted,
        CarrierReply::NoRcs,
        CarrierReply::Busy { reason: String::new() },
        CarrierReply::Rejected { reason: String::new() },
    ];
    let play = weaker.into_iter().fold(play, |play, reply| play.command(hear(reply)));
    assert_eq!(play.event_types(), ["Queued", "SendSucceed"]);
}

#[test]
fn a_receipt_after_the_validity_is_believed() {
    let expired = deliver(letter("01000000007")).played_out().due("validity");
    let late = Command::Hear { asked: FIRST, reply: CarrierReply::Delivered };
    assert_eq!(expired.command(late).status(), Status::Delivered);
}

#[test]
fn a_carrier_that_cannot_be_reached_is_tried_again_and_an_unknown_outcome_is_left_to_receipts() {
    let play = deliver(letter("01012341234"));
    let play = play.ends(Outcome::Unreachable);
    assert_eq!(play.due_in_s("retry"), 5);
    let play = deliver(letter("01012341234")).ends(Outcome::Unknown);
    assert_eq!((play.status(), play.due_in_s("validity")), (Status::Submitted, 24 * 3_600));
}

#[test]
fn a_cancel_before_the_message_is_granted_and_nothing_is_sent() {
    let play = at(vec![]).play().cancel();
    assert_eq!((play.status(), play.event_types()), (Status::Canceled, vec!["RecallGranted"]));
    let play = play.command(Command::Deliver(Box::new(letter("01012341234"))));
    assert!(play.effects().is_empty());
}

#[test]
fn a_cancel_while_the_next_try_is_awaited_is_granted_at_once() {
    let play = deliver(letter("01000000008")).played_out().cancel();
    assert_eq!(play.status(), Status::Canceled);
    assert!(play.command(Command::Retry).effects().is_empty());
}

#[test]
fn a_cancel_while_the_submission_is_in_flight_takes_it_back_where_it_has_not_gone_out() {
    let play = deliver(letter("01012341234"));
    at(play.events().to_vec()).when(Command::Recall { id: 1 }).withdraws();
    let play = play.cancel();
    assert_eq!(play.result(), Some("CANCEL"));
    let play = play.ends(Outcome::Withdrawn);
    assert_eq!(play.event_types(), ["Queued", "RecallAsked", "RecallGranted"]);
}

#[test]
fn a_cancel_while_the_submission_is_in_flight_is_decided_when_its_answer_comes() {
    let waiting = || deliver(letter("01012341234")).cancel();
    let delivered = waiting().ends(Outcome::Reply(CarrierReply::Delivered));
    assert_eq!(delivered.event_types(), ["Queued", "RecallAsked", "SendSucceed", "RecallAsked"]);
    assert_eq!(delivered.played_out().status(), Status::Canceled);
    let busy = waiting().ends(Outcome::Reply(CarrierReply::Busy { reason: String::new() }));
    assert_eq!(busy.event_types(), ["Queued", "RecallAsked", "RecallGranted"]);
    let rejected = waiting().ends(Outcome::Reply(CarrierReply::Rejected { reason: "never".into() }));
    assert_eq!(rejected.event_types(), ["Queued", "RecallAsked", "SendFailed", "RecallRefused"]);
}

#[test]
fn after_submission_and_after_delivery_the_carrier_is_asked_and_granted_is_cancel() {
    for to in ["01000000007", "01012341234"] {
        let play = deliver(letter(to)).played_out().cancel();
        assert!(matches!(play.effects(), [HandsetCall::Recall(_)]));
        let play = play.played_out();
        assert_eq!((play.status(), play.result()), (Status::Canceled, Some("CANCEL")));
        assert!(play.cancel().effects().is_empty());
    }
}

#[test]
fn a_cancel_of_what_failed_is_refused() {
    let play = deliver(letter("01000000001")).played_out().cancel();
    assert_eq!(refusal(&play), "it was not delivered");
}

#[test]
fn a_delivery_receipt_after_a_refused_recall_wins() {
    let (play, later) = deliver(letter("01000000006")).handled(simulator);
    let rejected = Command::Hear { asked: Asked::Recall, reply: CarrierReply::RecallRefused { reason: "no".into() } };
    let play = play.cancel().command(rejected);
    let play = later.into_iter().fold(play, Play::command);
    assert_eq!(play.result(), Some("send succeed"));
}

#[test]
fn a_receipt_after_a_granted_recall_changes_nothing() {
    let (play, later) = deliver(letter("01000000006")).handled(simulator);
    let play = later.into_iter().fold(play.cancel().played_out(), Play::command);
    assert_eq!(play.status(), Status::Canceled);
}

#[test]
fn being_read_while_the_recall_is_asked_is_already_read() {
    let read = Command::Hear { asked: FIRST, reply: CarrierReply::Read };
    let play = deliver(letter("01000000007")).played_out().cancel().command(read);
    assert_eq!(refusal(&play), "already read");
    let granted = Command::Hear { asked: Asked::Recall, reply: CarrierReply::RecallGranted };
    assert_eq!(play.command(granted).status(), Status::Delivered);
}

#[test]
fn a_recall_in_doubt_counts_as_refused() {
    let play = deliver(letter("01012341234")).played_out().cancel();
    assert_eq!(refusal(&play.ends(Outcome::Unknown)), "the carrier did not answer");
}

#[test]
fn calls_of_one_carrier_share_its_rate() {
    assert_eq!(deliver(letter("01012341234")).effects()[0].lane().as_deref(), Some("kt"));
}
