//! An HTTP server on the loopback whose every byte is written out beforehand: what to send, where to cut it, how to close.
#![allow(dead_code, reason = "a workbench: each test takes what it needs of it")]
#![allow(unreachable_pub, reason = "it is also the workbench of unit tests, where its place is another")]

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its place among all requests of the server, from 0, in the order in which they were complete.
    pub number: usize,
    /// The connection that it came on, from 0.
    pub connection: usize,
    /// When it was complete.
    pub at: Instant,
    /// `GET`, `POST`, ….
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// A header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the request's body is JSON")
    }
}

/// One thing that the server does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends bytes at once, as one write.
    Send(Vec<u8>),
    /// Waits, by the runtime's clock.
    Wait(Duration),
    /// Says nothing more until the client goes away.
    Hold,
}

/// What happens to the connection afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// It is kept for the next request.
    Keep,
    /// It is closed in order.
    End,
    /// It is reset.
    Reset,
}

/// The answer to one request.
#[derive(Clone, Debug)]
pub struct Script {
    /// What is done, in order.
    pub acts: Vec<Act>,
    /// And then.
    pub close: Close,
}

impl Script {
    /// A complete response with a length.
    pub fn whole(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = head(status, headers);
        bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
        bytes.extend(body);
        Self { acts: vec![Act::Send(bytes)], close: Close::Keep }
    }

    /// A complete response of JSON.
    pub fn json(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::whole(status, &[("content-type", "application/json")], body)
    }

    /// A complete response of JSON with more headers.
    pub fn json_with(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        Self::whole(status, &all, body)
    }

    /// A response of unknown length under 200, in these chunks: each is a chunk of the transfer and a write of its own.
    pub fn stream<T: AsRef<[u8]>>(kind: &str, chunks: impl IntoIterator<Item = T>) -> Self {
        let mut start = head(200, &[("content-type", kind)]);
        start.extend(b"transfer-encoding: chunked\r\n\r\n");
        let mut acts = vec![Act::Send(start)];
        acts.extend(chunks.into_iter().map(|chunk| Act::Send(framed(chunk.as_ref()))));
        acts.push(Act::Send(b"0\r\n\r\n".to_vec()));
        Self { acts, close: Close::Keep }
    }

    /// The same, without its end: after the chunks `last` is done and the connection is closed as said.
    pub fn torn<T: AsRef<[u8]>>(kind: &str, chunks: impl IntoIterator<Item = T>, close: Close) -> Self {
        let mut script = Self::stream(kind, chunks);
        script.acts.pop();
        Self { close, ..script }
    }

    /// A script with something more at its end.
    #[must_use]
    pub fn then(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    /// A script with something before it.
    #[must_use]
    pub fn after(mut self, act: Act) -> Self {
        self.acts.insert(0, act);
        self
    }

    /// A script that ends otherwise.
    #[must_use]
    pub fn closing(self, close: Close) -> Self {
        Self { close, ..self }
    }

    /// Nothing at all, and an end.
    pub fn silence(close: Close) -> Self {
        Self { acts: Vec::new(), close }
    }
}

/// A status line and headers, without the empty line that ends them.
fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Status\r\n");
    text.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
    text.into_bytes()
}

/// A chunk of a transfer of unknown length.
fn framed(chunk: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", chunk.len()).into_bytes();
    bytes.extend(chunk);
    bytes.extend(b"\r\n");
    bytes
}

/// What decides on the answers.
type Handler = Arc<dyn Fn(&Received) -> Script + Send + Sync>;

/// What the server's connections share.
#[derive(Clone)]
struct Shared {
    handler: Handler,
    log: Arc<Mutex<Vec<Received>>>,
}

/// A running server; it ends when it is dropped.
pub struct Loopback {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Received>>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Loopback {
    /// Starts a server on a free port, on a thread of its own.
    pub fn start(handler: impl Fn(&Received) -> Script + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("a listener can be made to wait for nobody");
        let address = listener.local_addr().expect("a listener has an address");
        let log = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared { handler: Arc::new(handler), log: Arc::clone(&log) };
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("the runtime takes the listener");
                tokio::select! {
                    _ = ended => {}
                    () = accept(listener, shared) => {}
                }
            });
        });
        Self { address, log, end: Some(end), thread: Some(thread) }
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address with a scheme.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that it was asked so far.
    pub fn log(&self) -> Vec<Received> {
        self.log.lock().expect("no test panics while it holds the log").clone()
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // The server's own panic fails the test by the answers that are missing.
            let _ = thread.join();
        }
    }
}

/// Serves every connection that comes.
async fn accept(listener: TcpListener, shared: Shared) {
    let mut connection = 0;
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            // A client that goes away is part of what is tested.
            let _ = serve(stream, connection, shared).await;
        });
        connection += 1;
    }
}

/// Answers the requests of one connection, one after the other.
async fn serve(mut stream: TcpStream, connection: usize, shared: Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut rest = Vec::new();
    while let Some(mut request) = read(&mut stream, &mut rest).await? {
        request.connection = connection;
        {
            let mut log = shared.log.lock().expect("no test panics while it holds the log");
            request.number = log.len();
            log.push(request.clone());
        }
        let script = (shared.handler)(&request);
        for act in script.acts {
            match act {
                Act::Send(bytes) => {
                    stream.write_all(&bytes).await?;
                    stream.flush().await?;
                }
                Act::Wait(time) => tokio::time::sleep(time).await,
                Act::Hold => while stream.read(&mut [0; 64]).await? > 0 {},
            }
        }
        match script.close {
            Close::Keep => {}
            Close::End => return stream.shutdown().await,
            Close::Reset => return stream.set_zero_linger(),
        }
    }
    Ok(())
}

/// Reads one request; none where the client closed. What came behind it stays in `rest`.
async fn read(stream: &mut TcpStream, rest: &mut Vec<u8>) -> io::Result<Option<Received>> {
    let end = loop {
        if let Some(at) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(rest).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&rest[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (first.next().unwrap_or_default().to_owned(), first.next().unwrap_or_default().to_owned());
    let fields = lines.filter_map(|line| line.split_once(':'));
    let headers: Vec<(String, String)> =
        fields.map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned())).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let length: usize = length.unwrap_or(0);
    while rest.len() < end + length {
        if stream.read_buf(rest).await? == 0 {
            return Ok(None);
        }
    }
    let body = rest[end..end + length].to_vec();
    rest.drain(..end + length);
    Ok(Some(Received { number: 0, connection: 0, at: Instant::now(), method, path, headers, body }))
}
