//! A service that answers as it is told and remembers what it was asked, a door before it, and a client.

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
use gateway::{Door, ForwardOptions, Forwarding, GatewayOptions, HealthOptions, Remote, serve};
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

/// A request as a service saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Handler = Arc<dyn Fn(usize, Seen) -> Answering + Send + Sync>;

/// A service that answers as it is told.
pub struct Fake {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// What it answers to `/readyz`.
    pub ready: Arc<AtomicU16>,
    pub connections: Arc<AtomicUsize>,
    handler: Handler,
    running: Option<JoinHandle<()>>,
}

impl Fake {
    /// The handler gets the number of the request, from 0, and the request, read to its end.
    pub async fn start<F: Future<Output = Response<Body>> + Send + 'static>(
        handler: impl Fn(usize, Seen) -> F + Send + Sync + 'static,
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

    /// Answers with these statuses in order, the last of them for ever.
    pub async fn statuses(statuses: &'static [u16]) -> Self {
        Self::start(move |number, _| async move { status(statuses[number.min(statuses.len() - 1)]) }).await
    }

    /// Its socket and all its connections are gone.
    pub async fn die(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await;
        }
    }

    /// It listens again where it did.
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
            // They end with the task that holds them.
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

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.running.iter().for_each(JoinHandle::abort);
    }
}

async fn answer(seen: Arc<Mutex<Vec<Seen>>>, ready: Arc<AtomicU16>, handler: Handler, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == "/readyz" {
        return status(ready.load(Ordering::Relaxed));
    }
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let request = Seen { method: parts.method, target: parts.uri.to_string(), headers: parts.headers, body };
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

/// A remote service of the tried system.
pub fn remote(service: &str, fakes: &[&Fake]) -> Remote {
    Remote { system: "rcs".into(), service: service.into(), addresses: fakes.iter().map(|fake| fake.url()).collect() }
}

/// Quick where nothing is wrong, and patient enough for a machine that has much else to do.
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

/// Quick, and never looks after its upstreams again, for what breakers do by themselves.
pub fn unattended() -> ForwardOptions {
    ForwardOptions { health: HealthOptions { every: Duration::from_mins(10), ..quick().health }, ..quick() }
}

/// A door with services behind it, and its client.
pub struct Gate {
    pub address: SocketAddr,
    pub forwarding: Forwarding,
    client: Pooled<HttpConnector, Body>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Gate {
    pub async fn open(remotes: &[Remote], options: ForwardOptions) -> Self {
        Self::with(remotes, options, Router::new().fallback(|| async { "here" })).await
    }

    pub async fn with(remotes: &[Remote], options: ForwardOptions, local: Router) -> Self {
        let forwarding = Forwarding::of(&[rcs::system()], remotes, options).unwrap();
        let gate = Self::around(forwarding, local, GatewayOptions::default()).await;
        gate.until(|gate| gate.forwarding.is_ready()).await;
        gate
    }

    pub async fn around(forwarding: Forwarding, local: Router, options: GatewayOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = forwarding.around(local);
        tokio::spawn(serve(vec![Door { listener, router }], options, std::future::pending()));
        Self { address, forwarding, client: Pooled::builder(TokioExecutor::new()).build_http() }
    }

    pub async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let response = self.begin(method, target, headers, body).await;
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
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

    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], Body::empty()).await
    }

    pub async fn post(&self, target: &str, body: &'static str) -> Answer {
        self.send("POST", target, &[("content-type", "application/json")], body).await
    }

    /// Waits for something that comes about by itself.
    pub async fn until(&self, comes_about: impl Fn(&Self) -> bool) {
        for _ in 0..1500 {
            if comes_about(self) {
                return;
            }
            tokio::time::sleep(10 * MS).await;
        }
        panic!("it never came about: {}", self.forwarding.health());
    }

    /// How the only or first upstream of a service stands: its checks' verdict and its breaker.
    pub fn upstream(&self, service: &str, index: usize) -> (String, String) {
        let shown = &self.forwarding.health()[format!("rcs/{service}")]["details"]["upstreams"][index];
        (shown["status"].as_str().unwrap().to_owned(), shown["breaker"].as_str().unwrap().to_owned())
    }
}
