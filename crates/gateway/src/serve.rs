//! The sockets: accepting, bounds on what a connection may do, and stopping without dropping anybody.

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

use crate::guard::{Guard, Peer, behind};
use crate::options::GatewayOptions;

/// A socket with what it serves.
pub struct Door {
    /// Bound already, so that a caller knows its port.
    pub listener: TcpListener,
    /// What is behind it.
    pub router: Router,
}

/// The doors did not open, or did not close in order.
#[derive(Debug)]
pub enum GatewayError {
    /// Others could reach it, and that was not allowed.
    Remote(SocketAddr),
    /// The socket is of no use.
    Socket(std::io::Error),
}

impl std::fmt::Display for GatewayError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Remote(address) => write!(f, "{address} can be reached by others; allow that explicitly, with authentication"),
            Self::Socket(error) => write!(f, "a listener is of no use: {error}"),
        }
    }
}

impl std::error::Error for GatewayError {}

/// Connections' buffers: a header longer than this is refused by the protocol itself.
const BUFFER_BYTES: usize = 64 * 1024;
/// So often clients that have gone are forgotten.
const FORGET_EVERY: Duration = Duration::from_mins(1);
/// Out of sockets: a moment later some may be free again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Serves until `shutdown` ends; then says that it is not ready, goes on for the drain period, takes no more
/// connections, and lets what is in flight finish within the grace period.
pub async fn serve(doors: Vec<Door>, options: GatewayOptions, shutdown: impl Future<Output = ()>) -> Result<(), GatewayError> {
    for door in &doors {
        let address = door.listener.local_addr().map_err(GatewayError::Socket)?;
        if !address.ip().is_loopback() && !options.allow_remote {
            return Err(GatewayError::Remote(address));
        }
    }
    let guard = Guard::of(options.clone());
    let graceful = Arc::new(GracefulShutdown::new());
    let (stop, stopped) = watch::channel(false);
    let slots = Arc::new(Semaphore::new(options.max_connections));
    let mut accepting = JoinSet::new();
    for door in doors {
        let lobby = Lobby {
            router: behind(door.router, guard.clone()),
            builder: builder(&options),
            slots: slots.clone(),
            graceful: graceful.clone(),
            stopped: stopped.clone(),
        };
        accepting.spawn(lobby.accept(door.listener));
    }
    let mut shutdown = pin!(shutdown);
    let mut forget = tokio::time::interval(FORGET_EVERY);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            _ = forget.tick() => guard.rates.iter().for_each(crate::rate::Rates::forget),
        }
    }
    options.ready.store(false, Ordering::Relaxed);
    tokio::time::sleep(options.drain).await;
    stop.send_replace(true);
    while accepting.join_next().await.is_some() {}
    // Whoever accepted has let go of it, so that this is the last hand on it.
    let Some(graceful) = Arc::into_inner(graceful) else { return Ok(()) };
    if tokio::time::timeout(options.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            grace_ms = u64::try_from(options.grace.as_millis()).unwrap_or(u64::MAX),
            "some requests did not finish in time"
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

/// What the connections of one listener share.
struct Lobby {
    router: Router,
    builder: Builder<TokioExecutor>,
    slots: Arc<Semaphore>,
    graceful: Arc<GracefulShutdown>,
    stopped: watch::Receiver<bool>,
}

impl Lobby {
    async fn accept(mut self, listener: TcpListener) {
        let mut stopped = self.stopped.clone();
        loop {
            let taken = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                taken = self.take(&listener) => taken,
            };
            match taken {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(error.detail = %error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    async fn take(&mut self, listener: &TcpListener) -> std::io::Result<()> {
        // A slot first: who finds none waits in the kernel's queue, and costs nothing here.
        let slot = self.slots.clone().acquire_owned().await.map_err(std::io::Error::other)?;
        let (stream, peer) = listener.accept().await?;
        // Answers are short; waiting to fill a packet only delays them.
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
                // Clients go away as they like.
                tracing::debug!(error.detail = %error, "a connection ended early");
            }
        }
    }
}

async fn answer(mut router: Router, mut request: Request<Incoming>, peer: SocketAddr) -> Result<Response<Body>, Infallible> {
    request.extensions_mut().insert(Peer(peer));
    router.call(request).await
}
