//! Masking of texts that come from clients: paths without a route, and business keys.

/// A run of this many digits in a path may be a phone number.
const PATH_DIGITS: usize = 5;
/// The same in a key, where shorter runs are dates and counters.
const KEY_DIGITS: usize = 9;
/// Characters that are shown, at most.
const MAX_CHARS: usize = 200;

/// The path without long runs of digits and without escapes.
pub(super) fn path(path: &str) -> String {
    let shown = without_runs(path, PATH_DIGITS, |_| false);
    shown.replace('%', "…")
}

/// The key without what may be a phone number or an e-mail address. `msg-20240923-0001` is unchanged; a key that is only a
/// number is masked, and its requests are found by their request ids.
pub(super) fn key(key: &str) -> String {
    if key.contains('@') {
        return "…".to_owned();
    }
    // Separators belong to the number in `010-1234-1234`, but not where a key contains letters.
    let is_number = key.chars().all(|letter| letter.is_ascii_digit() || is_separator(letter));
    without_runs(key, KEY_DIGITS, |letter| is_number && is_separator(letter))
}

fn is_separator(letter: char) -> bool {
    matches!(letter, '-' | ' ' | '.' | '(' | ')' | '+')
}

/// The text without runs of at least this many digits; characters that join belong to the run around them.
fn without_runs(text: &str, long: usize, joins: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len().min(MAX_CHARS));
    let mut run = String::new();
    for letter in text.chars().take(MAX_CHARS).map(Some).chain([None]) {
        if let Some(letter) = letter.filter(|letter| letter.is_ascii_digit() || joins(*letter)) {
            run.push(letter);
            continue;
        }
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        shown.push_str(if digits < long { &run } else { "…" });
        run.clear();
        shown.extend(letter);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_and_addresses_are_masked() {
        assert_eq!(path("/a/01012341234/b/12"), "/a/…/b/12");
        assert_eq!(path("/a/%EA%B9%80"), "/a/…EA…B9…80");
        for number in ["01012341234", "010-1234-1234", "+82 10 1234 1234", "(02)123-4567"] {
            assert_eq!(key(number), "…", "{number}");
        }
        assert_eq!(key("to-01012341234-1"), "to-…-1");
        assert_eq!(key("kim@example.com"), "…");
    }

    #[test]
    fn other_keys_are_unchanged() {
        for name in ["msg-1", "msg-20240923-0001", "1588", "20240923", "key 7"] {
            assert_eq!(key(name), name);
        }
    }
}
