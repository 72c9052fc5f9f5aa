//! Several statements in one transaction and one round trip.
//!
//! Everything is sent at once, COMMIT included. Preconditions are checked by the database: a statement whose check fails raises
//! an error, the following ones are skipped, and the COMMIT rolls back. So rows stay locked for the time of the statements, and
//! not of network round trips.
//!
//! If the BEGIN itself fails, because it was cancelled, each following statement would be a transaction of its own. They cannot
//! write: outside of a READ WRITE transaction these connections are read-only.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio_postgres::{Error, Row};

use crate::connection::session::{Connection, references};
use crate::error::DatabaseError;
use crate::value::Value;

/// Statements of one transaction, in order.
#[derive(Default)]
pub(crate) struct Pipeline<'a> {
    steps: Vec<(String, Vec<Value<'a>>)>,
}

/// How a transaction ended.
pub(crate) enum Ending {
    /// The rows of each statement.
    Committed(Vec<Vec<Row>>),
    /// It was certainly not committed.
    RolledBack(DatabaseError),
    /// The outcome is unknown.
    Unknown(DatabaseError),
}

impl<'a> Pipeline<'a> {
    /// Appends a statement.
    pub fn add(&mut self, sql: impl Into<String>, values: Vec<Value<'a>>) {
        self.steps.push((sql.into(), values));
    }

    /// Runs the statements one by one in an open transaction.
    pub async fn within(&self, conn: &mut Connection) -> Result<(), DatabaseError> {
        for (sql, values) in &self.steps {
            conn.rows(sql, values).await?;
        }
        Ok(())
    }

    /// Runs the statements in a transaction of their own; `more` follows the BEGIN.
    pub async fn run(&self, conn: &mut Connection, more: &str) -> Ending {
        let opening = format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {more}");
        let mut ready = Vec::with_capacity(self.steps.len());
        for (sql, values) in &self.steps {
            match conn.prepared(sql).await {
                Ok(statement) => ready.push((statement, references(values))),
                Err(failed) => return Ending::RolledBack(failed),
            }
        }
        if conn.client.is_closed() {
            return Ending::RolledBack(DatabaseError::ConnectionLost("the connection was lost before".into()));
        }
        let client = &conn.client;
        let mut begun = Box::pin(client.batch_execute(&opening));
        let mut steps: Vec<_> = ready.iter().map(|(statement, values)| Box::pin(client.query(statement, values))).collect();
        let mut ended = Box::pin(client.batch_execute("COMMIT"));
        // The first poll of each sends it, and the order of the polls is the order of execution.
        let begun_at_once = look(begun.as_mut()).await;
        let mut at_once = Vec::with_capacity(steps.len());
        for step in &mut steps {
            at_once.push(look(step.as_mut()).await);
        }
        let ended_at_once = look(ended.as_mut()).await;
        // Answers arrive in the same order.
        let mut first: Option<DatabaseError> = rest(begun_at_once, begun).await.err().map(DatabaseError::from);
        let mut answers = Vec::with_capacity(steps.len());
        for (at_once, step) in at_once.into_iter().zip(steps) {
            match rest(at_once, step).await.map_err(DatabaseError::from) {
                Ok(rows) => answers.push(rows),
                Err(failed) if first.is_none() && !failed.is_follow_up() => first = Some(failed),
                Err(_) => {}
            }
        }
        let ended = rest(ended_at_once, ended).await.map_err(DatabaseError::from);
        concluded(first, ended, answers)
    }
}

impl Ending {
    /// For idempotent work.
    pub fn rows(self) -> Result<Vec<Vec<Row>>, DatabaseError> {
        match self {
            Self::Committed(rows) => Ok(rows),
            Self::RolledBack(failed) | Self::Unknown(failed) => Err(failed),
        }
    }
}

fn concluded(first: Option<DatabaseError>, ended: Result<(), DatabaseError>, answers: Vec<Vec<Row>>) -> Ending {
    match (first, ended) {
        (None, Ok(())) => Ending::Committed(answers),
        // The database reported an error, so it has rolled back.
        (Some(failed @ DatabaseError::Sql(_)), _) if failed.is_database_error() => Ending::RolledBack(failed),
        (None, Err(failed)) if !failed.is_lost() => Ending::RolledBack(failed),
        (Some(failed), _) | (None, Err(failed)) => Ending::Unknown(failed),
    }
}

type Answer<T> = Option<Result<T, Error>>;

async fn look<T>(mut step: Pin<&mut impl Future<Output = Result<T, Error>>>) -> Answer<T> {
    poll_fn(|context| match step.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn rest<T>(at_once: Answer<T>, step: Pin<Box<impl Future<Output = Result<T, Error>>>>) -> Result<T, Error> {
    match at_once {
        Some(answer) => answer,
        None => step.await,
    }
}
