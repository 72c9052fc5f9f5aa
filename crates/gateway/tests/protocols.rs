//! The gateway over real sockets: both versions of HTTP, unusual request lines, and what the protocol itself rejects.

#![allow(clippy::unwrap_used)] // a failing helper fails the test

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::{any, get};
use gateway::{GatewayOptions, Listener, Rate, serve};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Returns how it was requested.
fn routes() -> Router {
    let seen = |request: Request| async move {
        let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        format!("{:?} {} at {host}", request.version(), request.uri())
    };
    Router::new().route("/things", any(seen)).route("/other", get(|| async { "other" }))
}

async fn open(options: GatewayOptions) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(vec![Listener { socket: listener, router: routes() }], options, std::future::pending()));
    address
}

/// The response to raw bytes, up to the end of the connection or a timeout.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    // A request that is rejected early is not read to its end: sending fails, but the response arrives.
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let reading = async {
        let mut part = [0; 4096];
        while let Ok(count @ 1..) = socket.read(&mut part).await {
            answer.extend_from_slice(&part[..count]);
        }
    };
    // A connection that is kept alive does not end.
    let _ = tokio::time::timeout(Duration::from_millis(500), reading).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn one_port_speaks_http_1_and_cleartext_http_2() {
    let address = open(GatewayOptions::default()).await;
    let old = raw(address, b"GET /things HTTP/1.1\r\nhost: here\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.1 200") && old.ends_with("HTTP/1.1 /things at here"), "{old}");

    let socket = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let request = Request::get(format!("http://{address}/things")).body(Body::empty()).unwrap();
        let answer = client.send_request(request).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, hyper::Version::HTTP_2));
        assert!(answer.headers().contains_key("x-request-id"));
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(text.starts_with(b"HTTP/2.0 http://127.0.0.1"), "{text:?}");
    }
}

#[tokio::test]
async fn requests_can_be_pipelined_on_one_connection() {
    let address = open(GatewayOptions::default()).await;
    let both = b"GET /things HTTP/1.1\r\nhost: a\r\n\r\nGET /other HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answers = raw(address, both).await;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
    assert!(answers.find("/things at a") < answers.find("other"), "{answers}");
}

#[tokio::test]
async fn a_target_in_absolute_form_has_the_same_route() {
    let address = open(GatewayOptions::default()).await;
    let answer = raw(address, b"GET http://shop.example:8080/things?a=1 HTTP/1.1\r\nhost: shop.example:8080\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("http://shop.example:8080/things?a=1 at shop.example:8080"),
        "{answer}"
    );
    let posted = b"POST http://shop.example/things HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 2\r\n\r\n{}";
    assert!(raw(address, posted).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn bytes_that_are_not_http_are_rejected_by_the_protocol() {
    let address = open(GatewayOptions::default()).await;
    for broken in
        ["GET\r\n\r\n", "GET /things\r\n\r\n", "GET /things HTTP/9.9\r\n\r\n", "G(T /things HTTP/1.1\r\nhost: a\r\n\r\n"]
    {
        let answer = raw(address, broken.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{broken:?}: {answer}");
    }
    let bad_field = raw(address, b"GET /things HTTP/1.1\r\nhost: a\r\nbad field: x\r\n\r\n").await;
    assert!(bad_field.starts_with("HTTP/1.1 400"), "{bad_field}");
}

#[tokio::test]
async fn a_header_that_is_too_large_is_431_from_admission_and_from_the_protocol() {
    let address = open(GatewayOptions::default()).await;
    let with_field = |bytes: usize| format!("GET /things HTTP/1.1\r\nhost: a\r\nx-long: {}\r\n\r\n", "x".repeat(bytes));
    let ours = raw(address, with_field(20_000).as_bytes()).await;
    assert!(ours.starts_with("HTTP/1.1 431") && ours.contains("/problems/header-too-large"), "{ours}");
    let theirs = raw(address, with_field(200_000).as_bytes()).await;
    assert!(theirs.starts_with("HTTP/1.1 431"), "{theirs}");
    let many = "x-many: y\r\n".repeat(200);
    let many = raw(address, format!("GET /things HTTP/1.1\r\nhost: a\r\n{many}\r\n").as_bytes()).await;
    assert!(many.starts_with("HTTP/1.1 431"), "{many}");
    let long_target = raw(address, format!("GET /things?{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(100_000)).as_bytes()).await;
    assert!(long_target.starts_with("HTTP/1.1 431"), "{long_target}");
}

#[tokio::test]
async fn the_rate_limit_counts_a_client_over_all_its_connections() {
    let rate = Some(Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(3).unwrap() });
    let address = open(GatewayOptions { rate, rate_loopback: true, ..GatewayOptions::default() }).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let answer = raw(address, b"GET /things HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        statuses.push(answer[9..12].to_owned());
        if statuses.len() > 3 {
            assert!(
                answer.to_ascii_lowercase().contains("retry-after: 1") && answer.contains("/problems/too-many-requests"),
                "{answer}"
            );
        }
    }
    assert_eq!(statuses, ["200", "200", "200", "429", "429"]);
}
