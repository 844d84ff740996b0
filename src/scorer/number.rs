//! The last number in the text is the answer, as in GSM8K (`… #### 18`).

use super::{Scorer, judged, misfit, unread};
use crate::domain::{Answer, Score, Target};

/// Compares the last number of the text with the last one of each accepted text, digit by digit: no rounding, no limit
/// on size. Exponents are not read (`1e5` is two numbers).
#[derive(Clone, Copy, Debug)]
pub(super) struct Number;

impl Scorer for Number {
    fn score(&self, target: &Target, answer: &Answer) -> Score {
        let (Target::Text(accepted), Answer::Text { text, .. }) = (target, answer) else {
            return misfit("number", target, answer);
        };
        match last_number(text) {
            Some(given) => judged(accepted.iter().any(|text| last_number(text).as_ref() == Some(&given)), given),
            None => unread("no number"),
        }
    }
}

/// The last number in a text in its shortest decimal form, or none.
///
/// Read are a sign (also U+2212, also before a currency sign), thousands separators (commas between groups of three)
/// and decimals: `-$1,234.50` is `-1234.5`. A minus after a letter, a digit or a closing bracket is a subtraction or a
/// hyphen, not a sign.
pub fn last_number(text: &str) -> Option<String> {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut last) = (0, None);
    while at < chars.len() {
        let fraction_first = chars[at] == '.' && is_digit(&chars, at + 1);
        if chars[at].is_ascii_digit() || fraction_first {
            let (number, end) = unsigned(&chars, at);
            last = Some((number, is_negative(&chars[..at])));
            at = end;
        } else {
            at += 1;
        }
    }
    last.map(|(number, negative)| if negative && number != "0" { format!("-{number}") } else { number })
}

fn is_digit(chars: &[char], at: usize) -> bool {
    chars.get(at).is_some_and(char::is_ascii_digit)
}

/// The number that starts at `start`, without superfluous zeros, and where it ends.
fn unsigned(chars: &[char], start: usize) -> (String, usize) {
    let mut at = start;
    let mut whole = digits(chars, &mut at);
    // Groups of exactly three after a first one of up to three; `1,2345` and `1,23` are lists.
    if (1..=3).contains(&whole.len()) {
        while chars.get(at) == Some(&',') && (1..=3).all(|i| is_digit(chars, at + i)) && !is_digit(chars, at + 4) {
            at += 1;
            whole.push_str(&digits(chars, &mut at));
        }
    }
    let mut fraction = String::new();
    if chars.get(at) == Some(&'.') && is_digit(chars, at + 1) {
        at += 1;
        fraction = digits(chars, &mut at);
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let number = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
    (number, at)
}

fn digits(chars: &[char], at: &mut usize) -> String {
    let run: String = chars[*at..].iter().take_while(|c| c.is_ascii_digit()).collect();
    *at += run.len();
    run
}

/// Whether what stands before a number is its minus sign.
fn is_negative(before: &[char]) -> bool {
    let before = match before.split_last() {
        Some(('$' | '€' | '£', rest)) => rest,
        _ => before,
    };
    let Some(('-' | '\u{2212}', rest)) = before.split_last() else { return false };
    rest.last().is_none_or(|c| !(c.is_alphanumeric() || matches!(c, ')' | ']' | '.')))
}
