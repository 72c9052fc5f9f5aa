//! The cost of a hop, measured: `cargo test --release -p gateway --test forwarding -- --ignored --nocapture costs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::support::{FakeService, Gate, quick, remote};

const REQUESTS: usize = 20_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn costs_of_a_hop() {
    let body = r#"{"id":1,"messageId":"msg-1","_links":{"self":{"href":"http://here/messages/1"}}}"#;
    let fake = FakeService::start(move |_, _| async move { Response::new(Body::from(body)) }).await;
    let gate = Gate::start(&[remote("message", &[&fake])], quick()).await;
    for clients in [1, 32] {
        for (name, address) in [("direct", fake.address), ("through the gateway", gate.address)] {
            let uri = Arc::new(format!("http://{address}/messages/1"));
            // The first round warms up.
            measure(&uri, clients, REQUESTS / 10).await;
            let (rate, mut times) = measure(&uri, clients, REQUESTS).await;
            times.sort_unstable();
            let at = |percent: usize| times[(times.len() - 1) * percent / 100];
            println!("{clients:>3} clients, {name:<20} {rate:>8.0} requests/s   p50 {:?}   p99 {:?}", at(50), at(99));
        }
    }
}

#[allow(clippy::cast_precision_loss)] // a rate for people
async fn measure(uri: &Arc<String>, clients: usize, requests: usize) -> (f64, Vec<Duration>) {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let started = Instant::now();
    let asking = (0..clients).map(|_| {
        let (client, uri) = (client.clone(), uri.clone());
        tokio::spawn(async move {
            let mut times = Vec::new();
            for _ in 0..requests / clients {
                let started = Instant::now();
                let request = Request::builder().uri(uri.as_str()).body(Body::empty()).unwrap();
                client.request(request).await.unwrap().into_body().collect().await.unwrap();
                times.push(started.elapsed());
            }
            times
        })
    });
    let asking: Vec<_> = asking.collect();
    let mut times = Vec::new();
    for one in asking {
        times.extend(one.await.unwrap());
    }
    (times.len() as f64 / started.elapsed().as_secs_f64(), times)
}
