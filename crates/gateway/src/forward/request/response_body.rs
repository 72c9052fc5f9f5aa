//! The body of a response on its way back: it occupies its connection and the bulkhead until it has ended, and fails when idle.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use crate::forward::upstream::Upstream;

/// A response's body with a timeout between two frames.
pub(super) struct ResponseBody {
    body: Incoming,
    idle_timeout: Duration,
    /// Created when the body is first waited for, which most are not.
    timer: Option<Pin<Box<Sleep>>>,
    upstream: Arc<Upstream>,
    /// The connection, and the share of the bulkhead.
    _permits: [OwnedSemaphorePermit; 2],
}

impl ResponseBody {
    pub fn new(body: Incoming, upstream: Arc<Upstream>, permits: [OwnedSemaphorePermit; 2], idle_timeout: Duration) -> Self {
        Self { body, idle_timeout, timer: None, upstream, _permits: permits }
    }

    fn is_idle(&mut self, context: &mut Context<'_>) -> bool {
        let idle_timeout = self.idle_timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle_timeout)));
        timer.as_mut().poll(context).is_ready()
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(timer) = &mut this.timer {
                    timer.as_mut().reset(Instant::now() + this.idle_timeout);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.upstream.record_body_failure("body_broken");
                Poll::Ready(Some(Err(axum::Error::new(error))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if this.is_idle(context) => {
                this.upstream.record_body_failure("body_idle");
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
