//! `quantgate power`: what a plan can show, before anything is asked.

mod assumed;
mod history;
mod json;
mod stopping;
mod table;

use super::args::PowerArgs;
use super::failure::Failure;
use super::terminal;
use crate::domain::{OnDoubt, Policy, Role, TaskName};
use crate::plan::power::{Design, Expected, Never, Outlook, Planned, joint, mean_power};
use crate::plan::{Overrides, Plan};
use crate::stats;
pub(super) use assumed::{Assumption, assumption};
use history::Measured;
use stopping::{Rule, Stopped};

/// The exit code where some gating task can never pass: that of the INCONCLUSIVE in which the run would end.
const NEVER: u8 = 3;
/// Flips that are assumed where nobody says and no run has measured any.
const ASSUMED_FLIPS: f64 = 0.04;
/// The canary's score that is assumed where nobody says, no run has measured it and the suite expects none.
const ASSUMED_CANARY: f64 = 0.8;
/// Confidence of the flips' interval: its upper end is what is planned for at worst.
const CONFIDENCE: f64 = 0.9;

/// Says what each gating task can show and returns the exit code.
pub(super) fn power(args: &PowerArgs) -> Result<u8, Failure> {
    let overrides = Overrides {
        suites: args.suites.clone(),
        seed: args.seed,
        limit: args.limit,
        reports: args.reports.clone(),
        policy: args.policy.clone(),
        ..Overrides::default()
    };
    let plan = Plan::load(&args.plan, &overrides).map_err(|faults| Failure::usage(faults.to_string()))?;
    let forecast = Forecast::of(&plan, args)?;
    if args.json {
        terminal::say(&json::render(&forecast));
    } else {
        terminal::say(table::render(&forecast, terminal::width()).trim_end());
    }
    let hopeless = forecast.rows.iter().any(|row| row.never.is_some());
    Ok(if hopeless && forecast.policy.inconclusive == OnDoubt::Block { NEVER } else { 0 })
}

/// Where an expectation of flips comes from.
enum Source {
    /// A flag.
    Given,
    /// A finished run.
    Run(Box<Measured>),
    /// Nothing better.
    Assumed,
}

/// One gating task or slice.
struct Row {
    design: Design,
    source: Source,
    expected: Expected,
    /// The same with flips at the upper end of their interval; none where they were not measured.
    worst: Option<Expected>,
    outlook: Outlook,
    outlook_at_worst: Option<Outlook>,
    /// Where the task may end early: as expected, and at worst.
    stopped: Option<Stopped>,
    stopped_at_worst: Option<Stopped>,
    never: Option<Never>,
}

impl Row {
    /// The probability of a pass, as expected.
    fn power(&self) -> f64 {
        self.stopped.map_or(self.outlook.planned.power, |stopped| stopped.power)
    }

    /// The same at worst; none where flips were not measured.
    fn power_at_worst(&self) -> Option<f64> {
        let at_end = self.outlook_at_worst.as_ref().map(|outlook| outlook.planned.power);
        self.stopped_at_worst.map(|stopped| stopped.power).or(at_end)
    }
}

/// What a plan can show.
struct Forecast {
    plan: String,
    policy: Policy,
    power: f64,
    /// Variants that count.
    variants: usize,
    rows: Vec<Row>,
    /// The rule about the mean over tasks: as expected, and at worst.
    overall: Option<(Planned, Option<Planned>)>,
}

impl Forecast {
    fn of(plan: &Plan, args: &PowerArgs) -> Result<Self, Failure> {
        let names: Vec<&str> = plan.tasks.iter().map(|planned| planned.task.name.as_str()).collect();
        assumed::check(&args.flips, &names)?;
        assumed::check(&args.loss, &names)?;
        assumed::check(&args.canary, &names)?;
        let measured = history::of(&plan.reports, &plan.subjects, &plan.tasks);
        let designs = Design::all(&plan.policy, &plan.subjects, &plan.tasks);
        let rule = Rule::of(plan);
        let rows: Vec<Row> = designs.into_iter().map(|design| row(design, args, &measured, &rule)).collect();
        let of_tasks = |expected: &dyn Fn(&Row) -> Expected| {
            let whole = rows.iter().filter(|row| row.design.slice.is_none());
            let tasks: Vec<(&Design, Expected)> = whole.map(|row| (&row.design, expected(row))).collect();
            mean_power(&tasks, plan.policy.overall?, plan.policy.alpha)
        };
        let known = rows.iter().any(|row| row.worst.is_some());
        let at_worst = known.then(|| of_tasks(&|row| row.worst.unwrap_or(row.expected))).flatten();
        let overall = of_tasks(&|row| row.expected).map(|planned| (planned, at_worst));
        Ok(Self {
            plan: plan.name.clone(),
            policy: plan.policy.clone(),
            power: args.power,
            variants: plan.subjects.iter().filter(|subject| subject.role == Role::Variant).count(),
            rows,
            overall,
        })
    }

    /// The probability that all tasks and slices pass, by tasks: a slice shares its task's samples, so that both together pass no
    /// more often than the less likely of them.
    fn all(&self, power: fn(&Row) -> f64) -> f64 {
        let mut tasks: Vec<(&TaskName, f64)> = Vec::new();
        for row in &self.rows {
            let own = power(row);
            match tasks.iter_mut().find(|(task, _)| *task == &row.design.task) {
                Some((_, least)) => *least = least.min(own),
                None => tasks.push((&row.design.task, own)),
            }
        }
        joint(&tasks.into_iter().map(|(_, power)| power).collect::<Vec<_>>())
    }
}

fn row(design: Design, args: &PowerArgs, measured: &[Measured], rule: &Rule<'_>) -> Row {
    let said = |of: &[Assumption]| assumed::about(of, &design.task);
    let run = measured.iter().find(|measured| measured.task == design.task);
    let known = run.map(|run| run.of(design.slice.as_deref()));
    let canary = said(&args.canary).or(known.map(|(_, _, canary)| canary)).or(design.expected).unwrap_or(ASSUMED_CANARY);
    let loss = said(&args.loss).unwrap_or(0.0);
    let of = |flips: f64, run: Option<&Measured>| Expected {
        canary: canary.clamp(0.001, 1.0),
        flips,
        loss,
        spread: run.and_then(|run| run.spread),
        deff: run.and_then(|run| run.deff),
    };
    let (source, expected, worst) = match (said(&args.flips), run.zip(known)) {
        (Some(flips), _) => (Source::Given, of(flips, None), None),
        (None, Some((run, (pairs, flips, _)))) => {
            let interval = stats::wilson(flips, pairs, CONFIDENCE);
            let (expected, worst) = (of(interval.estimate, Some(run)), of(interval.upper, Some(run)));
            (Source::Run(Box::new(run.clone())), expected, Some(worst))
        }
        (None, None) => (Source::Assumed, of(ASSUMED_FLIPS, None), None),
    };
    let never = design.never(expected.canary);
    let stopped = |expected: Expected| never.is_none().then(|| rule.stopped(&design, expected)).flatten();
    Row {
        stopped: stopped(expected),
        stopped_at_worst: worst.and_then(stopped),
        outlook: Outlook::of(&design, expected, args.power),
        outlook_at_worst: worst.map(|worst| Outlook::of(&design, worst, args.power)),
        never,
        design,
        source,
        expected,
        worst,
    }
}
