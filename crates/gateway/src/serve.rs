//! The listeners: accepting connections, their limits, and stopping without dropping requests.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::Service;

use crate::admission::{Guard, behind};
use crate::options::GatewayOptions;
use crate::peer::Peer;

/// A listening socket, and the router that it serves.
pub struct Listener {
    /// Bound already, so that the caller knows its port.
    pub socket: TcpListener,
    /// Serves its requests.
    pub router: Router,
}

/// A listener could not be served.
#[derive(Debug)]
pub enum GatewayError {
    /// Other machines can reach this address, which is not allowed.
    Remote(SocketAddr),
    /// The socket failed.
    Socket(std::io::Error),
}

impl std::fmt::Display for GatewayError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Remote(address) => write!(f, "other machines can reach {address}; allow that explicitly, with authentication"),
            Self::Socket(error) => write!(f, "a listener failed: {error}"),
        }
    }
}

impl std::error::Error for GatewayError {}

/// The buffer of a connection: a longer header is rejected by the protocol itself.
const BUFFER_BYTES: usize = 64 * 1024;
/// How often idle clients are forgotten.
const FORGET_INTERVAL: Duration = Duration::from_mins(1);
/// The delay after a failed accept, usually for want of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Serves until `shutdown` ends; then is not ready, serves on for the drain period, accepts no more connections, and lets
/// requests in flight finish within the grace period.
pub async fn serve(
    listeners: Vec<Listener>,
    options: GatewayOptions,
    shutdown: impl Future<Output = ()>,
) -> Result<(), GatewayError> {
    for listener in &listeners {
        let address = listener.socket.local_addr().map_err(GatewayError::Socket)?;
        if !address.ip().is_loopback() && !options.allow_remote {
            return Err(GatewayError::Remote(address));
        }
    }
    let guard = Guard::new(options.clone());
    let graceful = Arc::new(GracefulShutdown::new());
    let (stop, stopped) = watch::channel(false);
    let slots = Arc::new(Semaphore::new(options.max_connections));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let acceptor = Acceptor {
            router: behind(listener.router, guard.clone()),
            builder: builder(&options),
            slots: slots.clone(),
            graceful: graceful.clone(),
            stopped: stopped.clone(),
        };
        accepting.spawn(acceptor.run(listener.socket));
    }
    let mut shutdown = pin!(shutdown);
    let mut forget = tokio::time::interval(FORGET_INTERVAL);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            _ = forget.tick() => guard.forget_idle_clients(),
        }
    }
    options.ready.store(false, Ordering::Relaxed);
    tokio::time::sleep(options.drain).await;
    stop.send_replace(true);
    while accepting.join_next().await.is_some() {}
    // The acceptors have ended, so that this is the last reference.
    let Some(graceful) = Arc::into_inner(graceful) else { return Ok(()) };
    if tokio::time::timeout(options.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            grace_ms = u64::try_from(options.grace.as_millis()).unwrap_or(u64::MAX),
            "some requests did not finish within the grace period"
        );
    }
    Ok(())
}

fn builder(options: &GatewayOptions) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(options.header_timeout).max_buf_size(BUFFER_BYTES);
    let headers = u32::try_from(options.header_limit_bytes.saturating_mul(2)).unwrap_or(u32::MAX);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(headers).keep_alive_interval(Some(options.header_timeout));
    builder
}

/// Accepts the connections of one listener.
struct Acceptor {
    router: Router,
    builder: Builder<TokioExecutor>,
    slots: Arc<Semaphore>,
    graceful: Arc<GracefulShutdown>,
    stopped: watch::Receiver<bool>,
}

impl Acceptor {
    async fn run(mut self, socket: TcpListener) {
        let mut stopped = self.stopped.clone();
        loop {
            let accepted = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                accepted = self.accept(&socket) => accepted,
            };
            match accepted {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(error.detail = %error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
    }

    async fn accept(&mut self, socket: &TcpListener) -> std::io::Result<()> {
        // A slot first: a connection without one waits in the kernel's queue, at no cost here.
        let slot = self.slots.clone().acquire_owned().await.map_err(std::io::Error::other)?;
        let (stream, peer) = socket.accept().await?;
        // Responses are short; Nagle's algorithm would only delay them.
        stream.set_nodelay(true)?;
        let connection = self.connection(stream, peer);
        tokio::spawn(async move {
            connection.await;
            drop(slot);
        });
        Ok(())
    }

    fn connection(&self, stream: TcpStream, peer: SocketAddr) -> impl Future<Output = ()> + Send + use<> {
        let (router, builder, watcher) = (self.router.clone(), self.builder.clone(), self.graceful.watcher());
        let service = service_fn(move |request: Request<Incoming>| answer(router.clone(), request, peer));
        async move {
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
            if let Err(error) = watcher.watch(connection).await {
                // Clients may disconnect at any time.
                tracing::debug!(error.detail = %error, "a connection ended early");
            }
        }
    }
}

async fn answer(mut router: Router, mut request: Request<Incoming>, peer: SocketAddr) -> Result<Response<Body>, Infallible> {
    request.extensions_mut().insert(Peer(peer));
    router.call(request).await
}
