//! Sorting short lists of numbers and reversing lists of letters.

use super::{Draw, Example, in_share};

pub(super) fn draw(rng: &mut Draw, ease: f64) -> Example {
    let shorter = (ease * 4.0) as u32;
    if rng.below(2) == 0 {
        let length = rng.between(4, 8 - shorter);
        let mut numbers: Vec<u32> = (0..length).map(|_| rng.below(100)).collect();
        let question = join(&numbers);
        numbers.sort_unstable();
        example("sort", &question, &join(&numbers))
    } else {
        let length = rng.between(5, 14 - 2 * shorter);
        let mut letters: Vec<char> = (0..length).map(|_| (b'a' + rng.below(26) as u8) as char).collect();
        let question = join(&letters);
        letters.reverse();
        example("reverse", &question, &join(&letters))
    }
}

fn example(slice: &'static str, question: &str, answer: &str) -> Example {
    Example::plain(slice, format!("{slice} {question}:"), format!(" {answer}"), in_share(question, 10))
}

fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
