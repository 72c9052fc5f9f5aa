//! What a message may contain: its types, and their limits as versioned data.
//!
//! Limits change when carriers revise their product, so they stand in [`EDITIONS`] and not in
//! code. Source: the public RCS documentation of NHN Cloud (RCS Bizmessage).
//!
//! **How characters are counted.** One Unicode scalar value is one character, and a line end is
//! one, however it is written (`\r\n` is `\n`). Nothing else is changed before counting: the
//! text is not trimmed, and not composed, so Hangul that arrives as separate jamo counts each
//! jamo, and an emoji made of several scalar values counts each. The marks of an advertisement
//! are part of the text and count as well.
//!
//! **Control characters** are refused: Unicode category Cc, and the signs that turn the
//! direction of writing, since they let a handset show another text than the one that was
//! checked. The body may have line ends and tabs; titles and labels are one line and may not.

use crate::finding::Finding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind of a message; it decides limits and price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    /// A short text.
    #[default]
    Sms,
    /// A long text with a title.
    Lms,
    /// A long text with a title and media.
    Mms,
    /// A text made from a registered template.
    Template,
}

/// What a message says, borrowed from wherever it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content<'a> {
    /// Its kind.
    pub message_type: MessageType,
    /// The title; empty for none.
    pub title: &'a str,
    /// The text.
    pub body: &'a str,
    /// The label of each button, in order.
    pub button_labels: Vec<&'a str>,
}

/// The limits of one message type. `None` is a limit this edition does not set, and which is
/// therefore not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest title, in characters.
    pub title_chars: Option<usize>,
    /// Longest body, in characters.
    pub body_chars: usize,
    /// Most buttons.
    pub buttons: Option<usize>,
    /// Longest label of a button, in characters.
    pub button_label_chars: usize,
}

/// The limits of all types, as they stood at one revision of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edition {
    /// Number of the edition; a stored judgement names it.
    pub version: u32,
    /// Its name for people.
    pub name: &'static str,
    /// Limits of [`MessageType::Sms`].
    pub sms: Limits,
    /// Limits of [`MessageType::Lms`].
    pub lms: Limits,
    /// Limits of [`MessageType::Mms`].
    pub mms: Limits,
    /// Limits of [`MessageType::Template`].
    pub template: Limits,
}

/// RCS Bizmessage as first documented; what is checked unless another edition is asked for.
pub const CLASSIC: Edition = edition(1, "rcs-bizmessage", 17);

/// The later "unified RCS". Known of it is the shorter button label; the lengths are carried
/// over from [`CLASSIC`] until they are confirmed.
pub const UNIFIED: Edition = edition(2, "unified-rcs", 7);

/// All editions, by rising version.
pub const EDITIONS: &[Edition] = &[CLASSIC, UNIFIED];

/// The edition in force.
pub const CURRENT: &Edition = &CLASSIC;

/// Checks a message against an edition and returns everything that is wrong with it; empty when
/// nothing is. Codes: `body-too-long`, `title-too-long`, `buttons-too-many`,
/// `button-label-too-long`, `control-character`.
pub fn check(content: &Content<'_>, edition: &Edition) -> Vec<Finding> {
    let limits = edition.limits(content.message_type);
    let mut findings = Vec::new();

    let body_limit = Some(limits.body_chars);
    too_long(&mut findings, "body-too-long", "description", content.body, body_limit);
    control(&mut findings, "description", content.body, Lines::Many);

    too_long(&mut findings, "title-too-long", "title", content.title, limits.title_chars);
    control(&mut findings, "title", content.title, Lines::One);

    let count = content.button_labels.len();
    if let Some(most) = limits.buttons.filter(|most| count > *most) {
        let detail = format!("{count} buttons, {most} allowed");
        findings.push(Finding::new("buttons-too-many", "buttons", detail));
    }
    for (at, label) in content.button_labels.iter().enumerate() {
        let field = format!("buttons[{at}].label");
        let limit = Some(limits.button_label_chars);
        too_long(&mut findings, "button-label-too-long", &field, label, limit);
        control(&mut findings, &field, label, Lines::One);
    }
    findings
}

/// Length of a text in characters, as this module counts them.
pub fn count_chars(text: &str) -> usize {
    text.chars().count() - text.matches("\r\n").count()
}

impl MessageType {
    /// All types, in the order they are listed to people.
    pub const ALL: [Self; 4] = [Self::Sms, Self::Lms, Self::Mms, Self::Template];

    /// The name on the wire: `sms`, `lms`, `mms`, `template`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Lms => "lms",
            Self::Mms => "mms",
            Self::Template => "template",
        }
    }
}

impl Edition {
    /// The edition of a version, if there is one.
    pub fn by_version(version: u32) -> Option<&'static Self> {
        EDITIONS.iter().find(|edition| edition.version == version)
    }

    /// The limits of one type.
    pub fn limits(&self, message_type: MessageType) -> &Limits {
        match message_type {
            MessageType::Sms => &self.sms,
            MessageType::Lms => &self.lms,
            MessageType::Mms => &self.mms,
            MessageType::Template => &self.template,
        }
    }
}

/// Whether a text may run over several lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    One,
    Many,
}

const fn edition(version: u32, name: &'static str, button_label_chars: usize) -> Edition {
    const fn limits(title_chars: Option<usize>, body_chars: usize, buttons: Option<usize>, button_label_chars: usize) -> Limits {
        Limits { title_chars, body_chars, buttons, button_label_chars }
    }
    Edition {
        version,
        name,
        sms: limits(None, 100, Some(1), button_label_chars),
        lms: limits(Some(30), 1_300, Some(3), button_label_chars),
        mms: limits(Some(30), 1_300, Some(2), button_label_chars),
        template: limits(None, 90, None, button_label_chars),
    }
}

fn too_long(findings: &mut Vec<Finding>, code: &'static str, field: &str, text: &str, limit: Option<usize>) {
    let count = count_chars(text);
    if let Some(limit) = limit.filter(|limit| count > *limit) {
        let detail = format!("{count} characters, {limit} allowed");
        findings.push(Finding::new(code, field, detail));
    }
}

/// One finding for a field, however many such characters it has: the first one is enough to
/// find the cause.
fn control(findings: &mut Vec<Finding>, field: &str, text: &str, lines: Lines) {
    let plain = text.replace("\r\n", "\n");
    let refused = |c: &char| match c {
        '\n' | '\t' => lines == Lines::One,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        other => other.is_control(),
    };
    if let Some((at, c)) = plain.chars().enumerate().find(|(_, c)| refused(c)) {
        let detail = format!("control character U+{:04X} at character {}", u32::from(c), at + 1);
        findings.push(Finding::new("control-character", field, detail));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn codes(content: &Content<'_>) -> Vec<&'static str> {
        let findings = check(content, CURRENT);
        findings.into_iter().map(|finding| finding.code).collect()
    }

    fn of(message_type: MessageType, body: &str) -> Content<'_> {
        Content { message_type, body, ..Content::default() }
    }

    #[test]
    fn every_type_takes_its_limit_and_not_one_character_more() {
        let limits = [(100, MessageType::Sms), (1_300, MessageType::Lms)];
        let more = [(1_300, MessageType::Mms), (90, MessageType::Template)];
        for (limit, message_type) in limits.into_iter().chain(more) {
            let fits = "가".repeat(limit);
            assert_eq!(codes(&of(message_type, &fits)), [""; 0]);
            let over = "가".repeat(limit + 1);
            assert_eq!(codes(&of(message_type, &over)), ["body-too-long"]);
        }
    }

    #[test]
    fn all_findings_are_collected() {
        let title = "제".repeat(31);
        let body = format!("{}\u{7}", "a".repeat(1_300));
        let content = Content {
            message_type: MessageType::Mms,
            title: &title,
            body: &body,
            button_labels: vec!["ok", "a label of 18 char", "two\nlines"],
        };
        let found = check(&content, CURRENT);
        let found: Vec<_> = found.iter().map(|f| (f.code, f.field.as_str())).collect();
        let expected = [
            ("body-too-long", "description"),
            ("control-character", "description"),
            ("title-too-long", "title"),
            ("buttons-too-many", "buttons"),
            ("button-label-too-long", "buttons[1].label"),
            ("control-character", "buttons[2].label"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn each_type_has_its_number_of_buttons() {
        let cases = [(MessageType::Sms, 1), (MessageType::Lms, 3), (MessageType::Mms, 2)];
        for (message_type, most) in cases {
            let mut content = of(message_type, "text");
            content.button_labels = vec!["열기"; most];
            assert_eq!(codes(&content), [""; 0]);
            content.button_labels.push("열기");
            assert_eq!(codes(&content), ["buttons-too-many"]);
        }
    }

    #[test]
    fn a_line_end_is_one_character_and_no_control_character() {
        assert_eq!(count_chars("가\r\n나\n다"), 5);
        assert_eq!(codes(&of(MessageType::Sms, "가\r\n나\t다\n")), [""; 0]);
        assert_eq!(codes(&of(MessageType::Sms, "가\r나")), ["control-character"]);
    }

    #[test]
    fn signs_that_turn_the_writing_are_refused_and_joined_emoji_are_not() {
        assert_eq!(codes(&of(MessageType::Sms, "a\u{202e}b")), ["control-character"]);
        assert_eq!(codes(&of(MessageType::Sms, "👨\u{200d}👩\u{200d}👧")), [""; 0]);
    }

    #[test]
    fn the_unified_edition_has_shorter_labels() {
        let mut content = of(MessageType::Sms, "text");
        content.button_labels = vec!["예약 확인하러 가기"];
        assert_eq!(check(&content, &CLASSIC), []);
        let found = check(&content, &UNIFIED);
        assert_eq!(found[0].detail, "10 characters, 7 allowed");
    }

    #[test]
    fn editions_are_found_by_their_version() {
        assert_eq!(Edition::by_version(CURRENT.version), Some(CURRENT));
        assert_eq!(Edition::by_version(0), None);
        let versions: Vec<_> = EDITIONS.iter().map(|edition| edition.version).collect();
        assert!(versions.is_sorted());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_check_panic(title in any::<String>(), body in any::<String>()) {
            for message_type in MessageType::ALL {
                let content = Content {
                    message_type,
                    title: &title,
                    body: &body,
                    button_labels: vec![&title],
                };
                let _ = check(&content, CURRENT);
            }
        }
    }
}
