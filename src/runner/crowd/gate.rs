//! Whether one more request may be sent to an endpoint: its window, its own word, the plan's budgets and its breaker.

use std::time::Duration;

use tokio::time::Instant;

use super::Group;
use super::breaker::{Breaker, Said};
use super::bucket::Bucket;
use super::window::Window;
use crate::domain::{CauseKind, Request, Served};
use crate::engine::{Failure, Headroom, RetryClass};
use crate::runner::Backoff;

/// Bytes of text that are taken for a token until the service has counted.
const BYTES_A_TOKEN: f64 = 4.0;
/// The longest that a service's word on what is left holds requests back: it says when all is there again, and some is
/// there before. Its word on when to ask again is another thing, and obeyed to the end.
const LONGEST: Duration = Duration::from_mins(1);
/// Units in a row that were not let in before the endpoint is asked no more.
const BARRED: u32 = 10;
/// A century, which an instant can hold.
const FOREVER: Duration = Duration::from_hours(24 * 36_525);

/// What a request takes of the limits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    requests: f64,
    /// Tokens, as estimated from the text and corrected by what the service counted so far.
    tokens: f64,
    /// The same without the correction.
    plain: f64,
}

/// What the end of a request is told with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    round: u32,
    epoch: u32,
    size: Size,
}

/// What the gate says to a request that wants to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Go,
    /// Not before this.
    Wait(Instant),
    /// Not before something under way has ended.
    Full,
}

/// What a service said to be left, less what was sent since.
#[derive(Debug)]
struct Left {
    amount: f64,
    until: Instant,
}

/// The one limiter of an endpoint.
#[derive(Debug)]
pub(super) struct Gate {
    window: Window,
    /// The endpoint's own word: nothing before this.
    hold: Option<Instant>,
    left: [Option<Left>; 2],
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    breaker: Breaker,
    /// Since when nothing was answered, though something was asked.
    trouble: Option<Instant>,
    goods: u64,
    /// Units that were not let in since the last answer.
    barred: u32,
    /// Sums of tokens counted and of tokens estimated, for the same answers.
    counted: (f64, f64),
    /// Requests sent and their estimated tokens.
    sent: (f64, f64),
}

impl Gate {
    pub(super) fn new(group: &Group, backoff: Backoff, now: Instant) -> Self {
        Self {
            window: Window::new(group.most, group.stated),
            hold: None,
            left: [None, None],
            requests: group.requests_per_minute.map(|budget| Bucket::new(budget, now)),
            tokens: group.tokens_per_minute.map(|budget| Bucket::new(budget, now)),
            breaker: Breaker::new(backoff),
            trouble: None,
            goods: 0,
            barred: 0,
            counted: (0.0, 0.0),
            sent: (0.0, 0.0),
        }
    }

    /// What a request takes of the limits, as far as anybody can say before it is answered.
    pub(super) fn size(&self, request: &Request) -> Size {
        let requests = match request {
            // At worst each option is a request of its own.
            Request::Choice { options, .. } => options.len() as f64,
            _ => 1.0,
        };
        let (counted, estimated) = self.counted;
        let correction = if estimated > 0.0 { counted / estimated } else { 1.0 };
        let plain = tokens(request);
        Size { requests, tokens: plain * correction, plain }
    }

    /// Whether a request may be sent beside those under way.
    pub(super) fn pass(&mut self, now: Instant, under_way: usize, size: Size) -> Pass {
        if let Some(hold) = self.hold.filter(|hold| *hold > now) {
            return Pass::Wait(hold);
        }
        match self.breaker.says(now) {
            Said::Go => {}
            Said::Wait(until) => return Pass::Wait(until),
            Said::Hold => return Pass::Full,
        }
        if !self.window.has_room(under_way) {
            return Pass::Full;
        }
        let needs = [size.requests.min(1.0), size.tokens];
        let short = self.left.iter().zip(needs).filter_map(|(left, need)| left.as_ref().filter(|left| left.amount < need));
        let bucket = |bucket: &mut Option<Bucket>, need| bucket.as_mut().and_then(|bucket| bucket.wait(now, need));
        let waits = short.map(|left| left.until).filter(|until| *until > now);
        let waits = waits.chain(bucket(&mut self.requests, size.requests)).chain(bucket(&mut self.tokens, size.tokens));
        let Some(until) = waits.max() else { return Pass::Go };
        self.window.is_idle();
        Pass::Wait(until)
    }

    /// Takes note of a request that goes out now.
    pub(super) fn sent(&mut self, now: Instant, size: Size) -> Stamp {
        for (left, amount) in self.left.iter_mut().zip([1.0, size.tokens]) {
            if let Some(left) = left {
                left.amount -= amount;
            }
        }
        for (bucket, amount) in [(&mut self.requests, size.requests), (&mut self.tokens, size.tokens)] {
            if let Some(bucket) = bucket {
                bucket.take(now, amount);
            }
        }
        self.sent = (self.sent.0 + 1.0, self.sent.1 + size.tokens);
        Stamp { round: self.window.round(), epoch: self.breaker.sent(), size }
    }

    /// Takes note of an answer, with what the endpoint told beside it.
    pub(super) fn good(&mut self, stamp: Stamp, served: Option<&Served>, at: Instant) {
        if served.is_some_and(|served| served.cached) {
            return self.not_asked(stamp, at);
        }
        self.goods += 1;
        self.barred = 0;
        self.trouble = None;
        if self.breaker.alive() {
            self.window.restart();
        }
        self.window.grow();
        if let Some(usage) = served.and_then(|served| served.usage) {
            let real = (usage.prompt + usage.completion) as f64;
            if let Some(bucket) = &mut self.tokens {
                bucket.take(at, real - stamp.size.tokens);
            }
            let (counted, estimated) = self.counted;
            self.counted = (counted + real, estimated + stamp.size.plain);
        }
    }

    /// Gives back what a request did not take: its answer was at hand, and the endpoint was not asked.
    fn not_asked(&mut self, stamp: Stamp, at: Instant) {
        let Size { requests, tokens, .. } = stamp.size;
        for (bucket, amount) in [(&mut self.requests, requests), (&mut self.tokens, tokens)] {
            if let Some(bucket) = bucket {
                bucket.take(at, -amount);
            }
        }
        for (left, amount) in self.left.iter_mut().zip([1.0, tokens]) {
            if let Some(left) = left {
                left.amount += amount;
            }
        }
        self.breaker.unknown(at);
    }

    /// Takes note of one more unit that was not let in; true where so many were not, one after the other, that nobody is.
    pub(super) fn bars(&mut self) -> bool {
        self.barred += 1;
        self.barred >= BARRED
    }

    /// Takes note of a failure, the `first` of its unit or a later one; true where it counts against its unit, false where the endpoint was down anyway.
    pub(super) fn failed(&mut self, stamp: Stamp, (failure, first): (&Failure, bool), at: Instant, under_way: usize) -> bool {
        if let Some(wait) = failure.wait {
            let until = at + wait.min(FOREVER);
            self.hold = Some(self.hold.map_or(until, |hold| hold.max(until)));
        }
        if failure.retry != RetryClass::No {
            self.trouble.get_or_insert(at);
        }
        if failure.retry == RetryClass::Busy {
            self.window.cut(stamp.round, under_way);
        }
        if failure.retry == RetryClass::Unreached {
            self.breaker.nothing(stamp.epoch, at);
            return false;
        }
        if failure.retry == RetryClass::Transient {
            let is_down = failure.kind == CauseKind::Transport;
            // What comes too late or makes no sense once says that of the endpoint; again and again, of the request.
            let is_useless = matches!(failure.kind, CauseKind::Timeout | CauseKind::Malformed);
            if is_down || (is_useless && (first || !self.breaker.is_closed())) {
                return self.breaker.nothing(stamp.epoch, at);
            }
            if is_useless {
                return true;
            }
        }
        if self.breaker.alive() {
            self.window.restart();
        }
        true
    }

    /// Takes the service's word on what is left, with the requests still under way: it may or may not have counted them.
    pub(super) fn heard(&mut self, headroom: Headroom, at: Instant, under_way: usize) {
        let mean = if self.sent.0 > 0.0 { self.sent.1 / self.sent.0 } else { 0.0 };
        for (place, (told, each)) in [(headroom.requests, 1.0), (headroom.tokens, mean)].into_iter().enumerate() {
            if let Some((left, reset)) = told {
                let amount = left - under_way as f64 * each;
                self.left[place] = Some(Left { amount, until: at + reset.min(LONGEST) });
            }
        }
    }

    /// Answers so far.
    pub(super) fn goods(&self) -> u64 {
        self.goods
    }

    /// How long nothing was answered, though something was asked.
    pub(super) fn troubled(&self, now: Instant) -> Duration {
        self.trouble.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

/// Tokens of a request and its longest answer, estimated from its text.
fn tokens(request: &Request) -> f64 {
    let (bytes, answer) = match request {
        Request::Choice { context, options } => {
            (options.iter().map(|option| context.len() + option.len()).sum::<usize>(), options.len())
        }
        Request::Generate { prompt, generation } => (prompt.len(), generation.max_tokens),
        Request::Chat { messages, tools, generation } => {
            let texts = messages.iter().map(|message| message.role.len() + message.content.len()).sum::<usize>();
            // A tool's schema has a few hundred bytes; the services' counts correct that soon.
            (texts + 400 * tools.len(), generation.max_tokens)
        }
        Request::Perplexity { text } => (text.len(), 1),
    };
    bytes as f64 / BYTES_A_TOKEN + answer as f64
}
