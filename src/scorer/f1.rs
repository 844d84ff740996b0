//! Partial credit for text: how many of its words the answer shares with the target.

use std::collections::BTreeMap;

use super::{Scorer, misfit};
use crate::domain::{Answer, Score, Target};

/// The F1 of the answer's words and those of the accepted text that it is closest to, as `SQuAD` defines it (Rajpurkar
/// et al. 2016; where either has no words, as its version 2.0): words are compared without case, ASCII punctuation and articles, each
/// as often as it occurs.
#[derive(Clone, Copy, Debug)]
pub(super) struct F1;

impl Scorer for F1 {
    fn score(&self, target: &Target, answer: &Answer) -> Score {
        let (Target::Text(accepted), Answer::Text { text, .. }) = (target, answer) else {
            return misfit("f1", target, answer);
        };
        let given = normal(text);
        let value = accepted.iter().map(|accepted| shared(&given, &normal(accepted))).fold(0.0, f64::max);
        Score { value, read: text.trim().to_owned(), parsed: true }
    }
}

/// The text in lower case, without ASCII punctuation, then without the words a, an and the.
fn normal(text: &str) -> String {
    let plain: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let mut kept = String::with_capacity(plain.len());
    let mut word = String::new();
    // The space at the end closes the last word.
    for c in plain.chars().chain([' ']) {
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        kept.push_str(if matches!(word.as_str(), "a" | "an" | "the") { " " } else { &word });
        kept.push(c);
        word.clear();
    }
    kept
}

/// The harmonic mean of the shares of either's words that the other has too.
fn shared(given: &str, accepted: &str) -> f64 {
    let (given, accepted) = (counts(given), counts(accepted));
    let total = |words: &BTreeMap<&str, usize>| words.values().sum::<usize>();
    let (ours, theirs) = (total(&given), total(&accepted));
    if ours == 0 || theirs == 0 {
        return f64::from(u8::from(ours == theirs));
    }
    let common: usize = given.iter().map(|(word, n)| *n.min(accepted.get(word).unwrap_or(&0))).sum();
    2.0 * common as f64 / (ours + theirs) as f64
}

fn counts(text: &str) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
}
