//! Whatever is sent: the answer says what is wrong with it, and nothing of it is left behind.
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod binary;

use binary::{Answer, Running, answered, message, said};
use reqwest::Method;
use reqwest::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An instance that is to stay empty.
struct Empty {
    running: Running,
    dir: TempDir,
}

impl Empty {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { running: Running::start(dir.path()), dir }
    }

    async fn ask(&self, method: Method, path: &str) -> Answer {
        answered(self.running.request(method, path)).await.unwrap()
    }

    async fn post(&self, body: impl Into<reqwest::Body>) -> Answer {
        let posted = self.running.request(Method::POST, "/messages").header(CONTENT_TYPE, "application/json").body(body);
        answered(posted).await.unwrap()
    }

    async fn refused(&self, status: u16, body: impl Into<reqwest::Body>) -> Answer {
        let answer = self.post(body).await;
        assert!(answer.is_problem(status), "{answer:?}");
        answer
    }

    /// It still works, nothing is there, and nothing has happened.
    async fn stays_empty(self) {
        for list in ["messages", "validators", "devices", "myMessages"] {
            assert_eq!(self.running.get(&format!("/{list}")).await["page"]["totalElements"], 0, "{list}");
        }
        assert_eq!(self.ask(Method::GET, "/readyz").await.status, 200);
        let letters = self.running.get("/admin/dead-letters?parked=true").await;
        assert_eq!(letters["_embedded"]["deadLetters"], json!([]));
        assert!(!self.running.log().iter().any(|line| line.contains("panic") || line.contains("\"ERROR\"")));
        assert_eq!(self.running.terminate(), 0);
        let events = said(self.dir.path(), &["events", "--topic", "messagesenderlhg", "--from-beginning"]);
        assert!(!events.out.contains("messageId"), "{events:?}");
    }
}

#[tokio::test]
async fn every_field_that_is_missing_or_wrong_is_named_at_once() {
    let empty = Empty::start();
    assert_eq!(empty.refused(400, "{}").await.fields(), ["userContact", "chatbotId"]);
    assert_eq!(empty.refused(400, "").await.fields(), ["userContact", "chatbotId"]);
    let untouched = json!({"userContact": "", "chatbotId": null, "description": ""});
    assert_eq!(empty.refused(400, untouched.to_string()).await.fields(), ["userContact", "chatbotId"]);
    let wrong = json!({
        "messageId": {"a": 1}, "userContact": 1, "mno": ["kt"], "chatbotId": true, "messageType": "fax",
        "buttons": [{"label": 1}], "category": "news", "fallback": "sms", "description": "a\u{0}b"
    });
    let mut named =
        empty.refused(400, wrong.to_string()).await.fields().iter().map(|field| (*field).to_owned()).collect::<Vec<_>>();
    named.sort();
    let expected =
        ["buttons.0.label", "category", "chatbotId", "description", "fallback", "messageId", "messageType", "mno", "userContact"];
    assert_eq!(named, expected);
    assert_eq!(empty.refused(400, with("sendTime", json!("soon"))).await.fields(), ["sendTime"]);
    assert_eq!(empty.refused(400, with("messageId", json!("x".repeat(101)))).await.fields(), ["messageId"]);
    assert_eq!(empty.refused(400, with("description", json!("가".repeat(10_001)))).await.fields(), ["description"]);
    empty.stays_empty().await;
}

fn with(field: &str, value: Value) -> String {
    let mut body = message("msg-1");
    body[field] = value;
    body.to_string()
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_rejected() {
    let empty = Empty::start();
    for body in ["{\"messageId\":", "{]", "nonsense", "1e999", "{\"a\":01}", "{} {}", "\u{feff}", "{\"a\":1,}", "NaN"] {
        let answer = empty.refused(400, body).await;
        assert_eq!(answer.body["type"], "/problems/malformed-json", "{body}");
    }
    for body in ["[]", "1", "\"text\"", "null", "true"] {
        empty.refused(400, body).await;
    }
    for bytes in
        [b"\xff\xfe".to_vec(), b"{\"description\":\"\xc3\x28\"}".to_vec(), b"{\"description\":\"\xed\xa0\x80\"}".to_vec()]
    {
        empty.refused(400, bytes).await;
    }
    empty.refused(400, r#"{"description":"\ud800"}"#).await;
    for deep in [100, 100_000] {
        let body = format!("{{\"a\":{}{}}}", "[".repeat(deep), "]".repeat(deep));
        empty.refused(400, body).await;
    }
    empty.refused(400, format!("{{\"a\":{}", "[".repeat(500_000))).await;
    empty.stays_empty().await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_even_read() {
    let empty = Empty::start();
    let huge = json!({"description": "x".repeat(2 << 20)}).to_string();
    empty.refused(413, huge).await;
    // What announces more than anybody may send is answered before it comes.
    let mut raw = TcpStream::connect(empty.running.url.trim_start_matches("http://")).await.unwrap();
    let head =
        "POST /messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{";
    raw.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    raw.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    empty.stays_empty().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let empty = Empty::start();
    let body = message("msg-1").to_string();
    for sent in [0, 1, body.len() / 2, body.len() - 1] {
        let mut raw = TcpStream::connect(empty.running.url.trim_start_matches("http://")).await.unwrap();
        let head = format!(
            "POST /messages HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        raw.write_all(head.as_bytes()).await.unwrap();
        raw.write_all(&body.as_bytes()[..sent]).await.unwrap();
    }
    empty.stays_empty().await;
}

#[tokio::test]
async fn only_supported_media_types_are_accepted() {
    let empty = Empty::start();
    for wrong in [
        "text/plain",
        "text/xml",
        "application/octet-stream",
        "multipart/form-data; boundary=x",
        "application/json; charset=euc-kr",
    ] {
        let posted = empty.running.request(Method::POST, "/messages").header(CONTENT_TYPE, wrong).body(message("m").to_string());
        let answer = answered(posted).await.unwrap();
        assert!(answer.is_problem(415), "{wrong}: {answer:?}");
    }
    // Accept is not negotiated: there is one representation, and its media type is named.
    let asked = empty.running.request(Method::GET, "/messages").header(ACCEPT, "image/png");
    let answer = answered(asked).await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/hal+json"));
    empty.stays_empty().await;
}

#[tokio::test]
async fn an_id_of_no_row_is_answered_as_not_found() {
    let empty = Empty::start();
    let ids = [
        "0",
        "1",
        "-1",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "1.5",
        "1e3",
        "text",
        "%00",
        "%FF",
        "١",
    ];
    for id in ids {
        for method in [Method::GET, Method::DELETE, Method::PUT, Method::PATCH] {
            let path = format!("/messages/{id}");
            let asked = empty.running.request(method.clone(), &path).json(&message("msg-1"));
            let answer = answered(asked).await.unwrap();
            assert!(answer.is_problem(404), "{method} {path}: {answer:?}");
        }
    }
    empty.stays_empty().await;
}

#[tokio::test]
async fn unknown_paths_are_404_and_other_methods_are_405_with_allow() {
    let empty = Empty::start();
    for path in [
        "/nothing",
        "/messages/1/recall",
        "/messages/1/2/3",
        "/rcs/nothing",
        "/nobody/messages",
        "/messages/search/findByNothing",
        "/messages/search/findByMno?mno=kt",
        "/admin/nothing",
    ] {
        let answer = empty.ask(Method::GET, path).await;
        assert!(answer.is_problem(404), "{path}: {answer:?}");
    }
    let wrong = [
        (Method::PUT, "/messages"),
        (Method::DELETE, "/messages"),
        (Method::PATCH, "/messages"),
        (Method::POST, "/messages/1"),
        (Method::POST, "/validators"),
        (Method::DELETE, "/validators/1"),
        (Method::POST, "/devices"),
        (Method::PUT, "/devices/1"),
        (Method::POST, "/myMessages"),
        (Method::DELETE, "/myMessages/1"),
        (Method::POST, "/livez"),
        (Method::DELETE, "/openapi.json"),
        (Method::GET, "/admin/dead-letters/redrive"),
    ];
    for (method, path) in wrong {
        let answer = empty.ask(method.clone(), path).await;
        assert!(answer.is_problem(405), "{method} {path}: {answer:?}");
        let allow = answer.header(ALLOW.as_str()).to_owned();
        let first = if path == "/admin/dead-letters/redrive" { "POST, " } else { "GET, " };
        assert!(allow.starts_with(first), "{method} {path}: {allow}");
        assert!(!allow.split(", ").any(|allowed| allowed == method.as_str()), "{method} {path}: {allow}");
    }
    let odd = empty.ask(Method::from_bytes(b"BREW").unwrap(), "/messages").await;
    assert!(odd.is_problem(405), "{odd:?}");
    empty.stays_empty().await;
}

#[tokio::test]
async fn invalid_query_parameters_of_lists_are_named() {
    let empty = Empty::start();
    let wrong = [
        "sort=nothing",
        "sort=id,sideways",
        "page=-1",
        "page=x",
        "size=x",
        "size=-5",
        "page=18446744073709551616",
        "page=18446744073709551615",
        "page=9999999&size=1000",
        "cursor=nonsense",
        "cursor=1~",
        "result=%FF",
        "sort=%00",
        "acceptedAtFrom=yesterday",
    ];
    for query in wrong {
        let answer = empty.ask(Method::GET, &format!("/myMessages?{query}")).await;
        assert!(answer.is_problem(400), "{query}: {answer:?}");
        assert!(!answer.fields().is_empty(), "{query}: {answer:?}");
    }
    // A size beyond the limit is the limit; an unknown parameter is ignored.
    for (query, size) in [("size=999999999", 1000), ("size=1000", 1000), ("unknown=1", 20), ("", 20), ("page=&size=", 20)] {
        let answer = empty.ask(Method::GET, &format!("/myMessages?{query}")).await;
        assert_eq!((answer.status, &answer.body["page"]["size"]), (200, &json!(size)), "{query}");
    }
    empty.stays_empty().await;
}

#[tokio::test]
async fn bytes_that_are_no_http_disturb_no_other_request() {
    let empty = Empty::start();
    let nonsense: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /messages HTTP/9.9\r\n\r\n",
        b"POST /messages HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nzz\r\n",
        b"\0\0\0\0",
    ];
    for bytes in nonsense {
        let mut raw = TcpStream::connect(empty.running.url.trim_start_matches("http://")).await.unwrap();
        raw.write_all(bytes).await.unwrap();
        raw.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset ends the reading, too.
        let _ = raw.read_to_end(&mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    }
    let long = format!("/messages?{}", "a".repeat(100_000));
    // Not by the client library, which sends no URI of this length.
    let mut raw = TcpStream::connect(empty.running.url.trim_start_matches("http://")).await.unwrap();
    raw.write_all(format!("GET {long} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await.unwrap();
    let mut status = [0; 12];
    raw.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 431");
    empty.stays_empty().await;
}
