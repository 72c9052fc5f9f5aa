//! Answers of directories: asked once, cached for a while, bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use kernel::context::Opaque;
use kernel::event::CodecError;
use kernel::service::AnswererDef;

use ports::Model;

use crate::guard::guarded;

type Question = (&'static str, String);

/// Cached answers, and the directories that give new ones.
pub struct DirectoryAnswers {
    answerers: Vec<AnswererDef>,
    known: HashMap<Question, (Option<Opaque>, i64)>,
    order: VecDeque<Question>,
    now_ms: i64,
    ttl_ms: i64,
    limit: usize,
}

impl DirectoryAnswers {
    /// The directories that come with the system.
    pub fn new(model: &Arc<Model>, limit: usize, ttl_ms: i64) -> Self {
        let answerers = model.system.services.iter().flat_map(|service| service.answerers.clone()).collect();
        Self { answerers, known: HashMap::new(), order: VecDeque::new(), now_ms: 0, ttl_ms, limit: limit.max(64) }
    }

    /// A batch begins: older answers no longer hold. Within a batch nothing expires, or a decision could ask for ever.
    pub fn begin(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        while self.order.len() > self.limit {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    /// The cached answer, if it still holds; that there is none may be cached too.
    pub fn get(&self, port: &'static str, question: &str) -> Option<&Option<Opaque>> {
        let (answer, until_ms) = self.known.get(&(port, question.to_owned()))?;
        (self.now_ms <= *until_ms).then_some(answer)
    }

    /// Asks the directory. A port without one has no answer; a directory that fails is a fault, and is asked again.
    pub fn ask(&mut self, port: &'static str, question: String) -> Result<(), CodecError> {
        let answerer = self.answerers.iter().find(|answerer| answerer.port == port);
        let answer = answerer.map(|answerer| guarded(port, || answerer.answer(&question)).map_err(CodecError).flatten());
        let answer = answer.transpose()?.flatten();
        let asked = (port, question);
        if self.known.insert(asked.clone(), (answer, self.now_ms.saturating_add(self.ttl_ms))).is_none() {
            self.order.push_back(asked);
        }
        Ok(())
    }
}
