//! The body of a request on its way to a service: buffered where it is short enough to be sent again, else streamed.
//!
//! A streamed body waits for the service's `100 Continue`: a service that rejects the request by its head alone (too large, no
//! such entity, not allowed) would otherwise close the connection while the body is being sent, and its response would be lost.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::EXPECT;
use axum::http::{HeaderValue, Request, StatusCode};
use futures_util::{StreamExt, stream as streams};
use http_body_util::{BodyExt, LengthLimitError};
use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;

/// How long `100 Continue` is waited for; a service that does not know `Expect` gets the body then.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the body that a client sends cannot be forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It exceeds a limit.
    TooLarge,
    /// It ended early.
    Incomplete,
}

impl BodyError {
    fn from_body(error: &axum::Error) -> Self {
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

/// The body of a request.
pub(super) enum RequestBody {
    /// In memory: it can be sent any number of times.
    Buffered(Bytes),
    /// Passed through: it can be sent once.
    Streaming(Arc<Mutex<Stream>>),
}

/// A streamed body, and how far it was sent.
pub(super) struct Stream {
    body: Body,
    /// The service has sent `100 Continue`, or has not in time.
    wanted: bool,
    waker: Option<Waker>,
    started: bool,
    finished: bool,
    error: Option<BodyError>,
}

impl RequestBody {
    /// Buffers a body of at most `buffer_bytes`; one of unknown length is read that far to find out.
    pub async fn read(body: Body, buffer_bytes: usize) -> Result<Self, BodyError> {
        let hint = body.size_hint();
        if body.is_end_stream() || hint.exact() == Some(0) {
            return Ok(Self::Buffered(Bytes::new()));
        }
        if hint.lower() > buffer_bytes as u64 {
            return Ok(Self::streaming(body));
        }
        if hint.exact().is_some() {
            let collected = body.collect().await.map_err(|error| BodyError::from_body(&error))?;
            return Ok(Self::Buffered(collected.to_bytes()));
        }
        let mut rest = body.into_data_stream();
        let (mut parts, mut length) = (Vec::new(), 0);
        while let Some(part) = rest.next().await {
            let part = part.map_err(|error| BodyError::from_body(&error))?;
            length += part.len();
            parts.push(part);
            if length > buffer_bytes {
                let read = streams::iter(parts.into_iter().map(Ok));
                return Ok(Self::streaming(Body::from_stream(read.chain(rest))));
            }
        }
        Ok(Self::Buffered(parts.concat().into()))
    }

    fn streaming(body: Body) -> Self {
        Self::Streaming(Arc::new(Mutex::new(Stream {
            body,
            wanted: false,
            waker: None,
            started: false,
            finished: false,
            error: None,
        })))
    }

    /// A request with this body, for one attempt.
    pub fn request(&self) -> Request<Body> {
        match self {
            Self::Buffered(bytes) if bytes.is_empty() => Request::new(Body::empty()),
            Self::Buffered(bytes) => Request::new(Body::from(bytes.clone())),
            Self::Streaming(stream) => {
                let held = lock(stream);
                let (hint, ended) = (held.body.size_hint(), held.body.is_end_stream());
                drop(held);
                let mut request = Request::new(Body::new(StreamingBody { stream: stream.clone(), hint, ended, timeout: None }));
                let stream = stream.clone();
                hyper::ext::on_informational(&mut request, move |response| {
                    if response.status() == StatusCode::CONTINUE {
                        set_wanted(&stream);
                    }
                });
                request
            }
        }
    }

    /// The header that asks the service whether it wants the body.
    pub fn expect_header(&self) -> Option<(axum::http::HeaderName, HeaderValue)> {
        (!self.is_buffered()).then(|| (EXPECT, HeaderValue::from_static("100-continue")))
    }

    /// Whether it can be sent again, however the last attempt ended.
    pub fn is_buffered(&self) -> bool {
        matches!(self, Self::Buffered(_))
    }

    /// Whether nothing of it has been sent yet.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::Buffered(_) => true,
            Self::Streaming(stream) => !lock(stream).started,
        }
    }

    /// Whether a part of it has been sent and the rest has not.
    pub fn is_partly_sent(&self) -> bool {
        match self {
            Self::Buffered(_) => false,
            Self::Streaming(stream) => {
                let stream = lock(stream);
                stream.started && !stream.finished
            }
        }
    }

    /// The client's error while the body was being sent.
    pub fn error(&self) -> Option<BodyError> {
        match self {
            Self::Buffered(_) => None,
            Self::Streaming(stream) => lock(stream).error,
        }
    }
}

fn lock(stream: &Mutex<Stream>) -> MutexGuard<'_, Stream> {
    // A body that panicked is broken off either way.
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set_wanted(stream: &Mutex<Stream>) {
    let mut stream = lock(stream);
    stream.wanted = true;
    if let Some(waker) = stream.waker.take() {
        waker.wake();
    }
}

/// The body of one attempt; the stream stays unsent where no connection was established.
struct StreamingBody {
    stream: Arc<Mutex<Stream>>,
    hint: SizeHint,
    ended: bool,
    /// Until which `100 Continue` is waited for.
    timeout: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for StreamingBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let mut stream = lock(&this.stream);
        if !stream.wanted {
            let timeout = this.timeout.get_or_insert_with(|| Box::pin(tokio::time::sleep(CONTINUE_TIMEOUT)));
            if timeout.as_mut().poll(context).is_pending() {
                stream.waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            stream.wanted = true;
        }
        stream.started = true;
        let polled = Pin::new(&mut stream.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Err(error))) => stream.error = Some(BodyError::from_body(error)),
            Poll::Ready(None) => stream.finished = true,
            _ => stream.finished |= stream.body.is_end_stream(),
        }
        this.hint = stream.body.size_hint();
        this.ended = stream.body.is_end_stream();
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
        Body::from_stream(streams::iter(parts))
    }

    /// The body of one attempt, after `100 Continue`.
    async fn sent(body: &RequestBody) -> Result<String, axum::Error> {
        let attempt = body.request().into_body();
        if let RequestBody::Streaming(stream) = body {
            set_wanted(stream);
        }
        let bytes = axum::body::to_bytes(attempt, 100).await?;
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_short_body_is_buffered_and_can_be_sent_twice() {
        for body in [Body::from("hello"), of_unknown_length(&["he", "llo"])] {
            let body = RequestBody::read(body, 5).await.unwrap();
            assert!(body.is_buffered());
            assert!(body.expect_header().is_none());
            assert_eq!((sent(&body).await.unwrap(), sent(&body).await.unwrap()), ("hello".to_owned(), "hello".to_owned()));
        }
    }

    #[tokio::test]
    async fn a_long_body_is_streamed_in_full() {
        for body in [Body::from("hello!"), of_unknown_length(&["hel", "lo", "!"])] {
            let body = RequestBody::read(body, 4).await.unwrap();
            assert!(!body.is_buffered() && body.is_unsent());
            // An attempt that could not connect sends nothing.
            drop(body.request());
            assert!(body.is_unsent() && body.expect_header().is_some());
            assert_eq!(sent(&body).await.unwrap(), "hello!");
            assert!(!body.is_unsent() && !body.is_partly_sent());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_streamed_body_waits_for_continue_up_to_a_timeout() {
        let body = RequestBody::read(Body::from("hello!"), 4).await.unwrap();
        let mut attempt = body.request().into_body();
        assert!(tokio::time::timeout(CONTINUE_TIMEOUT / 2, attempt.frame()).await.is_err());
        assert!(body.is_unsent());
        assert!(tokio::time::timeout(CONTINUE_TIMEOUT, attempt.frame()).await.is_ok());
        assert!(!body.is_unsent());
    }

    #[tokio::test]
    async fn errors_of_the_clients_body_are_reported() {
        let limited = |limit| Body::new(Limited::new(of_unknown_length(&["hello", "world"]), limit));
        assert_eq!(RequestBody::read(limited(7), 100).await.err(), Some(BodyError::TooLarge));
        let body = RequestBody::read(limited(7), 2).await.unwrap();
        assert!(sent(&body).await.is_err());
        assert!(body.is_partly_sent());
        assert_eq!(body.error(), Some(BodyError::TooLarge));
        let broken: Vec<Result<&str, std::io::Error>> = vec![Ok("hello"), Err(std::io::ErrorKind::BrokenPipe.into())];
        assert_eq!(RequestBody::read(Body::from_stream(streams::iter(broken)), 100).await.err(), Some(BodyError::Incomplete));
    }
}
