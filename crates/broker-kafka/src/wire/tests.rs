//! What goes out and comes back, and what real services wrote.

use kernel::event::Cause;
use ports::{Delivery, Record, Stamp};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::config::Generation;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01";

fn record() -> Record {
    Record {
        seq: 8,
        id: "0197".into(),
        source: "message".into(),
        event_type: "SendSuccess".into(),
        version: 3,
        key: "msg-가".into(),
        time_ms: 1_700_000_000_123,
        data: r#"{"eventType":"SendSuccess","id":1,"description":"테스트"}"#.into(),
        cause: Cause { actor: "홍길동".into(), request: "r-1".into(), causation: "0196".into(), trace: TRACE.into() },
    }
}

fn stamp_of(number: u64) -> Stamp {
    Stamp { outbox: "rcs-1".into(), number }
}

/// A message as if it had travelled.
fn back(message: &Message<'_>, offset: u64) -> Delivery {
    let headers = message.headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let key = message.key.map(str::as_bytes);
    let arrived = Arrived { topic: "t", partition: 2, offset, time_ms: Some(9), key, headers, value: Some(&message.value) };
    read(&arrived).unwrap()
}

fn header<'a>(message: &'a Message<'_>, name: &str) -> Option<&'a str> {
    message.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_ref())
}

#[test]
fn a_new_topic_gets_what_its_services_look_at() {
    let (record, stamp) = (record(), stamp_of(7));
    let message = write(Some(&stamp), &record, Generation::New);
    assert_eq!(message.key, Some("msg-가"));
    assert_eq!(
        String::from_utf8(message.value.clone()).unwrap(),
        r#"{"eventType":"SendSuccess","timestamp":1700000000123,"id":1,"description":"테스트"}"#
    );
    let expected = [
        ("contentType", "\"application/json\""),
        ("type", "SendSuccess"),
        ("b3", "4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-1"),
        ("spring_json_header_types", r#"{"contentType":"java.lang.String","type":"java.lang.String","b3":"java.lang.String"}"#),
        ("traceparent", TRACE),
        ("ce_specversion", "1.0"),
        ("ce_id", "0197"),
        ("ce_source", "message"),
        ("ce_type", "SendSuccess"),
        ("ce_time", "2023-11-14T22:13:20.123Z"),
        ("ce_dataversion", "3"),
        ("ce_traceparent", TRACE),
        ("ce_actor", "홍길동"),
        ("ce_request", "r-1"),
        ("ce_causation", "0196"),
        ("pabal_outbox", "rcs-1"),
        ("pabal_number", "7"),
    ];
    let written: Vec<(&str, &str)> = message.headers.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    assert_eq!(written, expected);
}

#[test]
fn without_a_trace_none_is_declared() {
    let record = Record { cause: Cause::default(), ..record() };
    let message = write(None, &record, Generation::New);
    assert_eq!(
        header(&message, "spring_json_header_types"),
        Some(r#"{"contentType":"java.lang.String","type":"java.lang.String"}"#)
    );
    let left_out =
        ["b3", "traceparent", "ce_traceparent", "ce_actor", "ce_request", "ce_causation", "pabal_outbox", "pabal_number"];
    assert_eq!(left_out.map(|name| header(&message, name)), [None; 8]);
}

#[test]
fn an_old_topic_gets_nothing_declared_but_the_content_type() {
    let record = record();
    let message = write(None, &record, Generation::Old);
    assert_eq!(header(&message, "spring_json_header_types"), Some(r#"{"contentType":"java.lang.String"}"#));
    assert_eq!(header(&message, "contentType"), Some("\"application/json\""));
    assert_eq!([header(&message, "type"), header(&message, "b3")], [None, None]);
    assert_eq!(header(&message, "ce_id"), Some("0197"));
}

#[test]
fn no_header_has_a_name_that_spring_keeps_for_itself() {
    let (record, stamp) = (record(), stamp_of(1));
    for generation in [Generation::Old, Generation::New] {
        let message = write(Some(&stamp), &record, generation);
        for name in ["id", "timestamp", "replyChannel", "errorChannel"] {
            assert_eq!(header(&message, name), None);
        }
    }
}

#[test]
fn a_record_comes_back_as_it_was() {
    let stamp = stamp_of(u64::MAX);
    let plain = record();
    let records = [
        plain.clone(),
        Record { cause: Cause::default(), key: String::new(), source: String::new(), ..plain.clone() },
        Record { data: r#"{"eventType":"SendSuccess"}"#.into(), ..plain.clone() },
        Record { data: r#"{"eventType":"SendSuccess","timestamp":"20240101000000"}"#.into(), ..plain.clone() },
        Record { data: r#"{"eventType":"SendSuccess","timestamp":1700000000123,"a":1}"#.into(), ..plain.clone() },
        Record { data: r#"{"id":1,"eventType":"SendSuccess"}"#.into(), ..plain.clone() },
        Record { data: r#"{"eventType":"SendSuccess","timestamp":null}"#.into(), ..plain.clone() },
        Record { time_ms: -5, ..plain.clone() },
        Record { time_ms: 0, version: 65_535, ..plain.clone() },
        Record { cause: Cause { trace: "no trace".into(), ..Cause::default() }, ..plain },
    ];
    for record in records {
        for generation in [Generation::Old, Generation::New] {
            let found = back(&write(Some(&stamp), &record, generation), 7);
            assert_eq!(found, Delivery { record: record.clone(), stamp: Some(stamp.clone()) });
            assert_eq!(back(&write(None, &record, generation), 7).stamp, None);
        }
    }
}

/// Headers, value and time of a message.
type Captured = (Vec<(String, Vec<u8>)>, Vec<u8>, i64);

/// What a real service has put on a real topic.
fn captured(text: &str) -> Captured {
    let message: Value = serde_json::from_str(text).unwrap();
    assert!(message["key"].is_null());
    let headers = message["headers"].as_array().unwrap().iter();
    let headers = headers.map(|header| (header["name"].as_str().unwrap().to_owned(), header["text"].as_str().unwrap().into()));
    (headers.collect(), message["value"]["text"].as_str().unwrap().into(), message["timestamp"].as_i64().unwrap())
}

fn foreign(text: &str) -> Record {
    let (headers, value, own) = captured(text);
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let arrived = Arrived {
        topic: "messagesenderlhg",
        partition: 3,
        offset: 41,
        time_ms: Some(own),
        key: None,
        headers,
        value: Some(&value),
    };
    let Delivery { record, stamp } = read(&arrived).unwrap();
    assert_eq!(stamp, None);
    let identity = (record.seq, record.id.as_str(), record.source.as_str(), record.key.as_str(), record.version);
    assert_eq!(identity, (42, "messagesenderlhg/3/41", "", "", 1));
    assert_eq!(record.data, value, "byte by byte");
    record
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/interop/captured/", $name, ".json"))
    };
}

#[test]
fn events_of_new_services_are_read() {
    let succeed = foreign(fixture!("boot23-ValidateSucceed"));
    assert_eq!(succeed.event_type, "ValidateSucceed");
    assert_eq!(succeed.cause.trace, "00-0000000000000000baaae97a841042d6-ee34750d064456b4-01");
    let failed = foreign(fixture!("boot23-ValidateFailed"));
    assert_eq!(failed.event_type, "ValidateFailed");
    assert_eq!(failed.cause.trace, "00-4bf92f3577b34da6a3ce929d0e0e4736-0e813779fe78daac-01");
    // Written in another zone than Seoul: the record's own time counts.
    assert_eq!([succeed.time_ms, failed.time_ms], [1_795_239_684_780, 1_795_239_684_790]);
}

#[test]
fn events_of_new_services_with_times_as_numbers_are_read() {
    assert_eq!(foreign(fixture!("boot23-millis-ValidateSucceed")).time_ms, 1_795_239_693_730);
    assert_eq!(foreign(fixture!("boot23-millis-ValidateFailed")).time_ms, 1_795_239_693_819);
}

#[test]
fn events_of_old_services_are_read() {
    let records = [foreign(fixture!("boot21-ValidateSucceed")), foreign(fixture!("boot21-ValidateFailed"))];
    assert_eq!(records.each_ref().map(|record| record.event_type.as_str()), ["ValidateSucceed", "ValidateFailed"]);
    assert!(records.iter().all(|record| record.cause == Cause::default()));
}

fn bare<'a>(value: &'a [u8], headers: Vec<(&'a str, &'a [u8])>) -> Arrived<'a> {
    Arrived {
        topic: "t",
        partition: 0,
        offset: 5,
        time_ms: Some(1_700_000_000_000),
        key: Some(b"k"),
        headers,
        value: Some(value),
    }
}

#[test]
fn the_value_alone_decides_what_an_event_is() {
    let value = br#" { "me" : true, "eventType" : "Sent", "id":"7", "extra":[{}] }"#;
    for headers in
        [vec![], vec![("type", &b"\"Other\""[..])], vec![("type", &b"Sent"[..]), ("contentType", &b"application/json"[..])]]
    {
        let record = read(&bare(value, headers)).unwrap().record;
        assert_eq!((record.event_type.as_str(), record.key.as_str(), record.time_ms), ("Sent", "k", 1_700_000_000_000));
    }
}

#[test]
fn of_a_field_that_stands_there_twice_the_last_counts() {
    let value = br#"{"eventType":"Sent","timestamp":1,"event\u0054ype":"Saved","timestamp":2}"#;
    let record = read(&bare(value, vec![])).unwrap().record;
    assert_eq!((record.event_type.as_str(), record.time_ms), ("Saved", 2));
}

#[test]
fn what_is_no_event_is_told_apart() {
    let cases: [(&[u8], NotAnEvent); 11] = [
        (b"", NotAnEvent::NoValue),
        (b"\xff{}", NotAnEvent::NotText),
        (b"hello", NotAnEvent::NotJson),
        (br#"{"eventType":"Sent""#, NotAnEvent::NotJson),
        (br#"{"eventType":"Sent"} {}"#, NotAnEvent::NotJson),
        (b"[]", NotAnEvent::NotAnObject),
        (br#"["Sent"]"#, NotAnEvent::NotAnObject),
        (br#""Sent""#, NotAnEvent::NotAnObject),
        (b"{}", NotAnEvent::NoEventType),
        (br#"{"eventType":null}"#, NotAnEvent::NoEventType),
        (br#"{"eventType":""}"#, NotAnEvent::NoEventType),
    ];
    for (value, not_an_event) in cases {
        let with_headers = vec![("type", &b"Sent"[..]), ("ce_id", &b"1"[..])];
        assert_eq!(read(&bare(value, with_headers)), Err(not_an_event), "{}", String::from_utf8_lossy(value));
    }
    assert_eq!(read(&Arrived { value: None, ..bare(b"", vec![]) }), Err(NotAnEvent::NoValue));
}

#[test]
fn broken_headers_do_not_break_the_event() {
    let value = br#"{"eventType":"Sent","timestamp":12}"#;
    let headers = vec![
        ("ce_id", &b"\xff"[..]),
        ("ce_time", &b"yesterday"[..]),
        ("ce_dataversion", &b"-1"[..]),
        ("pabal_outbox", &b"o"[..]),
        ("pabal_number", &b"many"[..]),
        ("b3", &b"0"[..]),
    ];
    let Delivery { record, stamp } = read(&bare(value, headers)).unwrap();
    assert_eq!((record.version, record.time_ms, record.cause, stamp), (1, 12, Cause::default(), None));
}

#[test]
fn an_outbox_without_a_number_is_no_stamp() {
    assert_eq!(stamp(&bare(b"{}", vec![("pabal_outbox", &b"o"[..])])), None);
    let both = vec![("pabal_outbox", &b"o"[..]), ("pabal_number", &b"3"[..])];
    assert_eq!(stamp(&bare(b"{}", both)), Some(Stamp { outbox: "o".into(), number: 3 }));
}

proptest! {
    /// Nothing that stands on a topic brings a reader down.
    #[test]
    fn anything_is_read_or_refused(
        value in proptest::collection::vec(any::<u8>(), 0..60),
        headers in proptest::collection::vec((0..16_usize, proptest::collection::vec(any::<u8>(), 0..20)), 0..6),
        own in any::<Option<i64>>(),
    ) {
        let names = [TYPE, CONTENT_TYPE, HEADER_TYPES, TRACEPARENT, B3, CE_ID, CE_SOURCE, CE_TYPE, CE_TIME, CE_TRACEPARENT,
            CE_DATAVERSION, CE_ACTOR, OUTBOX, NUMBER, TIMED, "x"];
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (names[*name], value.as_slice())).collect();
        let _ = read(&Arrived { time_ms: own, ..bare(&value, headers.clone()) });
        let wrapped = serde_json::json!({ "eventType": "E", "timestamp": String::from_utf8_lossy(&value) }).to_string();
        let is_read = read(&Arrived { time_ms: own, ..bare(wrapped.as_bytes(), headers) }).is_ok();
        prop_assert!(is_read);
    }

    /// Whatever people write comes back.
    #[test]
    fn texts_come_back(text in any::<String>(), key in any::<String>(), actor in any::<String>(), time_ms in 0..4_000_000_000_000_i64) {
        let data = serde_json::json!({ "text": text }).to_string().replacen('{', "{\"eventType\":\"Said\",", 1).into_bytes();
        let cause = Cause { actor, ..Cause::default() };
        let record = Record { key, data, time_ms, cause, event_type: "Said".into(), ..record() };
        let message = write(None, &record, Generation::New);
        prop_assert_eq!(back(&message, 7).record, record);
    }
}
