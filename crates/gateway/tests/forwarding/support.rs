//! A fake service that records its requests, a gateway in front of it, and a client.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Response};
use gateway::{ForwardOptions, Forwarding, GatewayOptions, HealthOptions, Listener, Remote, serve};
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub const MS: Duration = Duration::from_millis(1);

/// A request as the service received it.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Handler = Arc<dyn Fn(usize, Received) -> Answering + Send + Sync>;

/// A service whose responses a test decides.
pub struct FakeService {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Received>>>,
    /// The status of `/readyz`.
    pub ready: Arc<AtomicU16>,
    pub connections: Arc<AtomicUsize>,
    handler: Handler,
    running: Option<JoinHandle<()>>,
}

impl FakeService {
    /// The handler gets the number of the request, from 0, and the request with its body.
    pub async fn start<F: Future<Output = Response<Body>> + Send + 'static>(
        handler: impl Fn(usize, Received) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut fake = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            ready: Arc::new(AtomicU16::new(200)),
            connections: Arc::default(),
            handler: Arc::new(move |number, seen| Box::pin(handler(number, seen))),
            running: None,
        };
        fake.run(listener);
        fake
    }

    /// Answers everything with its name.
    pub async fn named(name: &'static str) -> Self {
        Self::start(move |_, _| async move { Response::new(Body::from(name)) }).await
    }

    /// Answers with these statuses in order, then with the last one.
    pub async fn statuses(statuses: &'static [u16]) -> Self {
        Self::start(move |number, _| async move { status(statuses[number.min(statuses.len() - 1)]) }).await
    }

    /// Closes its socket and all its connections.
    pub async fn die(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await;
        }
    }

    /// Listens again at the same address.
    pub async fn revive(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.run(listener);
    }

    fn run(&mut self, listener: TcpListener) {
        let (seen, ready, handler) = (self.seen.clone(), self.ready.clone(), self.handler.clone());
        let router =
            Router::new().fallback(move |request: Request| answer(seen.clone(), ready.clone(), handler.clone(), request));
        let connections = self.connections.clone();
        self.running = Some(tokio::spawn(async move {
            // Connections end with the task that owns them.
            let mut open = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                stream.set_nodelay(true).unwrap();
                connections.fetch_add(1, Ordering::Relaxed);
                let service = TowerToHyperService::new(router.clone());
                open.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        }));
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn seen(&self) -> Vec<Received> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Drop for FakeService {
    fn drop(&mut self) {
        self.running.iter().for_each(JoinHandle::abort);
    }
}

async fn answer(seen: Arc<Mutex<Vec<Received>>>, ready: Arc<AtomicU16>, handler: Handler, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == "/readyz" {
        return status(ready.load(Ordering::Relaxed));
    }
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let request = Received { method: parts.method, target: parts.uri.to_string(), headers: parts.headers, body };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    handler(number, request).await
}

pub fn status(status: u16) -> Response<Body> {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

/// A remote service of the system under test.
pub fn remote(service: &str, fakes: &[&FakeService]) -> Remote {
    Remote { system: "rcs".into(), service: service.into(), addresses: fakes.iter().map(|fake| fake.url()).collect() }
}

/// Short delays, but timeouts that a busy machine can meet.
pub fn quick() -> ForwardOptions {
    ForwardOptions {
        per_try: 2000 * MS,
        overall: 6000 * MS,
        connect_timeout: 1000 * MS,
        backoff: 5 * MS,
        longest_backoff: 20 * MS,
        health: HealthOptions { every: 50 * MS, timeout: 1000 * MS, ..HealthOptions::default() },
        ..ForwardOptions::default()
    }
}

/// The same without health checks after the first, for tests of circuit breakers.
pub fn unattended() -> ForwardOptions {
    ForwardOptions { health: HealthOptions { every: Duration::from_mins(10), ..quick().health }, ..quick() }
}

/// A gateway with services behind it, and its client.
pub struct Gate {
    pub address: SocketAddr,
    pub forwarding: Forwarding,
    client: Pooled<HttpConnector, Body>,
}

/// A response with its body.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Gate {
    pub async fn start(remotes: &[Remote], options: ForwardOptions) -> Self {
        Self::with(remotes, options, Router::new().fallback(|| async { "here" })).await
    }

    pub async fn with(remotes: &[Remote], options: ForwardOptions, local: Router) -> Self {
        let forwarding = Forwarding::try_new(&[rcs::system()], remotes, options).unwrap();
        let gate = Self::around(forwarding, local, GatewayOptions::default()).await;
        gate.until(|gate| gate.forwarding.is_ready()).await;
        gate
    }

    pub async fn around(forwarding: Forwarding, local: Router, options: GatewayOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = forwarding.around(local);
        tokio::spawn(serve(vec![Listener { socket: listener, router }], options, std::future::pending()));
        Self { address, forwarding, client: Pooled::builder(TokioExecutor::new()).build_http() }
    }

    pub async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        let response = self.begin(method, target, headers, body).await;
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Reply { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// The head alone.
    pub async fn begin(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Response<hyper::body::Incoming> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{target}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client.request(request.body(body.into()).unwrap()).await.unwrap()
    }

    pub async fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &[], Body::empty()).await
    }

    pub async fn post(&self, target: &str, body: &'static str) -> Reply {
        self.send("POST", target, &[("content-type", "application/json")], body).await
    }

    /// Waits until the condition holds.
    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..1500 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(10 * MS).await;
        }
        panic!("the condition never held: {}", self.forwarding.health());
    }

    /// The health and the breaker of an upstream.
    pub fn upstream(&self, service: &str, index: usize) -> (String, String) {
        let shown = &self.forwarding.health()[format!("rcs/{service}")]["details"]["upstreams"][index];
        (shown["status"].as_str().unwrap().to_owned(), shown["breaker"].as_str().unwrap().to_owned())
    }
}
