//! Just enough of HTTP/1.1 and of OpenAI's protocol: requests off a connection, replies as bytes.

use std::fmt::Write;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::faults::stirred;

/// A request.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

/// Reads requests off one connection.
#[derive(Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    /// The next request; none where the connection was closed or does not speak HTTP.
    pub(crate) async fn next(&mut self, stream: &mut TcpStream) -> Option<Asked> {
        loop {
            if let Some(asked) = self.whole() {
                return Some(asked);
            }
            self.buffer.reserve(4096);
            if stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// Waits until the client closes the connection.
    pub(crate) async fn closed(&mut self, stream: &mut TcpStream) {
        while stream.read_buf(&mut self.buffer).await.is_ok_and(|read| read > 0) {}
    }

    fn whole(&mut self) -> Option<Asked> {
        let head = self.buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&self.buffer[..head]).ok()?;
        let mut lines = text.split("\r\n");
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
        });
        let end = head + length.unwrap_or(0);
        if self.buffer.len() < end {
            return None;
        }
        let body = self.buffer[head..end].to_vec();
        self.buffer.drain(..end);
        Some(Asked { path, body })
    }
}

/// What a request asks, as far as it matters here.
pub(crate) struct Question {
    /// Who is asked.
    pub(crate) model: String,
    /// The last message's text or the prompt.
    pub(crate) text: String,
    pub(crate) streams: bool,
    pub(crate) chats: bool,
}

impl Question {
    /// Reads a body.
    pub(crate) fn of(asked: &Asked) -> Option<Self> {
        let body: serde_json::Value = serde_json::from_slice(&asked.body).ok()?;
        let last = body["messages"].as_array().and_then(|messages| messages.last());
        let text = last.map_or(&body["prompt"], |message| &message["content"]);
        // A content of parts is known by its JSON.
        let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
        let model = body["model"].as_str().unwrap_or_default().to_owned();
        Some(Self { model, text, streams: body["stream"].as_bool() == Some(true), chats: last.is_some() })
    }

    /// A number for model and text together.
    pub(crate) fn id(&self) -> u64 {
        let bytes = self.model.bytes().chain([0]).chain(self.text.bytes());
        stirred(bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    /// The sum that is asked for, wrong once in sixteen times; 7 where no sum is.
    fn answer(&self) -> u64 {
        let numbers = self.text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse::<u64>().ok());
        let numbers: Vec<u64> = numbers.collect();
        let sum = if let [.., a, b] = numbers[..] { a.saturating_add(b) } else { 7 };
        if stirred(self.text.len() as u64 ^ sum).is_multiple_of(16) { sum + 1 } else { sum }
    }

    /// The reply's body, and its type.
    pub(crate) fn reply(&self) -> (String, &'static str) {
        let (answer, model) = (self.answer(), &self.model);
        let (prompt, object) = (self.text.len() / 4 + 8, if self.chats { "chat.completion" } else { "text_completion" });
        let usage = format!(r#"{{"prompt_tokens":{prompt},"completion_tokens":2,"total_tokens":{}}}"#, prompt + 2);
        let head = format!(r#""id":"load-1","created":1760000000,"model":"{model}","system_fingerprint":"fp_load""#);
        if self.streams {
            let mut text = String::new();
            for (delta, end) in [(format!(r#""content":"{answer}""#), "null"), (String::new(), r#""stop""#)] {
                let choice = format!(r#"{{"index":0,"delta":{{{delta}}},"finish_reason":{end}}}"#);
                let _ = write!(text, "data: {{{head},\"object\":\"{object}.chunk\",\"choices\":[{choice}]}}\n\n");
            }
            let _ = write!(text, "data: {{{head},\"object\":\"{object}.chunk\",\"choices\":[],\"usage\":{usage}}}\n\n");
            return (text + "data: [DONE]\n\n", "text/event-stream");
        }
        let choice = if self.chats {
            format!(
                r#"{{"index":0,"message":{{"role":"assistant","content":"{answer}"}},"logprobs":null,"finish_reason":"stop"}}"#
            )
        } else {
            format!(r#"{{"index":0,"text":"{answer}","logprobs":null,"finish_reason":"stop"}}"#)
        };
        (format!(r#"{{{head},"object":"{object}","choices":[{choice}],"usage":{usage}}}"#), "application/json")
    }
}

/// A whole reply.
pub(crate) fn reply(status: &str, headers: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// A refusal in OpenAI's form.
pub(crate) fn refusal(status: &str, headers: &str) -> Vec<u8> {
    let message = format!(r#"{{"error":{{"message":"{status}","type":"server_error","param":null,"code":null}}}}"#);
    reply(status, headers, "application/json", &message)
}
