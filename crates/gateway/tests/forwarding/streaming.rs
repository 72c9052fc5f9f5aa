//! Bodies in both directions: streamed, of any length, and within limits.

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures_util::{StreamExt, stream};
use gateway::{ForwardOptions, Forwarding, GatewayOptions};
use http_body_util::BodyExt;

use crate::support::{FakeService, Gate, MS, quick, remote};

#[tokio::test]
async fn a_response_is_streamed_as_it_arrives() {
    let fake = FakeService::start(|_, _| async {
        let parts = stream::iter(0..3).then(|number| async move {
            tokio::time::sleep(500 * MS * u32::from(number > 0)).await;
            Ok::<_, std::io::Error>(format!("data: {number}\n\n"))
        });
        Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(parts)).unwrap()
    })
    .await;
    let gate = Gate::start(&[remote("message", &[&fake])], quick()).await;
    let started = Instant::now();
    let mut response =
        gate.begin("GET", "/admin/events?service=message", &[("accept", "text/event-stream")], Body::empty()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut arrived = Vec::new();
    while let Some(frame) = response.frame().await {
        arrived.push((frame.unwrap().into_data().unwrap(), started.elapsed()));
    }
    let texts: Vec<&[u8]> = arrived.iter().map(|(data, _)| data.as_ref()).collect();
    assert_eq!(texts, [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]);
    assert!(arrived[0].1 < 490 * MS && arrived[2].1 >= 1000 * MS, "{arrived:?}");
}

#[tokio::test]
async fn a_long_response_may_take_longer_than_an_attempt_but_not_be_idle() {
    let fake = FakeService::start(|_, seen| async move {
        let pause = if seen.target.contains("still") { 9000 } else { 120 };
        let parts = stream::iter(0..10).then(move |number| async move {
            tokio::time::sleep(pause * MS * u32::from(number > 0)).await;
            Ok::<_, std::io::Error>("row\n")
        });
        Response::new(Body::from_stream(parts))
    })
    .await;
    let options = ForwardOptions { per_try: 500 * MS, overall: 900 * MS, idle_timeout: 700 * MS, ..quick() };
    let gate = Gate::start(&[remote("message", &[&fake])], options).await;
    assert_eq!(gate.get("/messages?format=csv").await.text.len(), 40);
    let still = gate.begin("GET", "/messages?still", &[], Body::empty()).await;
    let started = Instant::now();
    assert!(still.into_body().collect().await.is_err(), "the client learns that it is not whole");
    assert!(started.elapsed() < 4000 * MS);
}

#[tokio::test]
async fn large_bodies_are_streamed_in_both_directions() {
    let fake = FakeService::start(|_, seen| async move { Response::new(Body::from(seen.body)) }).await;
    let gate = Gate::start(&[remote("message", &[&fake])], ForwardOptions { overall: Duration::from_secs(20), ..quick() }).await;
    let big: String = "0123456789abcdef".repeat(640 * 1024);
    let of_known_length = gate.send("PUT", "/messages/1", &[], big.clone()).await;
    assert!(of_known_length.text == big && of_known_length.header("content-length") == big.len().to_string());
    let parts: Vec<Result<Bytes, std::io::Error>> =
        big.as_bytes().chunks(100_000).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    let of_unknown_length = gate.send("PUT", "/messages/1", &[], Body::from_stream(stream::iter(parts))).await;
    assert!(of_unknown_length.text == big);
    assert_eq!(fake.seen()[1].header("transfer-encoding"), "chunked");
    // A short body of unknown length is buffered, and has a length then.
    let short: Vec<Result<&str, std::io::Error>> = vec![Ok("{"), Ok("}")];
    gate.send("POST", "/messages", &[], Body::from_stream(stream::iter(short))).await;
    assert_eq!((fake.seen()[2].header("content-length"), fake.seen()[2].header("idempotency-key").is_empty()), ("2", false));
}

#[tokio::test]
async fn the_gateways_limit_on_bodies_applies() {
    let fake = FakeService::named("message").await;
    let forwarding = Forwarding::try_new(&[rcs::system()], &[remote("message", &[&fake])], quick()).unwrap();
    let options = GatewayOptions { body_limit_bytes: 200_000, ..GatewayOptions::default() };
    let gate = Gate::around(forwarding, axum::Router::new(), options).await;
    let long = || vec![b'x'; 300_000];
    assert_eq!(gate.send("POST", "/messages", &[], long()).await.status, 413);
    let parts: Vec<Result<Vec<u8>, std::io::Error>> = (0..30).map(|_| Ok(vec![b'x'; 10_000])).collect();
    let cut = gate.send("POST", "/messages", &[], Body::from_stream(stream::iter(parts))).await;
    assert_eq!((cut.status, cut.json()["type"].as_str()), (413, Some("/problems/too-large")));
    // A client's error does not count for the service's circuit breaker.
    assert_eq!(gate.upstream("message", 0).1, "CLOSED");
}
