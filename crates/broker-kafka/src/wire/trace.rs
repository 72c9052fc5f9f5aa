//! Traces: W3C `traceparent`, and the `b3` that Spring Cloud Sleuth reads and writes.

/// `{trace}-{span}-{sampled}` of a `traceparent`; none of one that is not well-formed.
pub fn b3(traceparent: &str) -> Option<String> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let sampled = u8::from_str_radix(flags.get(..2)?, 16).ok()? & 1;
    let known = is_hex(version, 2) && is_id(trace, 32) && is_id(span, 16) && flags.len() == 2;
    known.then(|| format!("{trace}-{span}-{sampled}"))
}

/// The `traceparent` of a `b3`, whose trace has 16 or 32 digits. A decision that is left open counts as sampled.
pub fn traceparent(b3: &str) -> Option<String> {
    let b3 = b3.trim().trim_matches('"').to_ascii_lowercase();
    let mut parts = b3.split('-');
    let (trace, span) = (parts.next()?, parts.next()?);
    let flags = match parts.next() {
        None | Some("1" | "d") => "01",
        Some("0") => "00",
        Some(_) => return None,
    };
    let known = (is_id(trace, 32) || is_id(trace, 16)) && is_id(span, 16);
    known.then(|| format!("00-{trace:0>32}-{span}-{flags}"))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_id(text: &str, digits: usize) -> bool {
    is_hex(text, digits) && text.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_trace_goes_out_and_comes_back() {
        for flags in ["01", "00"] {
            let parent = format!("00-{TRACE}-0e813779fe78daac-{flags}");
            let b3 = b3(&parent).unwrap();
            assert_eq!(traceparent(&b3), Some(parent));
        }
        assert_eq!(b3(&format!("00-{TRACE}-0e813779fe78daac-01")).unwrap(), format!("{TRACE}-0e813779fe78daac-1"));
    }

    #[test]
    fn a_short_trace_is_padded() {
        let expected = "00-0000000000000000baaae97a841042d6-ee34750d064456b4-01";
        for b3 in [
            "baaae97a841042d6-ee34750d064456b4-1",
            "\"BAAAE97A841042D6-ee34750d064456b4-d\"",
            "baaae97a841042d6-ee34750d064456b4",
        ] {
            assert_eq!(traceparent(b3).as_deref(), Some(expected), "{b3}");
        }
        let with_parent = format!("{TRACE}-ee34750d064456b4-0-05e3ac9a4f6e3b90");
        assert_eq!(traceparent(&with_parent), Some(format!("00-{TRACE}-ee34750d064456b4-00")));
    }

    #[test]
    fn what_is_no_trace_is_none() {
        for text in ["", "0", "1", "d", "00-0-0-0", "xyz-ee34750d064456b4-1", "0000000000000000-ee34750d064456b4-1"] {
            assert_eq!(traceparent(text), None, "{text}");
            assert_eq!(b3(text), None, "{text}");
        }
        assert_eq!(b3(&format!("00-{TRACE}-0000000000000000-01")), None);
        assert_eq!(b3(&format!("00-{TRACE}-0e813779fe78daac-é1")), None);
    }
}
