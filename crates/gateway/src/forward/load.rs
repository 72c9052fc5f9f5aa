//! A request's body on its way to a service: kept, where it is short enough to be sent again, or lent, where it passes through.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, LengthLimitError};
use hyper::body::{Frame, SizeHint};

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
    touched: bool,
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
        Self::Lent(Arc::new(Mutex::new(Slot { body, touched: false, fault: None })))
    }

    /// The body for one try.
    pub fn body(&self) -> Body {
        match self {
            Self::Kept(bytes) if bytes.is_empty() => Body::empty(),
            Self::Kept(bytes) => Body::from(bytes.clone()),
            Self::Lent(slot) => {
                let held = lock(slot);
                let (hint, ended) = (held.body.size_hint(), held.body.is_end_stream());
                drop(held);
                Body::new(Lent { slot: slot.clone(), hint, ended })
            }
        }
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

/// The body in the client's hands: it comes back untouched where no connection was made.
struct Lent {
    slot: Arc<Mutex<Slot>>,
    hint: SizeHint,
    ended: bool,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let mut slot = lock(&this.slot);
        slot.touched = true;
        let polled = Pin::new(&mut slot.body).poll_frame(context);
        if let Poll::Ready(Some(Err(error))) = &polled {
            slot.fault = Some(Fault::of(error));
        }
        this.hint = slot.body.size_hint();
        this.ended = slot.body.is_end_stream();
        polled
    }

    fn size_hint(&self) -> SizeHint {
        self.hint.clone()
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

    async fn text(body: Body) -> String {
        String::from_utf8(axum::body::to_bytes(body, 100).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_short_body_is_kept_and_can_be_sent_twice() {
        for body in [Body::from("hello"), of_unknown_length(&["he", "llo"])] {
            let load = Load::take(body, 5).await.unwrap();
            assert!(load.is_kept());
            assert_eq!((text(load.body()).await, text(load.body()).await), ("hello".to_owned(), "hello".to_owned()));
        }
    }

    #[tokio::test]
    async fn a_long_body_passes_through_whole() {
        for body in [Body::from("hello!"), of_unknown_length(&["hel", "lo", "!"])] {
            let load = Load::take(body, 4).await.unwrap();
            assert!(!load.is_kept() && load.is_whole());
            // A try that could not connect touches nothing.
            drop(load.body());
            assert!(load.is_whole());
            assert_eq!(text(load.body()).await, "hello!");
            assert!(!load.is_whole());
        }
    }

    #[tokio::test]
    async fn what_the_client_did_wrong_is_known() {
        let limited = |limit| Body::new(Limited::new(of_unknown_length(&["hello", "world"]), limit));
        assert_eq!(Load::take(limited(7), 100).await.err(), Some(Fault::TooLarge));
        let load = Load::take(limited(7), 2).await.unwrap();
        assert!(axum::body::to_bytes(load.body(), 100).await.is_err());
        assert_eq!(load.fault(), Some(Fault::TooLarge));
        let broken: Vec<Result<&str, std::io::Error>> = vec![Ok("hello"), Err(std::io::ErrorKind::BrokenPipe.into())];
        assert_eq!(Load::take(Body::from_stream(stream::iter(broken)), 100).await.err(), Some(Fault::Incomplete));
    }
}
