//! The marks an advertisement must carry: `(광고)` at its start and a free opt-out at its end.
//!
//! Law: 정보통신망법 Art. 50(4) and Decree 61. Sources disagree about `[광고]`; the strict reading
//! is taken, and only round ASCII brackets count. About the opt-out they agree that spaces,
//! brackets and hyphens do not matter.

use crate::finding::Finding;
use regex::RegexSet;
use std::sync::LazyLock;

/// Checks the marks of an advertisement's text and returns everything that is missing; empty
/// when both marks are there. Codes:
///
/// - `advert-mark-missing`: it does not start with `(광고)` (space before it is ignored);
/// - `advert-optout-missing`: no `무료수신거부` or `무료거부` in it;
/// - `advert-optout-number`: the opt-out stands there without an `080` number of 10–11 digits;
/// - `advert-optout-not-last`: the opt-out is complete, but text follows it.
pub fn check_marks(text: &str) -> Vec<Finding> {
    let seen = PATTERNS.matches(text);
    let has = |mark: Mark| seen.matched(mark as usize);
    let mut findings = Vec::new();
    let mut found = |code, detail| findings.push(Finding::new(code, "description", detail));

    if !has(Mark::Start) {
        found("advert-mark-missing", "an advertisement starts with (광고)");
    }
    if !has(Mark::Words) {
        let detail = "an advertisement ends with 무료수신거부 and an 080 number";
        found("advert-optout-missing", detail);
    } else if !has(Mark::Number) {
        let detail = "the free opt-out needs an 080 number of 10 or 11 digits";
        found("advert-optout-number", detail);
    } else if !has(Mark::End) {
        let detail = "the free opt-out is the last thing in an advertisement";
        found("advert-optout-not-last", detail);
    }
    findings
}

/// Whether a text is marked as an advertisement at its start; the opt-out may still be missing.
pub fn is_marked(text: &str) -> bool {
    PATTERNS.matches(text).matched(Mark::Start as usize)
}

/// Places in [`PATTERNS`].
#[derive(Clone, Copy)]
enum Mark {
    Start,
    Words,
    Number,
    End,
}

/// The opt-out's words; a bracket may close behind them.
const WORDS: &str = r"무료\s*(?:수신\s*)?거부";
/// From the words to the last digit of `080` and 7–8 more.
const NUMBER: &str = r"[\s\])>:：\-]*[(\[]?080(?:[\s)\].\-]*[0-9]){7,8}";
/// What may still follow: nothing that reads as text.
const CLOSING: &str = r"[\s\])>.]*$";

/// A pattern that does not compile leaves an empty set, under which every mark is missing; a
/// test sees to it that this does not happen.
static PATTERNS: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new([
        r"^\s*\(광고\)".to_owned(),
        WORDS.to_owned(),
        format!(r"{WORDS}{NUMBER}(?:[^0-9]|$)"),
        format!("{WORDS}{NUMBER}{CLOSING}"),
    ])
    .unwrap_or_else(|_| RegexSet::new([""; 0]).unwrap_or_default())
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn codes(text: &str) -> Vec<&'static str> {
        check_marks(text).into_iter().map(|f| f.code).collect()
    }

    #[test]
    fn the_patterns_compile() {
        assert_eq!(PATTERNS.len(), Mark::End as usize + 1);
    }

    #[test]
    fn a_well_marked_advertisement_has_no_findings() {
        let endings = [
            "무료수신거부 0801234567",
            "무료거부 080-123-4567",
            "무료 수신거부 080-1234-5678",
            "[무료수신거부]080-1234-5678",
            "(무료거부 0801234567)",
            "무료수신거부: 080 123 4567\n",
            "<무료 거부> (080)123-4567",
        ];
        for ending in endings {
            let text = format!("(광고) 가을 세일\n{ending}");
            assert_eq!(codes(&text), [""; 0], "{ending}");
        }
    }

    #[test]
    fn only_round_brackets_at_the_start_mark_an_advertisement() {
        for start in ["[광고]", "광고", "가을 (광고)", "(광 고)", "（광고）"] {
            let text = format!("{start} 세일 무료거부 0801234567");
            assert_eq!(codes(&text), ["advert-mark-missing"], "{start}");
            assert!(!is_marked(&text));
        }
    }

    #[test]
    fn what_is_wrong_with_the_opt_out_is_told_apart() {
        let cases = [
            ("세일", "advert-optout-missing"),
            ("수신거부 0801234567", "advert-optout-missing"),
            ("무료수신거부", "advert-optout-number"),
            ("무료수신거부 02-123-4567", "advert-optout-number"),
            ("무료수신거부 080-123", "advert-optout-number"),
            ("무료거부 080123456789", "advert-optout-number"),
            ("무료거부 0801234567 지금 오세요", "advert-optout-not-last"),
        ];
        for (rest, code) in cases {
            assert_eq!(codes(&format!("(광고) {rest}")), [code], "{rest}");
        }
    }

    #[test]
    fn both_marks_may_be_missing_at_once() {
        let both = ["advert-mark-missing", "advert-optout-missing"];
        assert_eq!(codes("[광고] 세일"), both);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_check_panic(text in any::<String>()) {
            let _ = check_marks(&text);
        }
    }
}
