//! What a log may show of texts that clients write: of a path that no route explains, and of a business key.

/// Runs of digits so long could be somebody's number, in a path.
const LONG_RUN: usize = 5;
/// The same in a key, where shorter ones are what the key is made of: dates, counters.
const NUMBER: usize = 9;
/// Longer than this nothing is shown.
const LONGEST: usize = 200;

/// The path with long runs of digits, and everything that was escaped, left out.
pub(crate) fn path(path: &str) -> String {
    let shown = without_runs(path, LONG_RUN, |_| false);
    shown.replace('%', "…")
}

/// The key with what could be somebody's number or address left out. `msg-20240923-0001` stays as it is; a key that is
/// nothing but a number does not, and then the request id is what the log is searched by.
pub(crate) fn key(key: &str) -> String {
    if key.contains('@') {
        return "…".to_owned();
    }
    // `010-1234-1234` is a number as well, but a hyphen between a date and a counter joins nothing: there are letters before.
    let is_number = key.chars().all(|letter| letter.is_ascii_digit() || is_separator(letter));
    without_runs(key, NUMBER, |letter| is_number && is_separator(letter))
}

fn is_separator(letter: char) -> bool {
    matches!(letter, '-' | ' ' | '.' | '(' | ')' | '+')
}

/// The text with runs of at least so many digits left out; what joins belongs to the run that it stands in.
fn without_runs(text: &str, long: usize, joins: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len().min(LONGEST));
    let mut run = String::new();
    for letter in text.chars().take(LONGEST).map(Some).chain([None]) {
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
    fn numbers_of_persons_are_left_out() {
        assert_eq!(path("/a/01012341234/b/12"), "/a/…/b/12");
        assert_eq!(path("/a/%EA%B9%80"), "/a/…EA…B9…80");
        for number in ["01012341234", "010-1234-1234", "+82 10 1234 1234", "(02)123-4567"] {
            assert_eq!(key(number), "…", "{number}");
        }
        assert_eq!(key("to-01012341234-1"), "to-…-1");
        assert_eq!(key("kim@example.com"), "…");
    }

    #[test]
    fn keys_that_are_nobodys_number_stay() {
        for name in ["msg-1", "msg-20240923-0001", "1588", "20240923", "key 7"] {
            assert_eq!(key(name), name);
        }
    }
}
