//! In which passes spans are computed: sorted, so that neighbours share the longest beginnings, in parts of even size, and
//! what later ones share kept for them.

use super::encode::Span;
use super::forest::shared;
use super::memory::Memory;
use super::score::Work;

/// Sequences that are remembered as what the last call read, and their tokens in all.
const REMEMBERED: (usize, usize) = (16, 32_768);

/// Part of a span that a pass computes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Which span.
    pub span: usize,
    /// The input up to here.
    pub end: usize,
    /// The states from here on are wanted.
    pub wanted: usize,
    /// What stands before here should outlive the pass.
    pub lasting: usize,
    /// Where it has to because the rest of the span stands on it: how many of the span's tokens have to in the end.
    pub must_last: Option<usize>,
}

/// Spans in order, as far as they are not computed.
pub(super) struct Plan<'a> {
    spans: &'a [Span],
    /// Parts of spans, in the order of their tokens.
    parts: Vec<Part>,
    /// How many of the parts are done.
    done: usize,
    /// Tokens of a pass, so that all have about as many.
    even: usize,
    growing: bool,
}

/// As much of a span as is computed at once.
struct Part {
    span: usize,
    end: usize,
    wanted: usize,
    /// Tokens that it shares with the part before.
    shared: usize,
    /// How much of it others than its own request share.
    common: usize,
}

impl<'a> Plan<'a> {
    /// Sorts the spans.
    pub(super) fn new(work: Work<'a>, memory: &Memory) -> Self {
        let spans = work.spans;
        let mut parts: Vec<Part> = (0..spans.len()).flat_map(|span| split(span, &spans[span], memory.limits.tokens)).collect();
        let tokens = |part: &Part| &spans[part.span].input[..part.end];
        parts.sort_by(|a, b| tokens(a).cmp(tokens(b)).then((a.span, a.wanted).cmp(&(b.span, b.wanted))));
        for index in 1..parts.len() {
            parts[index].shared = shared(tokens(&parts[index - 1]), tokens(&parts[index]));
        }
        let owner = |part: &Part| work.owners.get(part.span).map_or(part.span, |&owner| owner as usize);
        // The most that a part shares with one of another request lies with the nearest such, on either side.
        let mut before = 0;
        for index in 1..parts.len() {
            let same = owner(&parts[index - 1]) == owner(&parts[index]);
            before = if same { before.min(parts[index].shared) } else { parts[index].shared };
            parts[index].common = before;
        }
        let mut after = 0;
        for index in (0..parts.len().saturating_sub(1)).rev() {
            let next = parts[index + 1].shared;
            after = if owner(&parts[index]) == owner(&parts[index + 1]) { after.min(next) } else { next };
            parts[index].common = parts[index].common.max(after);
        }
        for part in &mut parts {
            let tokens = &spans[part.span].input[..part.end];
            let again = memory.before.iter().map(|before| shared(before, tokens)).max().unwrap_or(0);
            part.common = if work.growing { part.end } else { part.common.max(again) };
        }
        let fresh: usize = parts.iter().map(|part| part.end - known(spans, part, memory).max(part.shared).min(part.end)).sum();
        let passes = fresh.div_ceil(memory.limits.tokens).max(1);
        // A little more than the even share, so that what is left by rounding is no pass of its own.
        let even = (fresh.div_ceil(passes) * 17 / 16).clamp(1, memory.limits.tokens);
        Self { spans, parts, done: 0, even, growing: work.growing }
    }

    /// The next pass; none where everything is done.
    pub(super) fn next(&mut self, memory: &mut Memory) -> Option<Vec<Step>> {
        let part = self.parts.get(self.done)?;
        let known = known(self.spans, part, memory);
        let Part { span, end, wanted, .. } = *part;
        if end - known > memory.limits.tokens {
            // Its beginning first, in blocks. What is wanted is at most a block, so what stands before can go first.
            let end = wanted.min(known + memory.limits.tokens);
            let own = self.parts[self.done..].iter().filter(|part| part.span == span);
            let must_last = own.map(|part| part.wanted).max();
            return Some(vec![Step { span, end, wanted: end, lasting: end, must_last }]);
        }
        let mut taken = end - known;
        let mut count = 1;
        for part in &self.parts[self.done + 1..] {
            let fresh = part.end - self::known(self.spans, part, memory).max(part.shared);
            if taken + fresh > self.even {
                break;
            }
            taken += fresh;
            count += 1;
        }
        let after = self.done + count;
        let mut carried = self.parts.get(after).map_or(0, |next| next.shared);
        let mut steps: Vec<Step> = Vec::with_capacity(count);
        for part in self.parts[self.done..after].iter().rev() {
            let lasting = part.common.max(carried).min(part.end);
            steps.push(Step { span: part.span, end: part.end, wanted: part.wanted, lasting, must_last: None });
            carried = carried.min(part.shared);
        }
        steps.reverse();
        self.done = after;
        Some(steps)
    }

    /// Leaves out what is still to be computed of a span.
    pub(super) fn drop(&mut self, span: usize) {
        let mut index = 0;
        let done = self.done;
        self.parts.retain(|part| {
            index += 1;
            index <= done || part.span != span
        });
    }

    /// Notes what was read, for the next call.
    pub(super) fn close(self, memory: &mut Memory) {
        let (most, tokens) = REMEMBERED;
        let few = self.spans.len() <= most && self.spans.iter().map(|span| span.input.len()).sum::<usize>() <= tokens;
        let inputs = || self.spans.iter().map(|span| span.input.clone()).collect();
        memory.before = if few && !self.growing { inputs() } else { Vec::new() };
    }
}

/// How many tokens before the first wanted state are known.
fn known(spans: &[Span], part: &Part, memory: &Memory) -> usize {
    memory.forest.walk(&spans[part.span].input[..part.end], part.wanted).len()
}

/// Cuts a span so that no part wants more than `tokens` states.
fn split(span: usize, whole: &Span, tokens: usize) -> impl Iterator<Item = Part> + use<> {
    let (first, last) = (whole.input.len() - whole.targets.len(), whole.input.len());
    (first..last).step_by(tokens).map(move |wanted| {
        let end = last.min(wanted + tokens);
        Part { span, end, wanted, shared: 0, common: 0 }
    })
}
