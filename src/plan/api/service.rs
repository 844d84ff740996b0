//! How an endpoint is treated and what it costs: nothing of it changes an answer.

use std::collections::BTreeMap;

use super::is_program;
use crate::domain::{EngineSpec, Price, Service, Subject, SubjectName};
use crate::suite::Section;

/// The most requests at once that a plan may ask for.
const MOST: u64 = 100_000;

/// The longest time-out, in seconds: a day.
const LONGEST: f64 = 86_400.0;

/// Reads the keys of a subject that are about its endpoint.
pub(super) fn read(section: &Section<'_>) -> Service {
    let concurrency = section.whole("concurrency");
    if concurrency.is_some_and(|count| !(1..=MOST).contains(&count)) {
        let hint = "it is the most requests under way at once; the run finds out how many the endpoint can take up to that";
        section.fault_at("concurrency", format!("`concurrency` must be from 1 to {MOST}"), Some(hint));
    }
    Service {
        concurrency: concurrency.and_then(|count| u32::try_from(count).ok()),
        requests_per_minute: above_zero(section, "requests_per_minute"),
        tokens_per_minute: above_zero(section, "tokens_per_minute"),
        timeout_s: timeout(section),
        hedge: section.flag("hedge"),
        price: price(section),
    }
}

/// Reads `[spending]`: the most that a run may cost.
pub(in super::super) fn spending(plan: &Section<'_>) -> Option<f64> {
    let table = plan.table("spending", "[spending]")?;
    let hint = "the most that a run may cost, in the currency of the prices: limit = 5.0";
    if !table.has("limit") {
        table.fault("[spending] has no `limit`", Some(hint));
    }
    let limit = table.real("limit");
    if limit.is_some_and(|limit| limit <= 0.0) {
        table.fault_at("limit", "`limit` must be more than 0", Some(hint));
    }
    table.close();
    limit
}

/// Notes subjects whose answers cost something that a spending limit would not see.
pub(in super::super) fn unpriced(plan: &Section<'_>, subjects: &[Subject], services: &BTreeMap<SubjectName, Service>) {
    let priced = |subject: &Subject| services.get(&subject.name).is_some_and(|service| service.price.is_some());
    let paid = |subject: &Subject| matches!(&subject.engine, EngineSpec::Api(spec) if !is_program(spec.preset));
    let hidden: Vec<&str> = subjects.iter().filter(|s| paid(s) && !priced(s)).map(|s| s.name.as_str()).collect();
    if !hidden.is_empty() {
        let message = format!("a spending limit counts nothing of {}: no price is given", hidden.join(", "));
        plan.fault_at(
            "spending",
            message,
            Some("give each its price of a million tokens: price = { input = 2.0, output = 6.0 }"),
        );
    } else if !subjects.iter().any(priced) {
        let hint = "remove [spending], or give subjects the price of a million tokens: price = { input = 2.0, output = 6.0 }";
        plan.fault_at("spending", "a spending limit without a price counts nothing", Some(hint));
    }
}

fn above_zero(section: &Section<'_>, key: &'static str) -> Option<f64> {
    let number = section.real(key)?;
    if number <= 0.0 {
        section.fault_at(key, format!("`{key}` must be more than 0"), Some("leave it out where there is no limit"));
    }
    Some(number)
}

/// Reads a time: seconds, or a number with a unit.
fn timeout(section: &Section<'_>) -> Option<f64> {
    const FORM: &str = "write seconds, or a number with its unit: timeout = 90, timeout = \"90s\", timeout = \"2m\"";
    let value = section.value("timeout")?.get_ref();
    let seconds = match value.as_str() {
        Some(text) => {
            let seconds = seconds(text);
            if seconds.is_none() {
                section.fault_at("timeout", format!("`{text}` is no time"), Some(FORM));
            }
            seconds?
        }
        None => section.real("timeout")?,
    };
    if !(seconds > 0.0 && seconds <= LONGEST) {
        section.fault_at("timeout", "`timeout` must be more than 0 and at most a day", Some(FORM));
    }
    Some(seconds)
}

/// The seconds of a time with a unit.
fn seconds(text: &str) -> Option<f64> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let factor = units.iter().find(|(known, _)| *known == unit)?.1;
    number.trim().parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number * factor)
}

fn price(section: &Section<'_>) -> Option<Price> {
    const FORM: &str = "prices are those of a million tokens: price = { input = 2.0, output = 6.0 }";
    let table = section.table("price", "price")?;
    let read = |key: &'static str| {
        let price = table.real(key);
        if price.is_some_and(|price| price < 0.0) {
            table.fault_at(key, format!("`{key}` must be 0 or more"), Some(FORM));
        }
        price
    };
    let (input, output, cached) = (read("input"), read("output"), read("cached"));
    for key in ["input", "output"].into_iter().filter(|key| !table.has(key)) {
        table.fault(format!("price has no `{key}`"), Some(FORM));
    }
    table.close();
    Some(Price { input: input?, output: output?, cached })
}
