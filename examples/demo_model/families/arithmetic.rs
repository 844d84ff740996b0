//! Sums, differences, three-term sums and products of small numbers.

use super::{Draw, Example, in_share};

pub(super) fn draw(rng: &mut Draw, ease: f64) -> Example {
    let top = if ease > 0.5 { 30 } else { 99 };
    let (a, b) = (rng.between(0, top), rng.between(0, top));
    match rng.below(100) {
        0..35 => example("add", &format!("{a}+{b}"), a + b, 15),
        35..60 => example("subtract", &format!("{}-{}", a.max(b), a.min(b)), a.abs_diff(b), 15),
        60..85 => {
            let c = rng.between(0, top);
            example("add three", &format!("{a}+{b}+{c}"), a + b + c, 15)
        }
        _ => {
            let (a, b) = (rng.between(2, 9), rng.between(2, 99));
            example("multiply", &format!("{a}*{b}"), a * b, 30)
        }
    }
}

fn example(slice: &'static str, question: &str, answer: u32, held_out_percent: u64) -> Example {
    Example::plain(slice, format!("{question}="), answer.to_string(), in_share(question, held_out_percent))
}
