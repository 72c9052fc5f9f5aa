//! Admission of requests before any route, and the life of listeners.

#![allow(clippy::unwrap_used)] // a failing helper fails the test

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use axum::routing::{any, get};
use gateway::{
    Authenticate, Authenticating, GatewayError, GatewayOptions, Identity, Listener, Origins, Peer, Rate, guarded, serve,
};
use http_api::{Problem, RequestContext};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tower::ServiceExt;

fn routes() -> Router {
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        "late"
    };
    let who = |request: Request| async move { RequestContext::from_request(request.headers(), request.extensions()).actor };
    let key = |headers: HeaderMap| async move {
        headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned()
    };
    let boom = || async {
        assert!(std::env::args().count() == usize::MAX, "inner words");
        "never"
    };
    Router::new()
        .route("/things", any(|| async { "things" }))
        .route("/slow", get(slow))
        .route("/who", get(who))
        .route("/key", any(key))
        .route("/boom", get(boom))
}

async fn ask(options: GatewayOptions, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    guarded(routes(), options).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

const PREFLIGHT: [(&str, &str); 3] =
    [("origin", "http://page"), ("access-control-request-method", "PUT"), ("access-control-request-headers", "x-pabal-user")];

#[tokio::test]
async fn a_preflight_is_answered_on_every_route_for_listed_origins() {
    let options = GatewayOptions { origins: Origins::Listed(["http://page".to_owned()].into()), ..GatewayOptions::default() };
    let answer = ask(options.clone(), "OPTIONS", "/not/even/there", &PREFLIGHT).await;
    assert_eq!(answer.status(), 204);
    assert_eq!(header(&answer, "access-control-allow-origin"), "http://page");
    assert_eq!(header(&answer, "access-control-allow-credentials"), "true");
    assert_eq!(header(&answer, "access-control-allow-headers"), "x-pabal-user");
    let answer = ask(options.clone(), "GET", "/things", &PREFLIGHT[..1]).await;
    assert_eq!((header(&answer, "access-control-allow-origin"), header(&answer, "vary")), ("http://page", "Origin"));
    let stranger = ask(options, "GET", "/things", &[("origin", "http://other")]).await;
    assert_eq!((stranger.status().as_u16(), header(&stranger, "access-control-allow-origin")), (200, ""));
}

#[tokio::test]
async fn other_origins_are_rejected_unless_any_is_allowed() {
    assert_eq!(ask(GatewayOptions::default(), "OPTIONS", "/things", &PREFLIGHT).await.status(), 403);
    let any = GatewayOptions { origins: Origins::Any, ..GatewayOptions::default() };
    assert_eq!(header(&ask(any, "OPTIONS", "/things", &PREFLIGHT).await, "access-control-allow-origin"), "http://page");
}

#[tokio::test]
async fn options_without_a_preflight_reaches_the_resource() {
    assert_eq!(text(ask(GatewayOptions::default(), "OPTIONS", "/things", &[]).await).await, "things");
}

#[tokio::test]
async fn a_client_beyond_its_rate_gets_retry_after() {
    let rate = Some(Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN });
    let router = guarded(routes(), GatewayOptions { rate, ..GatewayOptions::default() });
    let request = || {
        let mut request = Request::builder().uri("/things").body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer("10.0.0.1:5".parse().unwrap()));
        request
    };
    assert_eq!(router.clone().oneshot(request()).await.unwrap().status(), 200);
    let refused = router.oneshot(request()).await.unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, "1"));
    assert_eq!(header(&refused, "content-type"), "application/problem+json");
}

#[tokio::test]
async fn large_headers_large_bodies_and_timeouts_are_problems() {
    let long = "x".repeat(20_000);
    assert_eq!(ask(GatewayOptions::default(), "GET", "/things", &[("x-long", &long)]).await.status(), 431);
    let length = [("content-length", "99999999")];
    assert_eq!(ask(GatewayOptions::default(), "POST", "/things", &length).await.status(), 413);
    let hasty = GatewayOptions { request_timeout: Duration::from_millis(20), ..GatewayOptions::default() };
    let late = ask(hasty, "GET", "/slow", &[]).await;
    assert_eq!((late.status().as_u16(), header(&late, "retry-after")), (503, "1"));
}

#[tokio::test]
async fn a_panic_is_an_internal_error_without_its_message() {
    let fault = ask(GatewayOptions::default(), "GET", "/boom", &[("x-request-id", "r-1")]).await;
    assert_eq!((fault.status().as_u16(), header(&fault, "x-request-id")), (500, "r-1"));
    let text = text(fault).await;
    assert!(text.contains("r-1") && !text.contains("inner words"), "{text}");
}

struct Guest;

impl Authenticate for Guest {
    fn authenticate<'a>(&'a self, request: &'a axum::http::request::Parts) -> Authenticating<'a> {
        let known = request.headers.contains_key("authorization");
        let refused = || Problem::new(axum::http::StatusCode::UNAUTHORIZED, "unauthenticated", "who are you?");
        let identity = Identity { actor: Some("guest".into()), roles: Vec::new() };
        Box::pin(std::future::ready(if known { Ok(identity) } else { Err(refused()) }))
    }
}

#[tokio::test]
async fn the_actor_is_that_of_authentication() {
    assert_eq!(text(ask(GatewayOptions::default(), "GET", "/who", &[("x-pabal-user", "kim")]).await).await, "kim");
    let options = || GatewayOptions { authenticate: Arc::new(Guest), ..GatewayOptions::default() };
    assert_eq!(ask(options(), "GET", "/who", &[("x-pabal-user", "kim")]).await.status(), 401);
    let known = ask(options(), "GET", "/who", &[("x-pabal-user", "kim"), ("authorization", "x")]).await;
    assert_eq!(text(known).await, "guest");
}

#[tokio::test]
async fn a_post_gets_an_idempotency_key_where_that_is_configured() {
    let options = GatewayOptions { add_idempotency_keys: true, ..GatewayOptions::default() };
    let made = || ask(options.clone(), "POST", "/key", &[("x-request-id", "r-1")]);
    let (one, other) = (text(made().await).await, text(made().await).await);
    assert!(one.starts_with("pabal-made-") && one != other, "{one} {other}");
    assert_eq!(text(ask(options.clone(), "POST", "/key", &[("idempotency-key", "mine")]).await).await, "mine");
    assert_eq!(text(ask(options, "GET", "/key", &[]).await).await, "");
}

#[tokio::test]
async fn a_listener_that_other_machines_can_reach_must_be_allowed() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let listeners = vec![Listener { socket: listener, router: routes() }];
    let refused = serve(listeners, GatewayOptions::default(), std::future::ready(())).await;
    assert!(matches!(refused, Err(GatewayError::Remote(_))));
}

#[tokio::test]
async fn requests_in_flight_finish_when_the_gateway_stops() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = GatewayOptions::default();
    let ready = options.ready.clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(vec![Listener { socket: listener, router: routes() }], options, async move {
        let _ = stopped.await;
    }));
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(b"GET /slow HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.send(()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("late"), "{answer}");
    assert!(serving.await.unwrap().is_ok());
    assert!(!ready.load(Ordering::Relaxed));
    assert!(TcpStream::connect(address).await.is_err());
}
