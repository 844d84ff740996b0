//! Waiting until a server answers.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::ServerError;
use super::guard::Guarded;
use super::tail;
use crate::domain::{Preset, SubjectName};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// How long one look may take: a server that loads may accept and say nothing.
const LOOK: Duration = Duration::from_secs(5);

/// Waits until a server answers that it is ready.
///
/// # Errors
/// It ended, or the limit passed; with its last words.
pub(super) async fn wait(
    subject: &SubjectName,
    preset: Preset,
    port: u16,
    guarded: &Guarded,
    patience: Duration,
) -> Result<(), ServerError> {
    let end = Instant::now() + patience;
    let mut last = "nothing listens on its port".to_owned();
    loop {
        if let Some(ended) = guarded.ended() {
            return Err(guarded.fault(subject, ended));
        }
        match timeout(LOOK, look(preset, port)).await {
            Ok(Ok(status)) if ready(preset, status) => return Ok(()),
            Ok(Ok(status)) => last = format!("it answered with status {status}"),
            Ok(Err(_)) => {}
            Err(_) => "it accepts connections and says nothing".clone_into(&mut last),
        }
        if Instant::now() >= end {
            let (seconds, log) = (patience.as_secs(), tail::of(guarded.log()));
            return Err(ServerError::Slow { subject: subject.clone(), seconds, last, log });
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = guarded.end() => {}
        }
    }
}

/// Where a server says that it is ready.
fn path(preset: Preset) -> &'static str {
    match preset {
        Preset::Ollama => "/api/version",
        Preset::Litellm => "/health/liveliness",
        _ => "/health",
    }
}

/// Whether a status says that it is. Servers that are not known may have no such page: that they answer is enough.
fn ready(preset: Preset, status: u16) -> bool {
    match preset {
        Preset::LlamaServer | Preset::Vllm | Preset::Ollama | Preset::Litellm => status == 200,
        _ => status < 500,
    }
}

/// Asks once; returns the status.
async fn look(preset: Preset, port: u16) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n", path(preset));
    stream.write_all(request.as_bytes()).await?;
    let (mut line, mut byte) = (Vec::new(), [0]);
    while line.len() < 64 && stream.read(&mut byte).await? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    let line = String::from_utf8_lossy(&line);
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|digits| digits.parse().ok());
    status.ok_or_else(|| std::io::Error::other("no HTTP"))
}
