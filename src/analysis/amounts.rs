//! Tokens that a variant wrote beside the canary, and what its answers cost beside the canary's.

use std::collections::HashMap;

use super::Record;
use crate::domain::{Outcome, Price, Role, SampleCard, SubjectName, TaskCard, TaskName, UnitKey, Usage};
use crate::metric::PairedAmounts;

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Tokens written, as the services counted them.
    Output,
    /// Money, at the plan's prices.
    Cost,
}

/// What a variant or control came to beside the canary.
#[derive(Clone, Debug, PartialEq)]
pub struct AmountComparison {
    /// Who is compared with the canary.
    pub subject: SubjectName,
    /// What it is for.
    pub role: Role,
    /// The task; all tasks where none.
    pub task: Option<TaskName>,
    /// What is added up.
    pub amount: Amount,
    /// The amounts of the samples that both answered, in the first pass.
    pub amounts: PairedAmounts,
}

/// Every variant and control beside the canary, over all tasks, then by task; without those that share no amount.
pub(super) fn compare(record: &Record) -> Vec<AmountComparison> {
    let Some(canary) = record.header.canary().filter(|_| !record.endpoints.told.is_empty()) else { return Vec::new() };
    let mut all = Vec::new();
    for subject in record.header.subjects.iter().filter(|s| s.role != Role::Canary) {
        for amount in [Amount::Output, Amount::Cost] {
            let Some(worth) = worth(record, amount, [&canary.name, &subject.name]) else { continue };
            let of_task = |card: &TaskCard| (card.name.clone(), pairs(record, card, [&canary.name, &subject.name], worth));
            let by_task: Vec<_> = record.header.tasks.iter().map(of_task).filter(|(_, pairs)| !pairs.is_empty()).collect();
            let row = |task: Option<TaskName>, amounts| AmountComparison {
                subject: subject.name.clone(),
                role: subject.role,
                task,
                amount,
                amounts,
            };
            if !by_task.is_empty() {
                // Sources of one name in two tasks are two.
                let together = by_task.iter().zip(0_usize..).flat_map(|((_, pairs), task)| {
                    pairs.iter().map(move |(a, b, source)| (*a, *b, source.as_ref().map(|source| (task, source))))
                });
                all.push(row(None, PairedAmounts::of(together)));
                all.extend(by_task.iter().map(|(task, pairs)| row(Some(task.clone()), PairedAmounts::of(pairs.iter().cloned()))));
            }
        }
    }
    all
}

/// What each side's usage is worth; none where a side has no price.
type Worth = [Option<Price>; 2];

fn worth(record: &Record, amount: Amount, sides: [&SubjectName; 2]) -> Option<Worth> {
    let price = |name: &SubjectName| record.header.services.get(name).and_then(|service| service.price);
    match amount {
        Amount::Output => Some([None; 2]),
        Amount::Cost => Some([Some(price(sides[0])?), Some(price(sides[1])?)]),
    }
}

/// The amounts of the samples of a task that both answered, with their sources.
fn pairs(record: &Record, card: &TaskCard, sides: [&SubjectName; 2], worth: Worth) -> Vec<(f64, f64, Option<String>)> {
    let of = |subject: &SubjectName, sample: &SampleCard, price: Option<Price>| {
        let unit = UnitKey { subject: subject.clone(), task: card.name.clone(), sample: sample.id.clone(), repeat: 0 };
        let usage = record.endpoints.told.get(&unit)?.usage?;
        let scored = matches!(record.outcomes.get(&unit), Some(Outcome::Scored { .. }));
        scored.then(|| price.map_or(usage.completion as f64, |price| price.of(usage)))
    };
    let both = |sample: &SampleCard| {
        let (canary, variant) = (of(sides[0], sample, worth[0])?, of(sides[1], sample, worth[1])?);
        Some((canary, variant, sample.cluster.clone()))
    };
    record.samples_of(&card.name).iter().filter_map(both).collect()
}

/// What a subject's answers came to, as far as its endpoint told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// Answers that something was told of.
    pub answers: u64,
    /// Answers whose tokens were counted.
    pub counted: u64,
    /// Their tokens.
    pub tokens: Usage,
    /// Answers that were taken from the cache of answers.
    pub reused: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// What the counted answers cost, at the plan's price; none where there is no price or nothing was counted.
    pub cost: Option<f64>,
    /// The part of it that was asked for and paid in this run.
    pub paid: Option<f64>,
    /// The models that answered, by the service's own word, with their numbers of answers, the commonest first.
    pub models: Vec<(String, u64)>,
    /// The service's marks for what answered, in the same way.
    pub marks: Vec<(String, u64)>,
}

impl Account {
    /// What a subject's answers came to; none where its endpoint told nothing, as of a subject in process.
    #[must_use]
    pub fn of(record: &Record, subject: &SubjectName) -> Option<Self> {
        let mut account = Self::default();
        let (mut models, mut marks): (HashMap<&str, u64>, HashMap<&str, u64>) = (HashMap::new(), HashMap::new());
        let mut unpaid = Usage::default();
        for (_, told) in record.endpoints.of(subject) {
            account.answers += 1;
            account.reused += u64::from(told.cached);
            account.retries += u64::from(told.retries);
            if let Some(usage) = told.usage {
                account.counted += 1;
                add(&mut account.tokens, usage);
                if told.cached {
                    add(&mut unpaid, usage);
                }
            }
            told.model.as_deref().into_iter().for_each(|model| *models.entry(model).or_default() += 1);
            told.fingerprint.as_deref().into_iter().for_each(|mark| *marks.entry(mark).or_default() += 1);
        }
        let price = record.header.services.get(subject).and_then(|service| service.price).filter(|_| account.counted > 0);
        account.cost = price.map(|price| price.of(account.tokens));
        account.paid = price.map(|price| price.of(account.tokens) - price.of(unpaid));
        (account.models, account.marks) = (commonest_first(&models), commonest_first(&marks));
        (account.answers > 0).then_some(account)
    }

    /// What a thousand requests cost; none where nothing has a price.
    #[must_use]
    pub fn per_thousand(&self) -> Option<f64> {
        self.cost.map(|cost| 1000.0 * cost / self.counted as f64)
    }
}

fn add(sum: &mut Usage, usage: Usage) {
    sum.prompt += usage.prompt;
    sum.completion += usage.completion;
    // More cached than read would be a slip of the service.
    sum.cached += usage.cached.min(usage.prompt);
}

/// Names with their counts, the commonest first, equals by name.
fn commonest_first(counts: &HashMap<&str, u64>) -> Vec<(String, u64)> {
    let mut counts: Vec<(String, u64)> = counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::endpoints::Api;
    use crate::analysis::fixture::Run;

    const PRICE: Price = Price { input: 2.0, output: 6.0, cached: Some(0.5) };

    #[test]
    fn tokens_and_money_are_added_up_and_what_the_cache_answered_is_not_paid_again() {
        let mut api = Api::telling(|subject, _, item, told| {
            let usage = told.usage.as_mut().expect("tokens are counted");
            usage.cached = if subject == "q4" { 30 } else { 0 };
            (told.cached, told.retries) = (subject == "q4" && item < 15, u32::from(item == 3));
        });
        api.prices = vec![("q4", PRICE)];
        let (record, _) = api.compared();
        let of = |name: &str| Account::of(&record, &name.into()).expect("its endpoint tells");
        let q4 = of("q4");
        assert_eq!((q4.answers, q4.counted, q4.reused, q4.retries), (60, 60, 15, 1));
        assert_eq!(q4.tokens, Usage { prompt: 2400, completion: 600, cached: 1800 });
        // By hand: (600 · 2 + 1800 · 0.5 + 600 · 6) / 10⁶ = 0.0057, three quarters of it paid, and 0.095 a thousand requests.
        assert!((q4.cost.expect("a price") - 0.0057).abs() < 1e-12, "{:?}", q4.cost);
        assert!((q4.paid.expect("a price") - 0.004_275).abs() < 1e-12, "{:?}", q4.paid);
        assert!((q4.per_thousand().expect("a price") - 0.095).abs() < 1e-12);
        assert_eq!((of("canary").cost, of("canary").per_thousand()), (None, None));
        assert_eq!(q4.models, [("q4-2026-01".to_owned(), 60)]);
    }

    #[test]
    fn names_are_counted_the_commonest_first() {
        let (record, _) = Api::telling(|_, _, item, told| {
            told.model = (item > 0).then(|| if item < 10 { "old" } else { "new" }.to_owned());
            told.fingerprint = None;
        })
        .compared();
        let account = Account::of(&record, &"q4".into()).expect("its endpoint tells");
        assert_eq!(account.models, [("new".to_owned(), 50), ("old".to_owned(), 9)]);
        assert!(account.marks.is_empty());
    }

    #[test]
    fn in_process_there_is_nothing_to_add_up() {
        let (record, comparisons) = Run::small().compared();
        assert!(Account::of(&record, &"q4".into()).is_none() && comparisons.amounts.is_empty());
    }

    #[test]
    fn amounts_are_paired_over_all_tasks_and_by_task_and_cost_needs_both_prices() {
        let mut api = Api::telling(|subject, _, item, told| {
            let written = if subject == "q4" { 15 } else { 10 };
            told.usage = (item != 4).then_some(Usage { prompt: 40, completion: written, cached: 0 });
        });
        api.prices = vec![("q4", PRICE)];
        let rows = api.compared().1.amounts;
        assert_eq!(
            rows.iter().map(|row| (row.amount, row.task.is_some())).collect::<Vec<_>>(),
            [(Amount::Output, false), (Amount::Output, true)]
        );
        assert_eq!((rows[0].amounts.pairs(), rows[0].amounts.ratio()), (59, Some(1.5)));
        api.prices = vec![("q4", PRICE), ("canary", Price { input: 4.0, output: 12.0, cached: None })];
        let rows = api.compared().1.amounts;
        let cost = rows.iter().find(|row| row.amount == Amount::Cost && row.task.is_none()).expect("both have a price");
        // By hand: 40 · 2 + 15 · 6 = 170 against 40 · 4 + 10 · 12 = 280.
        assert!((cost.amounts.ratio().expect("a total") - 170.0 / 280.0).abs() < 1e-12);
    }
}
