//! Text generation: answers written side by side, each by its own rules and random stream; where one ends, the next prompt
//! takes its place at once.

use std::collections::VecDeque;

use rayon::prelude::*;

use super::cache::{PAGE, Write};
use super::decoder::Decoder;
use super::encode::{Vocabulary, failed};
use super::forest::{Block, Full, Pass, Sequence, append};
use super::guide::Guide;
use super::live::{Live, Prompt};
use super::memory::Memory;
use super::product::ComputeError;
use crate::domain::Answer;
use crate::engine::Failure;

/// Answers that are written at a time.
const TOGETHER: usize = 256;

/// Answers every prompt, in order.
pub(super) fn generate(
    decoder: &Decoder,
    memory: &mut Memory,
    vocabulary: &Vocabulary,
    prompts: Vec<Prompt<'_>>,
) -> Vec<Result<Answer, Failure>> {
    let mut answers: Vec<Result<Answer, Failure>> = prompts.iter().map(|_| Err(failed("not answered".into()))).collect();
    let mut waiting: Vec<Live<'_>> =
        prompts.into_iter().enumerate().map(|(index, prompt)| Live::new(vocabulary, index, prompt)).collect();
    // Longest answers first, so that the last one isn't alone for long; among equals, neighbours share beginnings.
    waiting.sort_by(|a, b| b.limit.cmp(&a.limit).then_with(|| a.ids.cmp(&b.ids)));
    let mut desk = Desk { memory, waiting: waiting.into(), live: Vec::new(), ended: Vec::new() };
    while !desk.waiting.is_empty() || !desk.live.is_empty() {
        let mut pass = desk.lay_out();
        let Desk { memory, live, .. } = &mut desk;
        let read = beside(live, || memory.run(decoder, &mut pass)).and_then(|states| {
            desk.settle();
            desk.read(decoder, vocabulary, (&pass, &states))
        });
        if let Err(error) = read {
            for live in &mut desk.live {
                live.done.get_or_insert_with(|| Err(failed(error.to_string())));
            }
        }
        for (index, answer) in desk.retire() {
            answers[index] = answer;
        }
    }
    answers
}

/// Computes the masks of constrained answers while the decoder computes what they are for.
fn beside<T: Send>(live: &mut [Live<'_>], compute: impl FnOnce() -> T + Send) -> T {
    let mut guides: Vec<&mut Guide> = live.iter_mut().filter_map(|live| live.guide.as_mut()).collect();
    if guides.is_empty() {
        return compute();
    }
    rayon::join(compute, || guides.par_iter_mut().for_each(|guide| guide.look())).0
}

/// Answers under way and prompts that wait.
struct Desk<'a, 'b> {
    memory: &'b mut Memory,
    waiting: VecDeque<Live<'a>>,
    /// In the order in which they came.
    live: Vec<Live<'a>>,
    /// Those that can't go on.
    ended: Vec<Live<'a>>,
}

impl<'a> Desk<'a, '_> {
    /// The next pass: the last token of every answer, and as much of prompts as there is room for.
    fn lay_out(&mut self) -> Pass {
        let mut pass = Pass::default();
        loop {
            self.memory.forest.begin();
            self.steps(&mut pass);
            let _: Result<(), Full> = self.fills(&mut pass);
            if !pass.tokens.is_empty() || self.live.is_empty() && self.waiting.is_empty() {
                break;
            }
            // Several have begun, and none can go on.
            self.put_back();
        }
        pass.wanted = self.live.iter().filter_map(|live| live.row).collect();
        if pass.wanted.is_empty() && !pass.tokens.is_empty() {
            // Only a pass whose states are looked at is computed.
            pass.wanted.push(pass.tokens.len() as u32 - 1);
        }
        pass
    }

    /// The last token of every answer; where there is no page for one, the youngest makes room.
    fn steps(&mut self, pass: &mut Pass) {
        let mut index = 0;
        while index < self.live.len() {
            if self.live[index].filled < self.live[index].together || self.step(index, pass).is_ok() {
                index += 1;
            } else {
                self.put_back();
            }
        }
    }

    /// Prompts, as far as there is room: those that were begun, then new ones.
    fn fills(&mut self, pass: &mut Pass) -> Result<(), Full> {
        for index in 0..self.live.len() {
            if self.live[index].filled < self.live[index].together {
                self.fill(index, pass)?;
            }
        }
        while let Some(next) = self.admitted(pass) {
            self.live.push(next);
            self.fill(self.live.len() - 1, pass)?;
        }
        Ok(())
    }

    /// The next prompt, where there is room for it.
    fn admitted(&mut self, pass: &Pass) -> Option<Live<'a>> {
        if self.live.len() == TOGETHER || pass.tokens.len() >= self.memory.limits.tokens {
            return None;
        }
        let next = self.waiting.front()?;
        let known = self.memory.forest.walk(&next.ids, next.together - 1).len();
        // Beside its own pages one more for each answer, which will want it soon; what this pass added isn't held yet.
        let added = pass.writes.len() + self.live.len() + 1;
        let room = (next.together - known).div_ceil(PAGE) + added <= self.memory.forest.available();
        if room || self.live.is_empty() { self.waiting.pop_front() } else { None }
    }

    /// Sends the youngest answer back to wait: its tokens are read again later, to the same numbers. One that was alone ends
    /// where all the memory doesn't hold it.
    fn put_back(&mut self) {
        let Some(mut youngest) = self.live.pop() else { return };
        self.let_go(&mut youngest);
        (youngest.together, youngest.filled, youngest.row) = (youngest.ids.len(), 0, None);
        if !self.live.is_empty() {
            return self.waiting.push_front(youngest);
        }
        self.memory.forest.clear();
        let tokens = youngest.ids.len();
        if self.memory.limits.fits(tokens) {
            self.waiting.push_front(youngest);
        } else {
            youngest.done = Some(Err(self.memory.limits.refusal(tokens, "a prompt with its answer")));
            self.ended.push(youngest);
        }
    }

    /// Gives back what an answer held.
    fn let_go(&mut self, live: &mut Live<'_>) {
        self.memory.forest.release(&std::mem::take(&mut live.path));
        self.memory.forest.give(&mut live.own);
        live.pieces = Vec::new();
    }

    /// Reads as much of a prompt as the pass has room for.
    fn fill(&mut self, index: usize, pass: &mut Pass) -> Result<(), Full> {
        let live = &mut self.live[index];
        let forest = &mut self.memory.forest;
        let room = self.memory.limits.tokens.saturating_sub(pass.tokens.len()).max(1);
        let known = forest.touch(&live.ids[..live.together], live.together - 1);
        let end = live.together.min(known + room);
        let whole = end == live.together;
        let sequence = Sequence { tokens: &live.ids[..end], wanted: if whole { end - 1 } else { end }, lasting: end };
        let path = forest.insert_lasting(sequence, pass)?;
        live.filled = end;
        live.row = forest.rows(&path).next().filter(|_| whole);
        Ok(())
    }

    /// Reads the last token of an answer.
    fn step(&mut self, index: usize, pass: &mut Pass) -> Result<(), Full> {
        let live = &mut self.live[index];
        let lane = (live.filled - live.together) % PAGE;
        if lane == 0 {
            live.own.push(self.memory.forest.take()?);
        }
        let page = *live.own.last().expect("a page was just added or is in use");
        if lane == 0 {
            append(&mut live.pieces, page, 1);
        } else {
            live.pieces.last_mut().expect("the page is in use").len += 1;
        }
        let row = pass.tokens.len();
        pass.tokens.push(live.ids[live.filled]);
        pass.positions.push(live.filled as u32);
        pass.writes.push(Write { page, lane, row, count: 1 });
        pass.blocks.push(Block { row, rows: 1, start: live.filled, pieces: live.pieces.clone() });
        live.filled += 1;
        live.row = Some(row as u32);
        Ok(())
    }

    /// Holds the prompts that the pass has read, now that their keys are known.
    fn settle(&mut self) {
        let forest = &mut self.memory.forest;
        for live in &mut self.live {
            if live.own.is_empty() && live.path.len() < live.filled {
                let path = forest.walk(&live.ids[..live.filled], live.filled);
                forest.hold(&path);
                forest.release(&std::mem::replace(&mut live.path, path));
                live.pieces = forest.pieces(&live.path);
            }
        }
    }

    /// Chooses the next token of every answer that the pass was for.
    fn read(&mut self, decoder: &Decoder, vocabulary: &Vocabulary, pass: (&Pass, &[f32])) -> Result<(), ComputeError> {
        let (Pass { wanted, .. }, states) = pass;
        let length = decoder.vocabulary();
        decoder.logits(states, |first, logits| {
            let rows = &wanted[first..first + logits.len() / length];
            self.live.par_iter_mut().for_each(|live| {
                let Some(Ok(at)) = live.row.map(|row| rows.binary_search(&row)) else { return };
                live.row = None;
                live.done = live.take(vocabulary, &logits[at * length..][..length]);
            });
        })
    }

    /// Takes out what is done, by the prompts' numbers.
    fn retire(&mut self) -> Vec<(usize, Result<Answer, Failure>)> {
        let live = std::mem::take(&mut self.live).into_iter().chain(std::mem::take(&mut self.ended));
        let mut done = Vec::new();
        for mut live in live {
            match live.done.take() {
                Some(answer) => {
                    self.let_go(&mut live);
                    done.push((live.index, answer));
                }
                None => self.live.push(live),
            }
        }
        done
    }
}
