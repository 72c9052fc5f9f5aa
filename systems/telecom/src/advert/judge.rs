//! The judgement "this text looks like an advertisement", whatever its sender calls it.
//!
//! It adds the weights of the [`rules`](super::rules) that match and compares the sum with a
//! threshold. That is simple on purpose: an operator can read which rules spoke, and the same
//! text gets the same answer for ever under the same version. Time is linear in the length of
//! the text.
//!
//! How well it does is measured by `tests/adverts.rs`. On texts that were not seen before, it
//! finds about three of four advertisements; so its answer is a reason to look, not a proof.

use super::rules::{CURRENT, Rule};
use regex::{RegexSet, RegexSetBuilder};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::LazyLock;

/// What was judged, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Judgement {
    /// Whether the text looks like an advertisement.
    pub advertising: bool,
    /// Sum of the weights of the rules that matched, in points.
    pub score: i32,
    /// Names of the rules that matched, in the order of the rule set.
    pub rules: Vec<&'static str>,
    /// Version of the rule set.
    pub version: u32,
}

/// Judges a text by the rules in force ([`CURRENT`]).
pub fn judge(text: &str) -> Judgement {
    let text = fold(text);
    let matched: Vec<&Rule> = PATTERNS.matches(&text).iter().filter_map(|place| CURRENT.rules.get(place)).collect();
    let score = matched.iter().map(|rule| rule.weight).sum();
    Judgement {
        advertising: score >= CURRENT.threshold,
        score,
        rules: matched.iter().map(|rule| rule.name).collect(),
        version: CURRENT.version,
    }
}

/// All rules as one set, so that a text is read once for all of them. No rule may have a Unicode word boundary: it would keep
/// the whole set from its fast engine on Korean text. A set that does not compile judges nothing; a test sees to it that it does.
static PATTERNS: LazyLock<RegexSet> = LazyLock::new(|| compile().unwrap_or_else(|_| RegexSet::empty()));

fn compile() -> Result<RegexSet, regex::Error> {
    let patterns = CURRENT.rules.iter().map(|rule| rule.pattern);
    RegexSetBuilder::new(patterns).case_insensitive(true).size_limit(SIZE_LIMIT_BYTES).dfa_size_limit(SIZE_LIMIT_BYTES).build()
}

/// Of the compiled rules, and of the states that reading texts adds to them.
const SIZE_LIMIT_BYTES: usize = 32 << 20;

/// Full-width signs (`５０％`) become ASCII, since they are a usual way of standing out.
fn fold(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '！'..='～' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
            '\u{3000}' | '\u{a0}' => ' ',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn every_rule_compiles_and_has_a_name_and_a_weight_of_its_own() {
        assert_eq!(PATTERNS.len(), CURRENT.rules.len());
        let names: HashSet<_> = CURRENT.rules.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), CURRENT.rules.len());
        assert!(CURRENT.rules.iter().all(|rule| rule.weight != 0));
    }

    #[test]
    fn no_rule_matches_an_empty_text() {
        let judged = judge("");
        assert_eq!((judged.score, judged.advertising), (0, false));
        assert_eq!(judged.rules, [""; 0]);
    }

    #[test]
    fn a_judgement_names_the_rules_that_spoke() {
        let judged = judge("전 품목 50% 할인");
        assert!(judged.advertising);
        assert_eq!(judged.rules, ["discount", "percent"]);
        assert_eq!((judged.score, judged.version), (5, 1));
    }

    #[test]
    fn a_transaction_that_mentions_a_discount_is_information() {
        let judged = judge("주문이 접수되었습니다. 할인 금액 3,000원");
        assert!(!judged.advertising, "{judged:?}");
        assert!(judged.rules.contains(&"discount"));
    }

    #[test]
    fn full_width_signs_do_not_hide_an_advertisement() {
        assert_eq!(judge("（광고） ＳＡＬＥ"), judge("(광고) SALE"));
        assert!(judge("ＳＡＬＥ").advertising);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_judgement_panic(text in any::<String>()) {
            let judged = judge(&text);
            prop_assert_eq!(judged.advertising, judged.score >= CURRENT.threshold);
        }
    }
}
