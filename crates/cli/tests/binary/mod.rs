//! The real binary: started on a port that was free, with data of its own, and ended with the test, however that ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects")]
#![allow(dead_code, missing_docs, reason = "each test binary uses its part")]

pub mod chance;
pub mod sums;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};

/// Nothing that is promised here takes so long, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The binary of the package that runs the test: the shipped one, or the one with a ledger.
const BINARY: &str = match (option_env!("CARGO_BIN_EXE_pabal"), option_env!("CARGO_BIN_EXE_pabal-with-ledger")) {
    (Some(path), _) | (None, Some(path)) => path,
    (None, None) => panic!("the package of this test has no binary"),
};

/// The binary with these arguments, its data below `dir`.
pub fn pabal(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(dir).args(args).env_remove("RUST_LOG");
    command
}

/// What a command that has ended had to say.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Its output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Each line of its output as JSON.
    pub fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Self { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// Runs a command to its end.
pub fn said(dir: &Path, args: &[&str]) -> Said {
    pabal(dir, args).output().unwrap().into()
}

/// A message to a handset that takes it.
pub fn message(id: &str) -> Value {
    json!({"messageId": id, "userContact": "01012341234", "mno": "kt", "chatbotId": "0801234567", "description": "test"})
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The fields that are said to be wrong.
    pub fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["field"].as_str()).collect()
    }

    /// It is a problem as every problem must be, with this status.
    pub fn is_problem(&self, status: u16) -> bool {
        let text = |name: &str| self.body[name].as_str().unwrap_or_default();
        self.status == status
            && self.header("content-type") == "application/problem+json"
            && self.body["status"] == status
            && text("type").starts_with("/problems/")
            && !text("title").is_empty()
            && !text("detail").is_empty()
            && text("message") == text("detail")
            && !self.header("x-request-id").is_empty()
    }
}

/// An instance.
pub struct Running {
    child: Child,
    pub url: String,
    pub client: Client,
    log: Arc<Mutex<Vec<String>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end_process();
    }
}

impl Running {
    /// Started, and ready.
    pub fn start(dir: &Path) -> Self {
        Self::of(pabal(dir, &["run", "--port", "0"]))
    }

    /// A command that runs an instance, once that is ready.
    pub fn of(command: Command) -> Self {
        match Starting::of(command).wait() {
            Ok(running) => running,
            Err(said) => panic!("it ended before it ran: {said:?}"),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has logged that, and gives back everything that it has logged.
    pub async fn until_logged(&self, message: &str) -> Vec<String> {
        let (end, quoted) = (Instant::now() + PATIENCE, format!("\"message\":\"{message}\""));
        loop {
            let log = self.log();
            if log.iter().any(|line| line.contains(&quoted)) {
                return log;
            }
            assert!(Instant::now() < end, "it never said `{message}`: {log:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub async fn get(&self, path: &str) -> Value {
        answered(self.request(Method::GET, path)).await.unwrap().body
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        answered(self.request(Method::POST, path).json(body)).await.unwrap()
    }

    pub async fn delete(&self, path: &str) -> Answer {
        answered(self.request(Method::DELETE, path)).await.unwrap()
    }

    /// Asks again until it is so.
    pub async fn until(&self, path: &str, so: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if so(&answer) {
                return answer;
            }
            assert!(Instant::now() < end, "{path} never came to what was expected: {answer}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Every entry of a collection, page by page.
    pub async fn all(&self, name: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut next = format!("{}/{name}?size=1000", self.url);
        loop {
            let page = answered(self.client.get(&next)).await.unwrap();
            assert_eq!(page.status, 200, "{page:?}");
            found.extend(page.body["_embedded"][name].as_array().unwrap().iter().cloned());
            match page.body["_links"]["next"]["href"].as_str() {
                Some(href) => href.clone_into(&mut next),
                None => return found,
            }
        }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(sent.success(), "SIG{name} was not sent");
    }

    /// SIGKILL, and gone.
    pub fn kill(mut self) {
        self.end_process();
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(self) -> i32 {
        self.signal("TERM");
        self.ended()
    }

    /// How it ended, by itself.
    pub fn ended(mut self) -> i32 {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return code(status);
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn end_process(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

/// Sends, and reads the whole answer.
pub async fn answered(request: RequestBuilder) -> reqwest::Result<Answer> {
    let answer = request.send().await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await?;
    Ok(Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
}

/// An instance that is not ready yet.
pub struct Starting {
    child: Child,
    ports: Receiver<u64>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Starting {
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, (sender, ports)) = (Arc::clone(&log), channel());
        // It ends with the process. A full pipe would block the process.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let said: Value = serde_json::from_str(&line).unwrap_or_default();
                if said["message"] == "running" {
                    let _ = sender.send(said["port"].as_u64().unwrap());
                }
                kept.lock().unwrap().push(line);
            }
        });
        Self { child, ports, log }
    }

    /// SIGKILL, wherever it is.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it runs, or hears how it ended.
    pub fn wait(self) -> Result<Running, Said> {
        let Self { mut child, ports, log } = self;
        match ports.recv_timeout(PATIENCE) {
            Ok(port) => {
                let stderr = child.stderr.take().unwrap();
                std::thread::spawn(move || std::io::copy(&mut BufReader::new(stderr), &mut std::io::sink()));
                let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
                Ok(Running { child, url: format!("http://127.0.0.1:{port}"), client, log })
            }
            Err(RecvTimeoutError::Disconnected) => {
                let mut err = String::new();
                child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
                let out = log.lock().unwrap().join("\n");
                Err(Said { code: code(child.wait().unwrap()), out, err: err.trim_end().to_owned() })
            }
            Err(RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                panic!("it did not run in time: {:?}", log.lock().unwrap());
            }
        }
    }
}
