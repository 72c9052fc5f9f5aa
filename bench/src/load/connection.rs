//! A client that costs next to nothing: one connection, request bytes that are ready, and only as much of the answer read
//! as is needed to know its status and where it ends.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A kept-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, as far as anybody asks.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Everything before the body.
    pub head: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (status, head, end) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if let Some(found) = parse_head(&self.buffer)? {
                break found;
            }
        };
        Ok(Answer { status, head: &self.buffer[..head], body: &self.buffer[head..end] })
    }

    /// `GET`.
    pub async fn get(&mut self, path: &str) -> Result<Answer<'_>> {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await
    }

    /// `POST` without a body.
    pub async fn post(&mut self, path: &str) -> Result<Answer<'_>> {
        self.ask(format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").as_bytes()).await
    }
}

impl Answer<'_> {
    /// The number that ends the `Location` of what was created.
    pub fn created_id(&self) -> Option<u64> {
        let location = std::str::from_utf8(header(self.head, "location")?).ok()?;
        location.trim().rsplit('/').next()?.parse().ok()
    }

    /// The number that follows a member's name, wherever it stands.
    pub fn number(&self, name: &str) -> Option<u64> {
        let text = std::str::from_utf8(self.body).ok()?;
        let at = text.find(&format!("\"{name}\":"))? + name.len() + 3;
        let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
        text[at..at + digits].parse().ok()
    }

    /// Whether these words are in the body.
    pub fn says(&self, words: &str) -> bool {
        self.body.windows(words.len()).any(|window| window == words.as_bytes())
    }
}

/// Status, length of the head and end of the answer, once all of it is there.
fn parse_head(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4) else { return Ok(None) };
    let odd = |what: &str| Error::new(ErrorKind::InvalidData, what.to_owned());
    let status = bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| digits.parse().ok());
    let status: u16 = status.ok_or_else(|| odd("an answer has no status"))?;
    let length = match header(&bytes[..head], "content-length") {
        Some(length) => std::str::from_utf8(length).ok().and_then(|length| length.trim().parse().ok()),
        None if status == 204 || status == 304 => Some(0),
        None => None,
    };
    let end = head + length.ok_or_else(|| odd("an answer does not say how long it is"))?;
    Ok((bytes.len() >= end).then_some((status, head, end)))
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        value.strip_prefix(b":").filter(|_| found.eq_ignore_ascii_case(name.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] =
        b"HTTP/1.1 201 Created\r\nContent-Length: 17\r\nlocation: http://h/messages/42\r\n\r\n{\"total\":9,\"a\":1}";

    #[test]
    fn an_answer_is_whole_when_its_last_byte_is_there() {
        assert_eq!(parse_head(ANSWER).unwrap().map(|(status, _, end)| (status, end)), Some((201, ANSWER.len())));
        assert_eq!(parse_head(&ANSWER[..ANSWER.len() - 1]).unwrap(), None);
        assert_eq!(parse_head(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().map(|(status, ..)| status), Some(204));
        assert!(parse_head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn numbers_are_found() {
        let (status, head, end) = parse_head(ANSWER).unwrap().unwrap();
        let answer = Answer { status, head: &ANSWER[..head], body: &ANSWER[head..end] };
        assert_eq!((answer.created_id(), answer.number("total"), answer.number("no")), (Some(42), Some(9), None));
        assert!(answer.says("\"a\":1") && !answer.says("\"b\""));
    }
}
