//! A request's body on its way to a service: kept, where it is short enough to be sent again, or lent, where it passes through.
//!
//! Before a lent body the service is asked whether it wants it (`Expect: 100-continue`): one that refuses from the head alone
//! (too long, not there, not allowed) would else close the connection under what is being sent, and its answer would be lost.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::EXPECT;
use axum::http::{HeaderValue, Request, StatusCode};
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, LengthLimitError};
use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;

/// A service that says nothing for so long knows nothing of being asked; it gets the body.
const ASK_FOR: Duration = Duration::from_secs(1);

/// What was wrong with the body that a client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is longer than may be.
    TooLarge,
    /// It ended early.
    Incomplete,
}

impl Fault {
    fn of(error: &axum::Error) -> Self {
        let mut inner: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = inner {
            if error.is::<LengthLimitError>() {
                return Self::TooLarge;
            }
            inner = error.source();
        }
        Self::Incomplete
    }
}

/// A body, to be sent as often as it allows.
pub(crate) enum Load {
    Kept(Bytes),
    Lent(Arc<Mutex<Slot>>),
}

/// What is lent: the body itself, and what became of it.
pub(crate) struct Slot {
    body: Body,
    /// The service wants it.
    wanted: bool,
    waiting: Option<Waker>,
    touched: bool,
    finished: bool,
    fault: Option<Fault>,
}

impl Load {
    /// Keeps a body of at most so many bytes; one of unknown length is read as far as that to find out.
    pub async fn take(body: Body, keep_bytes: usize) -> Result<Self, Fault> {
        let hint = body.size_hint();
        if body.is_end_stream() || hint.exact() == Some(0) {
            return Ok(Self::Kept(Bytes::new()));
        }
        if hint.lower() > keep_bytes as u64 {
            return Ok(Self::lend(body));
        }
        if hint.exact().is_some() {
            let collected = body.collect().await.map_err(|error| Fault::of(&error))?;
            return Ok(Self::Kept(collected.to_bytes()));
        }
        let mut rest = body.into_data_stream();
        let (mut parts, mut length) = (Vec::new(), 0);
        while let Some(part) = rest.next().await {
            let part = part.map_err(|error| Fault::of(&error))?;
            length += part.len();
            parts.push(part);
            if length > keep_bytes {
                let read = stream::iter(parts.into_iter().map(Ok));
                return Ok(Self::lend(Body::from_stream(read.chain(rest))));
            }
        }
        Ok(Self::Kept(parts.concat().into()))
    }

    fn lend(body: Body) -> Self {
        Self::Lent(Arc::new(Mutex::new(Slot {
            body,
            wanted: false,
            waiting: None,
            touched: false,
            finished: false,
            fault: None,
        })))
    }

    /// The request of one try.
    pub fn request(&self) -> Request<Body> {
        match self {
            Self::Kept(bytes) if bytes.is_empty() => Request::new(Body::empty()),
            Self::Kept(bytes) => Request::new(Body::from(bytes.clone())),
            Self::Lent(slot) => {
                let held = lock(slot);
                let (hint, ended) = (held.body.size_hint(), held.body.is_end_stream());
                drop(held);
                let mut request = Request::new(Body::new(Lent { slot: slot.clone(), hint, ended, asked: None }));
                let slot = slot.clone();
                hyper::ext::on_informational(&mut request, move |answer| {
                    if answer.status() == StatusCode::CONTINUE {
                        want(&slot);
                    }
                });
                request
            }
        }
    }

    /// What a try's head says of the body.
    pub fn expect(&self) -> Option<(axum::http::HeaderName, HeaderValue)> {
        (!self.is_kept()).then(|| (EXPECT, HeaderValue::from_static("100-continue")))
    }

    /// Whether it can be sent once more, however the last try ended.
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }

    /// Whether nothing of it has been sent yet.
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Kept(_) => true,
            Self::Lent(slot) => !lock(slot).touched,
        }
    }

    /// Whether a part of it has been sent and the rest has not.
    pub fn is_under_way(&self) -> bool {
        match self {
            Self::Kept(_) => false,
            Self::Lent(slot) => {
                let slot = lock(slot);
                slot.touched && !slot.finished
            }
        }
    }

    /// What the client did wrong while it passed.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Kept(_) => None,
            Self::Lent(slot) => lock(slot).fault,
        }
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    // A body that panicked is broken off either way.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn want(slot: &Mutex<Slot>) {
    let mut slot = lock(slot);
    slot.wanted = true;
    if let Some(waiting) = slot.waiting.take() {
        waiting.wake();
    }
}

/// The body in the client's hands: it comes back untouched where no connection was made.
struct Lent {
    slot: Arc<Mutex<Slot>>,
    hint: SizeHint,
    ended: bool,
    /// Since the service was asked.
    asked: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let mut slot = lock(&this.slot);
        if !slot.wanted {
            let asked = this.asked.get_or_insert_with(|| Box::pin(tokio::time::sleep(ASK_FOR)));
            if asked.as_mut().poll(context).is_pending() {
                slot.waiting = Some(context.waker().clone());
                return Poll::Pending;
            }
            slot.wanted = true;
        }
        slot.touched = true;
        let polled = Pin::new(&mut slot.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Err(error))) => slot.fault = Some(Fault::of(error)),
            Poll::Ready(None) => slot.finished = true,
            _ => slot.finished |= slot.body.is_end_stream(),
        }
        this.hint = slot.body.size_hint();
        this.ended = slot.body.is_end_stream();
        polled
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Limited;

    use super::*;

    fn of_unknown_length(parts: &[&'static str]) -> Body {
        let parts: Vec<Result<&'static str, std::io::Error>> = parts.iter().map(|part| Ok(*part)).collect();
        Body::from_stream(stream::iter(parts))
    }

    /// The body of one try, that the service wants.
    async fn sent(load: &Load) -> Result<String, axum::Error> {
        let body = load.request().into_body();
        if let Load::Lent(slot) = load {
            want(slot);
        }
        let bytes = axum::body::to_bytes(body, 100).await?;
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_short_body_is_kept_and_can_be_sent_twice() {
        for body in [Body::from("hello"), of_unknown_length(&["he", "llo"])] {
            let load = Load::take(body, 5).await.unwrap();
            assert!(load.is_kept());
            assert!(load.expect().is_none());
            assert_eq!((sent(&load).await.unwrap(), sent(&load).await.unwrap()), ("hello".to_owned(), "hello".to_owned()));
        }
    }

    #[tokio::test]
    async fn a_long_body_passes_through_whole() {
        for body in [Body::from("hello!"), of_unknown_length(&["hel", "lo", "!"])] {
            let load = Load::take(body, 4).await.unwrap();
            assert!(!load.is_kept() && load.is_whole());
            // A try that could not connect touches nothing.
            drop(load.request());
            assert!(load.is_whole() && load.expect().is_some());
            assert_eq!(sent(&load).await.unwrap(), "hello!");
            assert!(!load.is_whole() && !load.is_under_way());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_body_waits_until_it_is_wanted_but_not_for_ever() {
        let load = Load::take(Body::from("hello!"), 4).await.unwrap();
        let mut body = load.request().into_body();
        assert!(tokio::time::timeout(ASK_FOR / 2, body.frame()).await.is_err());
        assert!(load.is_whole());
        assert!(tokio::time::timeout(ASK_FOR, body.frame()).await.is_ok());
        assert!(!load.is_whole());
    }

    #[tokio::test]
    async fn what_the_client_did_wrong_is_known() {
        let limited = |limit| Body::new(Limited::new(of_unknown_length(&["hello", "world"]), limit));
        assert_eq!(Load::take(limited(7), 100).await.err(), Some(Fault::TooLarge));
        let load = Load::take(limited(7), 2).await.unwrap();
        assert!(sent(&load).await.is_err());
        assert!(load.is_under_way());
        assert_eq!(load.fault(), Some(Fault::TooLarge));
        let broken: Vec<Result<&str, std::io::Error>> = vec![Ok("hello"), Err(std::io::ErrorKind::BrokenPipe.into())];
        assert_eq!(Load::take(Body::from_stream(stream::iter(broken)), 100).await.err(), Some(Fault::Incomplete));
    }
}
