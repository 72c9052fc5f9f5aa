//! Request and response within one process: a service's handler is a function.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::lock;
use crate::ports::caller::Answer;
use crate::ports::{CallFailed, Caller};

/// What a service gets to see of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// `POST`, `PUT` …
    pub method: String,
    /// The path within the service.
    pub path: String,
    /// The same on every repetition.
    pub idempotency_key: String,
    /// The body.
    pub body: Vec<u8>,
}

/// The answer of a handler, in time or too late.
pub type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

type Handler = Arc<dyn Fn(Called) -> Answering + Send + Sync>;

/// Services by name. Clones share them.
#[derive(Clone)]
pub struct LocalCaller {
    services: Arc<Mutex<BTreeMap<String, Handler>>>,
    deadline: Duration,
}

impl LocalCaller {
    /// Waits so long for an answer.
    pub fn with_deadline(deadline: Duration) -> Self {
        Self { services: Arc::default(), deadline }
    }

    /// Puts a service within reach.
    pub fn serve(&self, service: &str, handler: impl Fn(Called) -> Answering + Send + Sync + 'static) {
        lock(&self.services).insert(service.to_owned(), Arc::new(handler));
    }

    /// Takes a service out of reach.
    pub fn remove(&self, service: &str) {
        lock(&self.services).remove(service);
    }
}

impl Caller for LocalCaller {
    fn call<'a>(
        &'a self,
        service: &'a str,
        method: &'a str,
        path: &'a str,
        idempotency_key: &'a str,
        body: &'a [u8],
    ) -> Pin<Box<dyn Future<Output = Result<Answer, CallFailed>> + Send + 'a>> {
        let handler = lock(&self.services).get(service).cloned();
        let called = Called {
            method: method.to_owned(),
            path: path.to_owned(),
            idempotency_key: idempotency_key.to_owned(),
            body: body.to_vec(),
        };
        Box::pin(async move {
            let handler = handler.ok_or_else(|| CallFailed::Unreachable(service.to_owned()))?;
            let answer = tokio::time::timeout(self.deadline, handler(called)).await;
            answer.map_err(|_| CallFailed::TimedOut(service.to_owned()))
        })
    }
}
