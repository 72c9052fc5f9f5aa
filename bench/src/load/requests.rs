//! The messages that are sent and the requests that are asked: bytes that are ready but for a number.

use std::sync::atomic::{AtomicU64, Ordering};

use rcs::draft::Draft;

use crate::args::Keys;

/// The chatbot that a first run has.
const CHATBOT: &str = "0801234567";
/// A receipt, as shops send it: no advertisement, so that no rule holds it back.
const TEXT: &str = "주문하신 상품이 발송되었습니다. 내일 오전 도착 예정입니다.";
/// Recipients; each has had several messages once there are a million.
const RECIPIENTS: u64 = 100_000;

/// A message's key. Scattered, no two numbers share one.
pub fn key(keys: Keys, number: u64) -> String {
    match keys {
        Keys::Scattered => format!("{:016x}", mixed(number)),
        Keys::Ordered => format!("{number:016x}"),
    }
}

/// These numbers in the order of their keys.
pub fn sorted(keys: Keys, numbers: std::ops::Range<u64>) -> Vec<u64> {
    let mut numbers: Vec<u64> = numbers.collect();
    if keys == Keys::Scattered {
        numbers.sort_by_key(|number| mixed(*number));
    }
    numbers
}

/// A recipient's number; the numbers at which the simulator misbehaves are not among them.
pub fn contact(number: u64) -> String {
    format!("010{:08}", 20_000_000 + mixed(number) % RECIPIENTS)
}

/// The same message as over HTTP.
pub fn draft(keys: Keys, number: u64) -> Draft {
    Draft {
        user_contact: contact(number),
        chatbot_id: CHATBOT.to_owned(),
        message_id: Some(key(keys, number)),
        mno: Some("kt".to_owned()),
        send_time: Some("2024-09-23".to_owned()),
        description: Some(TEXT.to_owned()),
        ..Draft::default()
    }
}

/// Different numbers stay different, and come out in no order.
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (number ^ (number >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// A request with holes.
#[derive(Debug)]
pub struct RequestTemplate {
    pieces: Vec<Piece>,
    keys: Keys,
    next: AtomicU64,
    /// Ids go up to this.
    ids: u64,
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Key,
    Contact,
    Id,
}

impl RequestTemplate {
    /// Of a text with `{key}`, `{contact}` and `{id}` in it.
    fn of(text: &str, keys: Keys, first: u64, ids: u64) -> Self {
        let pieces = text.split_inclusive('}').flat_map(|part| {
            let holes = [("{key}", Piece::Key), ("{contact}", Piece::Contact), ("{id}", Piece::Id)];
            let hole = holes.into_iter().find_map(|(hole, piece)| Some((part.strip_suffix(hole)?, piece)));
            let (before, hole) = hole.map_or((part, None), |(before, hole)| (before, Some(hole)));
            [Some(Piece::Bytes(before.as_bytes().to_vec())), hole].into_iter().flatten()
        });
        Self { pieces: pieces.collect(), keys, next: AtomicU64::new(first), ids: ids.max(1) }
    }

    /// `POST /messages`, each a new message; `named` with an `Idempotency-Key`, too.
    pub fn post(keys: Keys, named: bool) -> Self {
        let body = format!(
            r#"{{"messageId":"{{key}}","userContact":"{{contact}}","mno":"kt","sendTime":"2024-09-23","chatbotId":"{CHATBOT}","description":"{TEXT}"}}"#
        );
        let length = body.replace("{key}", &"x".repeat(16)).replace("{contact}", &"x".repeat(11)).len();
        let name = if named { "Idempotency-Key: bench-{key}\r\n" } else { "" };
        let text = format!(
            "POST /messages HTTP/1.1\r\nHost: localhost:8088\r\nContent-Type: application/json\r\n{name}Content-Length: {length}\r\n\r\n{body}"
        );
        Self::of(&text, keys, fresh(), 1)
    }

    /// `GET` of a path; ids in it go from 1 to `ids`.
    pub fn get(path: &str, ids: u64) -> Self {
        Self::of(&format!("GET {path} HTTP/1.1\r\nHost: localhost:8088\r\n\r\n"), Keys::Scattered, 1, ids)
    }

    /// Writes the next request.
    pub fn fill(&self, request: &mut Vec<u8>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        request.clear();
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => request.extend_from_slice(bytes),
                Piece::Key => request.extend_from_slice(key(self.keys, number).as_bytes()),
                Piece::Contact => request.extend_from_slice(contact(number).as_bytes()),
                Piece::Id => request.extend_from_slice((1 + mixed(number) % self.ids).to_string().as_bytes()),
            }
        }
    }
}

/// Where no other run has been, and where no preloaded message is: microseconds since 1970, times a thousand.
fn fresh() -> u64 {
    let now = jiff::Timestamp::now().as_microsecond();
    u64::try_from(now).unwrap_or(0).wrapping_mul(1_000)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_request_is_filled_and_says_how_long_it_is() {
        let template = RequestTemplate::post(Keys::Scattered, true);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        template.fill(&mut one);
        template.fill(&mut other);
        let text = String::from_utf8(one).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())) && head.contains("Idempotency-Key: bench-"));
        let sent: Draft = serde_json::from_str(body).unwrap();
        assert_ne!(text.as_bytes(), other);
        assert_eq!(sent.description.as_deref(), Some(TEXT));
    }

    #[test]
    fn a_preloaded_message_is_the_one_that_is_posted() {
        let number = 7;
        let template = RequestTemplate { next: AtomicU64::new(number), ..RequestTemplate::post(Keys::Ordered, false) };
        let mut request = Vec::new();
        template.fill(&mut request);
        let text = String::from_utf8(request).unwrap();
        let sent: Draft = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(sent, draft(Keys::Ordered, number));
    }

    #[test]
    fn no_two_messages_share_a_key() {
        let keys: HashSet<String> = (0..10_000).map(|number| key(Keys::Scattered, number)).collect();
        assert_eq!(keys.len(), 10_000);
    }
}
