//! Requests to the admin API of a running instance.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;

use crate::args::Instance;
use crate::failed::Failed;

/// Of one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A running instance.
pub struct Admin {
    client: Client,
    url: String,
}

/// An answer.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, `null` where it is not JSON.
    pub body: Value,
}

impl Admin {
    /// Nothing is sent yet.
    pub fn of(instance: &Instance) -> Result<Self, Failed> {
        let url = instance.url.trim_end_matches('/').to_owned();
        if url.starts_with("https:") {
            return Err(Failed::config(format!(
                "{url}: this asks over plain HTTP only; forward the port, or name the inner address"
            )));
        }
        let client = Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(|error| Failed::no(error.to_string()))?;
        Ok(Self { client, url })
    }

    /// Sends a request, whatever the status of the answer.
    pub async fn ask(&self, method: Method, path: &str, query: &[(&str, &str)], body: Option<&Value>) -> Result<Answer, Failed> {
        let asking = self.client.request(method, format!("{}{path}", self.url)).query(query);
        let asking = if let Some(body) = body { asking.json(body) } else { asking };
        let answer = asking.send().await.map_err(|error| self.silent(&error))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|error| self.silent(&error))?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or_default() })
    }

    /// Sends a request; any other status than 2xx is an error.
    pub async fn demand(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Failed> {
        let answer = self.ask(method, path, query, body).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        let said = ["detail", "message", "title"].iter().find_map(|field| answer.body.get(field)?.as_str());
        Err(Failed::no(format!("{} answers {}: {}", self.url, answer.status, said.unwrap_or("no reason given"))))
    }

    fn silent(&self, error: &reqwest::Error) -> Failed {
        let how = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
        Failed::unavailable(format!("{} {how}; is `pabal run` running there? (--url names another instance)", self.url))
    }
}

/// Runs one conversation.
pub fn talk<T>(conversation: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(conversation)
}
