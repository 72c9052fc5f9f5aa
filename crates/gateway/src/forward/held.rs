//! An answer's body on its way back: it holds the request's places until it has ended, and may not stand still for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::breaker::Entry;
use super::upstream::Upstream;

pub(crate) struct Held {
    body: Incoming,
    idle: Duration,
    /// Made when there is something to wait for, which most answers never have.
    timer: Option<Pin<Box<Sleep>>>,
    upstream: Arc<Upstream>,
    /// The connection, and the place in the bulkhead.
    _places: [OwnedSemaphorePermit; 2],
}

impl Held {
    pub fn new(body: Incoming, upstream: Arc<Upstream>, places: [OwnedSemaphorePermit; 2], idle: Duration) -> Self {
        Self { body, idle, timer: None, upstream, _places: places }
    }

    fn stands_still(&mut self, context: &mut Context<'_>) -> bool {
        let idle = self.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        timer.as_mut().poll(context).is_ready()
    }

    fn broke_off(&mut self, kind: &'static str) {
        self.upstream.labels.failure(kind);
        // Its head went well, and said so.
        self.upstream.breaker.failed(Entry::Usual, std::time::Instant::now());
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(timer) = &mut this.timer {
                    timer.as_mut().reset(Instant::now() + this.idle);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.broke_off("body_broken");
                Poll::Ready(Some(Err(axum::Error::new(error))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if this.stands_still(context) => {
                this.broke_off("body_idle");
                Poll::Ready(Some(Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut)))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
