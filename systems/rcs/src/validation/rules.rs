//! The rules that a message must keep, named, in the order in which they are checked. All are asked, none stops the others.

use kernel::{Context, Timestamp};
use telecom::{MobileNumber, SenderNumber, check_marks, content, judge};

use super::brand::{Brand, Standing};
use super::chatbot::Chatbot;
use super::consent::Consent;
use super::directory::CarrierOf;
use super::opt_out::OptOut;
use crate::letter::{Category, Finding, Letter};
use crate::settings::{Night, RcsSettings, UnmarkedAd};

/// What a rule looks at.
pub struct Case<'a> {
    /// The message.
    pub letter: &'a Letter,
    /// When it would be sent.
    pub when: Timestamp,
    /// An operator has let it pass although it looks like an advertisement.
    pub released: bool,
    /// The registers, the directory, the zone, and what the installation decided.
    pub context: &'a Context<'a, RcsSettings>,
}

/// A rule: its name for people and how it is checked.
pub struct Rule {
    /// One sentence.
    pub sentence: &'static str,
    /// What is wrong, if anything.
    pub check: fn(&Case<'_>) -> Vec<Found>,
}

/// A finding and what it means for the message.
pub struct Found {
    /// What was found.
    pub finding: Finding,
    /// What follows.
    pub then: Consequence,
}

/// What a finding means for the message, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consequence {
    /// It is noted.
    Noted,
    /// The message waits until then.
    HeldUntil(Timestamp),
    /// The message waits for an operator.
    HeldForOperator,
    /// The message is not sent.
    Rejected,
}

/// All rules in their order.
pub const RULES: [Rule; 10] = [
    Rule { sentence: "the chatbot is registered, active, and belongs to an active brand", check: chatbot_is_active },
    Rule { sentence: "the chatbot is a sender number and never an 010 number", check: chatbot_is_a_sender_number },
    Rule { sentence: "the recipient is a Korean mobile number", check: recipient_is_a_mobile_number },
    Rule { sentence: "the carrier is known and agrees with the directory", check: carrier_agrees },
    Rule { sentence: "the content keeps the limits of its type", check: content_keeps_its_limits },
    Rule { sentence: "an advertisement is marked as the law wants it", check: ad_is_marked },
    Rule { sentence: "the recipient of an advertisement has consented", check: recipient_has_consented },
    Rule { sentence: "the recipient of an advertisement has not opted out", check: recipient_has_not_opted_out },
    Rule { sentence: "an advertisement at night needs night consent", check: night_needs_consent },
    Rule { sentence: "what looks like an advertisement is one", check: no_ad_in_disguise },
];

/// Asks every rule.
pub fn check(case: &Case<'_>) -> Vec<Found> {
    RULES.iter().flat_map(|rule| (rule.check)(case)).collect()
}

fn chatbot_is_active(case: &Case<'_>) -> Vec<Found> {
    let Some(chatbot) = case.context.find::<Chatbot>(&case.letter.chatbot_id) else {
        return vec![rejected("chatbot-unknown", "chatbotId", "the chatbot is not registered")];
    };
    let mut found = Vec::new();
    match case.context.find::<Brand>(&chatbot.brand_id) {
        Some(brand) if brand.status == Standing::Active => {}
        Some(_) => found.push(rejected("brand-inactive", "chatbotId", "the brand of this chatbot is not active")),
        None => found.push(rejected("brand-unknown", "chatbotId", "the brand of this chatbot is not registered")),
    }
    if chatbot.status != Standing::Active {
        found.push(rejected("chatbot-inactive", "chatbotId", "the chatbot is not active"));
    }
    found
}

fn chatbot_is_a_sender_number(case: &Case<'_>) -> Vec<Found> {
    let fault = SenderNumber::parse(&case.letter.chatbot_id).err();
    fault.map(|error| rejected(error.code(), "chatbotId", error.to_string())).into_iter().collect()
}

fn recipient_is_a_mobile_number(case: &Case<'_>) -> Vec<Found> {
    let fault = MobileNumber::parse(&case.letter.user_contact).err();
    fault.map(|error| rejected(error.code(), "userContact", error.to_string())).into_iter().collect()
}

fn carrier_agrees(case: &Case<'_>) -> Vec<Found> {
    let letter = case.letter;
    // Who carries what is no number cannot be asked.
    let carried = MobileNumber::parse(&letter.user_contact).ok().and_then(|number| {
        let question = CarrierOf { number: number.into() };
        case.context.ask(&question)
    });
    let fault = match (letter.mno.as_deref(), letter.carrier(), carried) {
        (None, _, None) => Some(rejected("carrier-missing", "mno", "no carrier is named, and the directory knows none")),
        (Some(name), None, _) => Some(rejected("carrier-unknown", "mno", format!("{name} is not one of skt, kt, lgu"))),
        (Some(_), Some(named), Some(carried)) if named != carried => {
            Some(rejected("carrier-mismatch", "mno", format!("the number is with {carried}, not with {named}")))
        }
        (None, _, Some(_)) | (Some(_), Some(_), _) => None,
    };
    fault.into_iter().collect()
}

fn content_keeps_its_limits(case: &Case<'_>) -> Vec<Found> {
    content::check(&case.letter.content(), content::CURRENT).into_iter().map(breach).collect()
}

fn ad_is_marked(case: &Case<'_>) -> Vec<Found> {
    if !case.is_ad() {
        return Vec::new();
    }
    let text = check_marks(&case.letter.description).into_iter().map(breach);
    // What goes out as a plain message instead is an advertisement as well.
    let fallback = case.letter.fallback.iter().flat_map(|fallback| check_marks(&fallback.text));
    text.chain(fallback.map(|found| rejected(found.code, "fallback.text", found.detail))).collect()
}

fn recipient_has_consented(case: &Case<'_>) -> Vec<Found> {
    if !case.is_ad() || case.consent(Consent::ad) {
        return Vec::new();
    }
    vec![rejected("consent-missing", "userContact", "the recipient has not consented to advertising")]
}

fn recipient_has_not_opted_out(case: &Case<'_>) -> Vec<Found> {
    let opted_out = || case.context.find::<OptOut>(&case.letter.user_contact).is_some_and(|opt_out| opt_out.active());
    if !case.is_ad() || !opted_out() {
        return Vec::new();
    }
    vec![rejected("opted-out", "userContact", "the recipient has opted out of advertising")]
}

fn night_needs_consent(case: &Case<'_>) -> Vec<Found> {
    let Some(morning) = case.context.settings.night_window.hold_until(case.when, case.context.zone) else {
        return Vec::new();
    };
    if !case.is_ad() || case.consent(Consent::night) {
        return Vec::new();
    }
    let then = match case.context.settings.night {
        Night::Hold => Consequence::HeldUntil(morning),
        Night::Refuse => Consequence::Rejected,
    };
    let finding = Finding::new("night-consent-missing", "userContact", "advertising at night needs the separate night consent");
    vec![Found { finding, then }]
}

fn no_ad_in_disguise(case: &Case<'_>) -> Vec<Found> {
    if case.is_ad() {
        return Vec::new();
    }
    let judgement = judge(&case.letter.description);
    if !judgement.advertising {
        return Vec::new();
    }
    let then = match case.context.settings.unmarked_ad {
        _ if case.released => Consequence::Noted,
        UnmarkedAd::LetThrough => Consequence::Noted,
        UnmarkedAd::Hold => Consequence::HeldForOperator,
        UnmarkedAd::Refuse => Consequence::Rejected,
    };
    let why = format!("it looks like an advertisement (rules {}: {})", judgement.version, judgement.rules.join(", "));
    vec![Found { finding: Finding::new("advert-unmarked", "description", why), then }]
}

impl Case<'_> {
    fn is_ad(&self) -> bool {
        self.letter.category == Category::Ad
    }

    fn consent(&self, given: fn(&Consent) -> bool) -> bool {
        self.context.find::<Consent>(&self.letter.user_contact).is_some_and(|consent| given(&consent))
    }
}

fn rejected(code: &'static str, field: &str, detail: impl Into<String>) -> Found {
    Found { finding: Finding::new(code, field, detail), then: Consequence::Rejected }
}

fn breach(finding: telecom::Finding) -> Found {
    Found { finding: finding.into(), then: Consequence::Rejected }
}
