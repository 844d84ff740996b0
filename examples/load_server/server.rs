//! The server: a fixed time for each request, a fault for some, and a log of everything from its own side.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use super::faults::{Deed, deed};
use super::wire::{Question, Reader, refusal, reply};

/// How it behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// From a whole request to its answer.
    pub(crate) latency: Duration,
    /// The seed of its faults; none for a good day.
    pub(crate) faults: Option<u64>,
    /// Whether it writes a log.
    pub(crate) logs: bool,
}

/// One request, from the server's side; times since it was started.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Model and text as a number.
    pub(crate) id: u64,
    /// How many of this id came before.
    pub(crate) nth: u32,
    pub(crate) at: Duration,
    /// When its answer was written or its client went away.
    pub(crate) done: Duration,
    /// The wait that was asked for.
    pub(crate) hold: Option<Duration>,
    pub(crate) deed: Deed,
}

/// The server's state.
pub(crate) struct Server {
    settings: Settings,
    began: Instant,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    seen: Vec<Seen>,
    times: HashMap<u64, u32>,
}

impl Server {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings, began: Instant::now(), log: Mutex::default() })
    }

    /// Serves connections for ever.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(Arc::clone(&self).converse(stream));
        }
    }

    /// Everything that was asked so far.
    pub(crate) fn log(&self) -> Vec<Seen> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).seen.clone()
    }

    async fn converse(self: Arc<Self>, mut stream: TcpStream) {
        let mut reader = Reader::default();
        while let Some(asked) = reader.next(&mut stream).await {
            let is_question = asked.path.ends_with("/completions");
            let Some(question) = is_question.then(|| Question::of(&asked)).flatten() else {
                let told = self.tell(&asked.path);
                if stream.write_all(&told).await.is_err() {
                    return;
                }
                continue;
            };
            let (place, deed) = self.note(&question);
            let goes_on = self.meet(&mut stream, &mut reader, &question, deed).await;
            self.done(place);
            if !goes_on {
                return;
            }
        }
    }

    /// What it says to everything but a question.
    fn tell(&self, path: &str) -> Vec<u8> {
        if path.ends_with("/models") {
            let model = |name| format!(r#"{{"id":"{name}","object":"model","created":1760000000,"owned_by":"load"}}"#);
            let list = format!(r#"{{"object":"list","data":[{},{}]}}"#, model("canary"), model("variant"));
            return reply("200 OK", "", "application/json", &list);
        }
        if path.ends_with("/log") {
            let line = |seen: &Seen| {
                let Seen { id, nth, at, done, hold, deed } = seen;
                let hold = hold.map_or(0, |hold| hold.as_micros());
                format!("{id:016x}\t{nth}\t{}\t{}\t{hold}\t{deed:?}\n", at.as_micros(), done.as_micros())
            };
            return reply("200 OK", "", "text/plain", &self.log().iter().map(line).collect::<String>());
        }
        if path.ends_with("/health") { reply("200 OK", "", "application/json", "{}") } else { refusal("404 Not Found", "") }
    }

    fn note(&self, question: &Question) -> (usize, Deed) {
        if !self.settings.logs && self.settings.faults.is_none() {
            return (usize::MAX, Deed::Answer);
        }
        let (id, at) = (question.id(), self.began.elapsed());
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let times = log.times.entry(id).or_insert(0);
        let nth = *times;
        *times += 1;
        let deed = self.settings.faults.map_or(Deed::Answer, |seed| deed(seed, id, nth));
        log.seen.push(Seen { id, nth, at, done: Duration::MAX, hold: None, deed });
        (log.seen.len() - 1, deed)
    }

    fn done(&self, place: usize) {
        if let Some(seen) = self.log.lock().unwrap_or_else(PoisonError::into_inner).seen.get_mut(place) {
            seen.done = self.began.elapsed();
            seen.hold = seen.deed.hold();
        }
    }

    /// Does to a request what it is to meet; whether the connection goes on.
    async fn meet(&self, stream: &mut TcpStream, reader: &mut Reader, question: &Question, deed: Deed) -> bool {
        let extra = match deed {
            Deed::SlowHeaders(millis) => Duration::from_millis(millis),
            Deed::Late => Duration::from_mins(1),
            _ => Duration::ZERO,
        };
        tokio::select! {
            () = sleep(self.settings.latency + extra) => {}
            () = reader.closed(stream) => return false,
        }
        let (body, kind) = question.reply();
        let whole = || reply("200 OK", "", kind, &body);
        let limited = |header: String| refusal("429 Too Many Requests", &header);
        let bytes = match deed {
            Deed::Answer | Deed::SlowHeaders(_) | Deed::Late => whole(),
            Deed::LimitedSeconds(seconds) => limited(format!("retry-after: {seconds}\r\n")),
            Deed::LimitedMillis(millis) => limited(format!("retry-after-ms: {millis}\r\n")),
            Deed::LimitedDate(seconds) => {
                let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds));
                limited(format!("retry-after: {date}\r\n"))
            }
            Deed::Internal => refusal("500 Internal Server Error", ""),
            Deed::Unavailable => refusal("503 Service Unavailable", ""),
            Deed::Truncated => reply("200 OK", "", kind, &body[..body.len() / 2]),
            Deed::WrongType => reply("200 OK", "", "text/html", "<html><body>Welcome to the captive portal</body></html>"),
            Deed::Twice => [whole(), whole()].concat(),
            Deed::Reset => {
                // A linger of nothing makes the end a reset.
                let _ = stream.set_zero_linger();
                return false;
            }
            Deed::ClosedWithin | Deed::Stalled => {
                let whole = whole();
                let _ = stream.write_all(&whole[..whole.len() - body.len() / 2]).await;
                if deed == Deed::Stalled {
                    reader.closed(stream).await;
                }
                return false;
            }
        };
        stream.write_all(&bytes).await.is_ok()
    }
}
