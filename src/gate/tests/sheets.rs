//! Hand-made sheets for tests: numbers, repeats, slices, clusters.

use crate::analysis::fixture::{Reply, Run};
use crate::analysis::{Column, Comparison, Groups, Mark, Passes, Sheet};
use crate::domain::{MetricKind, Role, SampleId, SubjectName, TaskCard, TaskName};

/// A card of a task whose scores are numbers between bounds, or right or wrong.
pub(super) fn card(metric: MetricKind, range: Option<(f64, f64)>) -> TaskCard {
    let card = Run::pair(10, |_, _| Reply::Right).record().header.tasks.remove(0);
    TaskCard { metric, range, ..card }
}

/// A card of right or wrong answers with a name.
pub(super) fn binary(name: &str) -> TaskCard {
    TaskCard { name: TaskName::new(name), ..card(MetricKind::Accuracy, None) }
}

/// A sheet in the making.
#[derive(Debug)]
pub(super) struct Scores {
    pub(super) card: TaskCard,
    /// By subject (the canary first), pass and item; not a number is a score that there is none of.
    pub(super) passes: [Vec<Vec<f64>>; 2],
    pub(super) cluster: fn(usize) -> Option<String>,
    pub(super) slice: fn(usize) -> Option<&'static str>,
}

impl Scores {
    /// Two subjects asked once, on independent items.
    pub(super) fn once(card: TaskCard, canary: Vec<f64>, variant: Vec<f64>) -> Self {
        Self { card, passes: [vec![canary], vec![variant]], cluster: |_| None, slice: |_| None }
    }

    pub(super) fn sheet(&self) -> Sheet {
        let items = self.passes[0][0].len();
        let column = |scores: &Vec<f64>| {
            let mut column = Column::with_capacity(scores.len());
            for &score in scores {
                column.push_labelled(Mark { value: Some(score), label: score.to_bits(), ..Mark::default() });
            }
            column
        };
        let subject = |(name, role, passes): (&str, Role, &Vec<Vec<f64>>)| Passes {
            subject: SubjectName::new(name),
            role,
            after: items,
            columns: passes.iter().map(column).collect(),
        };
        let clusters: Vec<Option<String>> = (0..items).map(self.cluster).collect();
        let slices: Vec<Option<&str>> = (0..items).map(self.slice).collect();
        let both = [("canary", Role::Canary, &self.passes[0]), ("q4", Role::Variant, &self.passes[1])];
        Sheet {
            task: TaskCard { samples: items, ..self.card.clone() },
            ids: (0..items).map(|item| SampleId::new(format!("s-{item}"))).collect(),
            slices: Groups::of(slices.iter().copied()),
            clusters: Groups::of(clusters.iter().map(Option::as_deref)),
            subjects: both.into_iter().map(subject).collect(),
        }
    }

    pub(super) fn comparison(&self) -> Comparison {
        Comparison::of(&self.sheet(), 1)
    }
}
