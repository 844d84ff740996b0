//! `quantgate doctor`: each subject of a plan is opened and asked once, and everything known of it is said, a line a check.

mod ability;
mod ask;
mod finding;
mod open;
mod pair;
mod shown;
#[cfg(test)]
mod tests;
mod way;

use super::args::DoctorArgs;
use super::failure::{Failure, INTERNAL};
use super::terminal;
use crate::domain::{EngineSpec, Role, Subject};
use crate::plan::{Overrides, Plan};
use ability::Demand;
use finding::{Examined, Finding, Verdict};
use open::Open;
use pair::Known;

/// Examines every subject and returns the exit code of the worst finding.
pub(super) fn doctor(args: &DoctorArgs) -> Result<u8, Failure> {
    let overrides =
        Overrides { suites: args.suites.clone(), cache: args.cache.clone(), memory: args.memory, ..Overrides::default() };
    let plan = Plan::load(&args.plan, &overrides).map_err(|faults| Failure::usage(faults.to_string()))?;
    for warning in &plan.warnings {
        terminal::warn(warning);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|fault| Failure::internal(&fault))?;
    let (mut all, mut canary) = (Vec::new(), None);
    for subject in &plan.subjects {
        let opened = open::open(&plan, subject, &runtime);
        let (examined, known) = runtime.block_on(examine(&plan, subject, opened, canary.as_ref()))?;
        if subject.role == Role::Canary {
            canary = known;
        }
        if !args.json {
            shown::say(&examined);
        }
        all.push(examined);
    }
    let worst = all.iter().map(Examined::worst).max().unwrap_or(Verdict::Fine);
    terminal::say(&if args.json { shown::json(&plan, &all, worst) } else { shown::summary(&all) });
    Ok(worst.code())
}

/// What was found of a subject, and what it told of itself where it could be opened.
type Seen = (Examined, Option<Known>);

/// Asks an open subject once and looks at what it told.
async fn examine(plan: &Plan, subject: &Subject, opened: Result<Open, Failure>, canary: Option<&Known>) -> Result<Seen, Failure> {
    let spec = match &subject.engine {
        EngineSpec::Api(spec) => Some(&**spec),
        _ => None,
    };
    let examined = |checks| Examined {
        subject: subject.name.to_string(),
        role: format!("{:?}", subject.role).to_lowercase(),
        engine: shown::engine(&subject.engine),
        checks,
    };
    let open = match opened {
        Ok(open) => open,
        Err(failure) if failure.code == INTERNAL => return Err(failure),
        Err(failure) => {
            let hint = failure.hint.map_or_else(String::new, |hint| format!(" ({hint})"));
            return Ok((examined(vec![Finding::bad("open", format!("{}{hint}", failure.what))]), None));
        }
    };
    let known = Known { identity: open.engine.identity().clone(), able: open.engine.capabilities() };
    let demand = Demand::of(plan, subject.repeats);
    let asked = ask::once(plan, &*open.engine).await;
    let price = plan.services.get(&subject.name).and_then(|service| service.price);
    let mut checks = way::of(spec, open.engine.origin());
    checks.push(shown::identity(&known.identity));
    checks.extend(shown::beginning(&known.identity));
    checks.extend(ability::of_tasks(known.able, &demand));
    checks.push(ability::of_context(known.able, &demand, asked.rate));
    checks.extend(ability::of_limits(open.engine.endpoint(), &demand, asked.rate));
    checks.extend(canary.into_iter().flat_map(|canary| pair::of(plan, subject, &known, canary)));
    checks.extend(asked.findings);
    checks.extend(ability::of_cost(price, &demand, asked.rate, plan.spending));
    Ok((examined(merged(open.told, checks)), Some(known)))
}

/// What the engine says by itself goes first among what was concluded from outside, and stands in its place where both are
/// about the same: its endpoint for the host, the same sentence in a note.
fn merged(told: Vec<Finding>, checks: Vec<Finding>) -> Vec<Finding> {
    let start = |finding: &Finding| finding.says.chars().take(24).collect::<String>();
    let again = |check: &Finding| {
        let host = check.name == "host" && told.iter().any(|finding| finding.name == "endpoint");
        host || (check.name == "note" && told.iter().any(|finding| start(finding) == start(check)))
    };
    let kept: Vec<Finding> = checks.into_iter().filter(|check| !again(check)).collect();
    told.into_iter().chain(kept).collect()
}
