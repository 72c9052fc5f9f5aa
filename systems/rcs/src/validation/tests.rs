//! Given, when, then: what validator says about a message, rule by rule, and when.

use jiff::tz::TimeZone;
use kernel::Timestamp;
use kernel::aggregate::TimerChange;
use kernel::kit::{Given, Then, given};
use telecom::{Carrier, MessageType};

use super::brand::{Brand, Standing};
use super::chatbot::Chatbot;
use super::consent::{self, Consent};
use super::directory::CarrierOf;
use super::opt_out::{self, OptOut};
use super::*;
use crate::letter::{Button, Category, Fallback, FallbackType};
use crate::settings::{Night, UnmarkedAd};

const NOON: &str = "2024-09-23T12:00:00+09:00";
const NIGHT: &str = "2024-09-23T22:00:00+09:00";
const MORNING: &str = "2024-09-24T08:00:00+09:00";
const AD: &str = "(광고) 가을 할인 무료수신거부 0801234567";
const DISGUISED: &str = "전품목 50% 할인 세일! 오늘만 선착순 쿠폰 증정 이벤트";

fn letter() -> Letter {
    Letter {
        id: 1,
        message_id: "msg-1".into(),
        user_contact: "01012341234".into(),
        mno: Some("kt".into()),
        send_time: Some("2024-09-23".into()),
        chatbot_id: "0801234567".into(),
        description: "test".into(),
        ..Letter::default()
    }
}

fn ad() -> Letter {
    Letter { category: Category::Ad, description: AD.into(), ..letter() }
}

fn brand(status: Standing) -> Brand {
    Brand { name: "Pabal".into(), brand_id: "pabal".into(), status }
}

fn chatbot(status: Standing) -> Chatbot {
    Chatbot { chatbot_id: "0801234567".into(), brand_id: "pabal".into(), name: String::new(), status }
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn consent(night: bool) -> Consent {
    let change = consent::Change { ad: true, night, source: "app".into(), at: instant(NOON) };
    Consent { user_contact: "01012341234".into(), history: vec![change] }
}

fn opt_out() -> OptOut {
    let change = opt_out::Change { active: true, source: "080".into(), at: instant(NOON) };
    OptOut { user_contact: "01012341234".into(), history: vec![change] }
}

/// The registers as on a first run.
fn after(past: Vec<ValidationEvent>, now: &str) -> Given<Validation> {
    given(past)
        .named("msg-1", 5)
        .at(now)
        .zone(TimeZone::get("Asia/Seoul").unwrap())
        .with("0801234567", chatbot(Standing::Active))
        .with("pabal", brand(Standing::Active))
}

fn check(letter: Letter) -> Command {
    Command::Check(Box::new(letter))
}

fn known(now: &str) -> Given<Validation> {
    after(vec![], now).with("01012341234", consent(false))
}

fn codes(then: &Then<Validation>) -> Vec<&str> {
    then.after.as_ref().unwrap().findings.iter().map(|finding| finding.code.as_str()).collect()
}

fn stands(then: &Then<Validation>) -> Verdict {
    then.after.as_ref().unwrap().outcome
}

fn due(then: &Then<Validation>) -> Option<Timestamp> {
    then.result.as_ref().unwrap().timers.iter().find_map(|change| match change {
        TimerChange::Set { due, .. } => Some(*due),
        TimerChange::Clear { .. } => None,
    })
}

#[test]
fn a_message_in_order_is_the_go_for_any_device_and_keeps_its_own_id() {
    let expected = ValidateSucceed { letter: letter(), policy_info: "passed".into(), findings: vec![] };
    after(vec![], NOON).when(check(letter())).then([ValidationEvent::ValidateSucceed(expected)]);
}

#[test]
fn all_findings_are_collected_in_the_order_of_the_rules_with_stable_codes() {
    let wrong = Letter {
        user_contact: "nobody".into(),
        mno: Some("vodafone".into()),
        chatbot_id: "01012345678".into(),
        description: "x".repeat(101),
        category: Category::Ad,
        ..letter()
    };
    let then = after(vec![], NIGHT).settings(RcsSettings { night: Night::Refuse, ..RcsSettings::default() }).when(check(wrong));
    let expected = [
        "chatbot-unknown",
        "sender-mobile",
        "phone-character",
        "carrier-unknown",
        "body-too-long",
        "advert-mark-missing",
        "advert-optout-missing",
        "consent-missing",
        "night-consent-missing",
    ];
    assert_eq!((codes(&then), stands(&then)), (expected.to_vec(), Verdict::Failed));
    assert!(then.after.unwrap().policy_info.chars().count() <= 255);
}

#[test]
fn the_chatbot_and_its_brand_must_both_be_active() {
    let cases = [
        (Standing::Inactive, Standing::Active, vec!["chatbot-inactive"]),
        (Standing::Active, Standing::Inactive, vec!["brand-inactive"]),
        (Standing::Inactive, Standing::Inactive, vec!["brand-inactive", "chatbot-inactive"]),
    ];
    for (bot, house, expected) in cases {
        let case = after(vec![], NOON).with("0801234567", chatbot(bot)).with("pabal", brand(house));
        assert_eq!(codes(&case.when(check(letter()))), expected);
    }
}

#[test]
fn the_carrier_is_asked_of_the_directory_and_an_unknown_number_keeps_the_one_that_was_named() {
    let question = CarrierOf { number: "01012341234".into() };
    let cases = [
        (Some("kt"), None, vec![]),
        (Some("KT"), Some(Carrier::Kt), vec![]),
        (Some("LG U+"), Some(Carrier::Lgu), vec![]),
        (None, Some(Carrier::Skt), vec![]),
        (Some("kt"), Some(Carrier::Skt), vec!["carrier-mismatch"]),
        (Some("vodafone"), None, vec!["carrier-unknown"]),
        (None, None, vec!["carrier-missing"]),
    ];
    for (mno, carried, expected) in cases {
        let letter = Letter { mno: mno.map(str::to_owned), ..letter() };
        let then = after(vec![], NOON).answering(&question, carried).when(check(letter));
        assert_eq!(codes(&then), expected, "{mno:?} {carried:?}");
    }
}

#[test]
fn the_content_keeps_the_limits_of_its_type() {
    let button = Button { label: "x".repeat(18), url: None };
    let long = Letter { message_type: MessageType::Lms, title: Some("x".repeat(31)), buttons: vec![button; 4], ..letter() };
    let expected = ["title-too-long", "buttons-too-many"].into_iter().chain(["button-label-too-long"; 4]).collect::<Vec<_>>();
    assert_eq!(codes(&after(vec![], NOON).when(check(long))), expected);
    let control = Letter { description: "a\u{7}b".into(), ..letter() };
    assert_eq!(codes(&after(vec![], NOON).when(check(control))), ["control-character"]);
}

#[test]
fn an_advertisement_needs_marks_and_consent_and_no_opt_out() {
    assert_eq!(stands(&known(NOON).when(check(ad()))), Verdict::Succeeded);
    assert_eq!(codes(&after(vec![], NOON).when(check(ad()))), ["consent-missing"]);
    assert_eq!(codes(&known(NOON).with("01012341234", opt_out()).when(check(ad()))), ["opted-out"]);
    let unmarked = Letter { description: "가을".into(), ..ad() };
    assert_eq!(codes(&known(NOON).when(check(unmarked))), ["advert-mark-missing", "advert-optout-missing"]);
    let fallback = Some(Fallback { kind: FallbackType::Sms, text: format!("{AD} 지금") });
    let then = known(NOON).when(check(Letter { fallback, ..ad() }));
    assert_eq!(then.after.unwrap().findings[0].field, "fallback.text");
}

#[test]
fn an_advertisement_at_night_without_night_consent_is_held_until_eight_in_the_morning() {
    let then = known(NIGHT).when(check(ad()));
    assert_eq!((stands(&then), due(&then)), (Verdict::HeldForNight, Some(instant(MORNING))));
    let held = then.decision().events;
    let then = after(held, MORNING).with("01012341234", consent(false)).when(Command::CheckAgain);
    assert_eq!(stands(&then), Verdict::Succeeded);
    let allowed = after(vec![], NIGHT).with("01012341234", consent(true)).when(check(ad()));
    assert_eq!(stands(&allowed), Verdict::Succeeded);
}

#[test]
fn an_advertisement_at_night_is_refused_where_that_is_configured() {
    let settings = RcsSettings { night: Night::Refuse, ..RcsSettings::default() };
    let then = known(NIGHT).settings(settings).when(check(ad()));
    assert_eq!((stands(&then), codes(&then)), (Verdict::Failed, vec!["night-consent-missing"]));
}

#[test]
fn what_looks_like_an_advertisement_is_let_through_held_or_refused_as_configured() {
    let cases = [
        (UnmarkedAd::LetThrough, Verdict::Succeeded),
        (UnmarkedAd::Hold, Verdict::HeldForOperator),
        (UnmarkedAd::Refuse, Verdict::Failed),
    ];
    for (unmarked_ad, expected) in cases {
        let settings = RcsSettings { unmarked_ad, ..RcsSettings::default() };
        let then = after(vec![], NOON).settings(settings).when(check(Letter { description: DISGUISED.into(), ..letter() }));
        assert_eq!((stands(&then), codes(&then)), (expected, vec!["advert-unmarked"]));
    }
    let by_default = after(vec![], NOON).when(check(Letter { description: DISGUISED.into(), ..letter() }));
    assert_eq!(stands(&by_default), Verdict::Succeeded);
}

fn hold() -> RcsSettings {
    RcsSettings { unmarked_ad: UnmarkedAd::Hold, ..RcsSettings::default() }
}

fn held(send_time: &str) -> Vec<ValidationEvent> {
    let letter = Letter { description: DISGUISED.into(), send_time: Some(send_time.into()), ..letter() };
    after(vec![], NOON).settings(hold()).when(check(letter)).decision().events
}

#[test]
fn an_operator_releases_or_refuses_a_held_message() {
    let released = after(held("2024-09-23"), NOON).settings(hold()).when(Command::Release);
    assert_eq!(stands(&released), Verdict::Succeeded);
    let request = Command::Refuse(RejectRequest { reason: Some("no".into()) });
    let rejected = after(held("2024-09-23"), NOON).actor("kim").when(request);
    assert_eq!(codes(&rejected), ["advert-unmarked", "operator-refused"]);
    let passed = after(vec![], NOON).when(check(letter())).decision().events;
    after(passed, NOON).when(Command::Release).rejected(&ValidationRejection::NotHeld);
    after(vec![], NOON).when(Command::Release).rejected(&ValidationRejection::Unknown);
}

#[test]
fn a_released_message_that_is_reserved_still_waits_for_its_time_and_is_not_held_again() {
    let reserved = after(held(MORNING), NOON).settings(hold()).when(Command::Release);
    assert_eq!((stands(&reserved), due(&reserved)), (Verdict::Reserved, Some(instant(MORNING))));
    let then = after(reserved.decision().events, MORNING).settings(hold()).when(Command::CheckAgain);
    assert_eq!(stands(&then), Verdict::Succeeded);
}

#[test]
fn a_reserved_message_is_checked_at_once_and_again_at_its_time() {
    let reserved = Letter { send_time: Some("2024-09-24".into()), ..letter() };
    let then = after(vec![], NOON).when(check(reserved));
    let midnight_in_seoul = instant("2024-09-23T15:00:00Z");
    assert_eq!((stands(&then), due(&then)), (Verdict::Reserved, Some(midnight_in_seoul)));
    let then = after(then.decision().events, "2024-09-23T15:00:00Z").when(Command::CheckAgain);
    assert_eq!(stands(&then), Verdict::Succeeded);
    assert_eq!(then.after.unwrap().letter.send_time.as_deref(), Some("2024-09-24"));
}

#[test]
fn a_reserved_message_that_is_wrong_fails_at_once() {
    let wrong = Letter { send_time: Some(MORNING.into()), user_contact: "1".into(), ..letter() };
    assert_eq!(stands(&after(vec![], NOON).when(check(wrong))), Verdict::Failed);
}

#[test]
fn at_its_time_an_opt_out_the_night_and_the_chatbots_state_count_anew() {
    let reserved = |time: &str| {
        let letter = Letter { send_time: Some(time.into()), ..ad() };
        known(NOON).when(check(letter)).decision().events
    };
    let again = |time: &str| after(reserved(time), time).with("01012341234", consent(false));
    let opted_out = again(MORNING).with("01012341234", opt_out()).when(Command::CheckAgain);
    assert_eq!((stands(&opted_out), codes(&opted_out)), (Verdict::Failed, vec!["opted-out"]));
    let at_night = again(NIGHT).when(Command::CheckAgain);
    assert_eq!((stands(&at_night), due(&at_night)), (Verdict::HeldForNight, Some(instant(MORNING))));
    let inactive = again(MORNING).with("0801234567", chatbot(Standing::Inactive)).when(Command::CheckAgain);
    assert_eq!((stands(&inactive), codes(&inactive)), (Verdict::Failed, vec!["chatbot-inactive"]));
}

#[test]
fn a_time_that_is_past_or_cannot_be_read_means_now() {
    for send_time in [None, Some("2024-09-23"), Some("soon")] {
        let letter = Letter { send_time: send_time.map(str::to_owned), ..letter() };
        assert_eq!(stands(&after(vec![], NOON).when(check(letter))), Verdict::Succeeded);
    }
}

#[test]
fn after_a_cancel_nothing_more_is_said_and_the_timer_is_gone() {
    let stopped = ValidationEvent::ValidationStopped(ValidationStopped { id: 1, message_id: "msg-1".into() });
    let reserved = || {
        let letter = Letter { send_time: Some(MORNING.into()), ..letter() };
        after(vec![], NOON).when(check(letter)).decision().events
    };
    for past in [reserved(), held("2024-09-23")] {
        let then = after(past.clone(), NOON).when(Command::Stop { id: 1 }).then([stopped.clone()]);
        assert!(matches!(then.decision().timers.as_slice(), [TimerChange::Clear { name }] if name == AGAIN));
        let past = past.into_iter().chain([stopped.clone()]).collect::<Vec<_>>();
        after(past, MORNING).when(Command::CheckAgain).nothing();
    }
}

#[test]
fn a_cancel_that_comes_before_its_message_stops_it_too() {
    let then = after(vec![], NOON).when(Command::Stop { id: 1 });
    let past = then.decision().events;
    after(past.clone(), NOON).when(check(letter())).nothing();
    after(past, NOON).when(Command::Stop { id: 1 }).nothing();
}

#[test]
fn a_message_is_checked_once_however_often_it_is_handed_over() {
    let passed = after(vec![], NOON).when(check(letter())).decision().events;
    after(passed.clone(), NOON).when(check(letter())).nothing();
    after(passed, NOON).when(Command::Stop { id: 1 }).nothing();
}
