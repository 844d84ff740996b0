//! How fast the tokens of streamed answers came.

use super::Record;
use crate::domain::{Pace, SubjectName};
use crate::metric::{TimingSummary, timing_summary};

/// How fast a subject's streamed answers came.
#[derive(Clone, Debug, PartialEq)]
pub struct Streaming {
    /// Who was asked.
    pub subject: SubjectName,
    /// From the request to the first token.
    pub first: TimingSummary,
    /// From one token to the next, on average over each answer of two tokens or more; none without such an answer.
    pub between: Option<TimingSummary>,
    /// Tokens a second of an answer, the wait for its first included, over all; none where no time passed.
    pub per_second: Option<f64>,
}

/// How fast the streamed answers of each subject came, in the plan's order; without subjects that streamed none.
#[must_use]
pub fn streaming(record: &Record) -> Vec<Streaming> {
    let of = |subject: &SubjectName| {
        let units = record.timing.pace.iter().filter(|(unit, _)| unit.subject == *subject);
        let paces: Vec<Pace> = units.map(|(_, pace)| *pace).collect();
        let first: Vec<u64> = paces.iter().map(|pace| pace.first_us).collect();
        let several = paces.iter().filter(|pace| pace.tokens > 1);
        let between: Vec<u64> = several.map(|pace| pace.rest_us / (pace.tokens - 1)).collect();
        let (tokens, micros) =
            paces.iter().fold((0, 0), |(tokens, micros), pace| (tokens + pace.tokens, micros + pace.first_us + pace.rest_us));
        Some(Streaming {
            subject: subject.clone(),
            first: timing_summary(&first)?,
            between: timing_summary(&between),
            per_second: (micros > 0).then(|| 1e6 * tokens as f64 / micros as f64),
        })
    };
    record.header.subjects.iter().filter_map(|subject| of(&subject.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::endpoints::Api;
    use crate::analysis::fixture::Run;

    #[test]
    fn first_tokens_gaps_and_rates_are_what_hand_computation_gives() {
        let api = Api::telling(|subject, _, item, told| {
            let tokens = if item == 0 { 1 } else { 11 };
            let slow = if subject == "q4" { 2 } else { 1 };
            told.pace = Some(Pace { first_us: 100_000 * slow, rest_us: (tokens - 1) * 20_000 * slow, tokens });
        });
        let (record, _) = api.compared();
        let of = streaming(&record);
        assert_eq!(of.iter().map(|row| row.subject.as_str()).collect::<Vec<_>>(), ["canary", "q4"]);
        let q4 = &of[1];
        assert!((q4.first.p50_ms - 200.0).abs() < 1e-9 && q4.first.n == 60);
        let between = q4.between.expect("answers have several tokens");
        assert!((between.p50_ms - 40.0).abs() < 1e-9 && between.n == 59, "one answer has one token: {between:?}");
        // (1 + 59 · 11) tokens in 0.2 + 59 · (0.2 + 0.4) seconds.
        assert!((q4.per_second.expect("time passed") - 650.0 / 35.6).abs() < 1e-9);
        assert!(streaming(&Run::small().record()).is_empty(), "in process nothing is streamed");
    }
}
