//! Finding a key in a long context: a register of names and codes, then one name is looked up.

use super::{Draw, Example, in_share};

pub(super) fn draw(rng: &mut Draw, ease: f64) -> Example {
    let most = if ease > 0.5 { 6 } else { 18 };
    let length = rng.between(most / 2, most) as usize;
    let mut names: Vec<String> = Vec::new();
    while names.len() < length {
        let name = name(rng);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let codes: Vec<u32> = names.iter().map(|_| rng.between(100, 999)).collect();
    let entries: Vec<String> = names.iter().zip(&codes).map(|(name, code)| format!("{name} {code}\n")).collect();
    let register = entries.concat();
    let mut order: Vec<usize> = (0..length).collect();
    rng.shuffle(&mut order);
    let question = |i: usize| format!("{}?", names[i]);
    let answer = |i: usize| format!(" {}", codes[i]);
    let slice = if length > 13 { "14 to 18 entries" } else { "9 to 13 entries" };
    let held_out = in_share(&register, 10);
    let mut example = Example::plain(slice, format!("{register}{}", question(order[0])), answer(order[0]), held_out);
    example.follow_ups = order[1..].iter().map(|&i| (question(i), answer(i))).collect();
    example
}

/// A name of two syllables; they repeat within a register, so that a match must be exact.
fn name(rng: &mut Draw) -> String {
    const SYLLABLES: [&str; 12] = ["ba", "de", "fi", "go", "ku", "la", "me", "no", "ra", "se", "ti", "vu"];
    format!("{}{}", rng.pick(&SYLLABLES), rng.pick(&SYLLABLES))
}
