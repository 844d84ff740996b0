//! Tracing a few lines of code: assignments over three variables, then one of them is printed.

use super::{Draw, Example, in_share};

const NAMES: [&str; 3] = ["a", "b", "c"];
const LARGEST: u32 = 30;

pub(super) fn draw(rng: &mut Draw, ease: f64) -> Example {
    let longest = if ease > 0.6 {
        2
    } else if ease > 0.2 {
        3
    } else {
        4
    };
    let lines = rng.between(2, longest);
    let mut values: [Option<u32>; 3] = [None; 3];
    let mut assignments = Vec::new();
    let mut last = 0;
    for line in 0..lines {
        let target = if line + 1 == lines { rng.below(3) } else { line % 3 } as usize;
        let (expression, value) = expression(rng, &values);
        assignments.push(format!("{}={expression}\n", NAMES[target]));
        values[target] = Some(value);
        last = target;
    }
    let program = assignments.concat();
    let known: Vec<usize> = (0..3).filter(|&i| values[i].is_some()).collect();
    let asked = if rng.below(3) == 0 { *rng.pick(&known) } else { last };
    let answer = values[asked].expect("only known variables are asked for");
    let slice = ["two lines", "three lines", "four lines"][lines as usize - 2];
    let held_out = in_share(&format!("{program}{asked}"), 10);
    Example::plain(slice, format!("{program}{}?", NAMES[asked]), format!(" {answer}"), held_out)
}

/// An expression over the known variables whose value stays in `0..=LARGEST`.
fn expression(rng: &mut Draw, values: &[Option<u32>; 3]) -> (String, u32) {
    let known: Vec<(usize, u32)> = values.iter().enumerate().filter_map(|(i, v)| v.map(|v| (i, v))).collect();
    if known.is_empty() || rng.below(5) == 0 {
        let constant = rng.below(10);
        return (constant.to_string(), constant);
    }
    loop {
        let &(i, x) = rng.pick(&known);
        let (right, y) = if rng.below(2) == 0 {
            let &(j, y) = rng.pick(&known);
            (NAMES[j].to_owned(), y)
        } else {
            let constant = rng.between(1, 9);
            (constant.to_string(), constant)
        };
        let (sign, value) = if rng.below(2) == 0 { ('+', Some(x + y)) } else { ('-', x.checked_sub(y)) };
        if let Some(value) = value.filter(|&value| value <= LARGEST) {
            return (format!("{}{sign}{right}", NAMES[i]), value);
        }
    }
}
