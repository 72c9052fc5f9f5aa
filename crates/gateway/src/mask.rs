//! What a log may show of a path that no route explains.

/// Runs of digits so long could be somebody's number.
const LONG_RUN: usize = 5;

/// The path with long runs of digits, and everything that was escaped, left out.
pub(crate) fn path(path: &str) -> String {
    let mut shown = String::with_capacity(path.len().min(LONGEST));
    let mut digits = String::new();
    for letter in path.chars().take(LONGEST) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        flush(&mut digits, &mut shown);
        shown.push(if letter == '%' { '…' } else { letter });
    }
    flush(&mut digits, &mut shown);
    shown
}

const LONGEST: usize = 200;

fn flush(digits: &mut String, shown: &mut String) {
    shown.push_str(if digits.len() < LONG_RUN { digits } else { "…" });
    digits.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_persons_are_left_out() {
        assert_eq!(path("/a/01012341234/b/12"), "/a/…/b/12");
    }
}
