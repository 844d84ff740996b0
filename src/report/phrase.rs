//! Numbers and dates as every format writes them.

use super::model::{FindingResult, Unit};
use crate::domain::{Moment, Policy, Tolerance};
use crate::gate::wording::{percent, pp, signed_points};
use crate::stats::{Interval, PairTable};

/// What stands where there is no value.
pub(super) const NOTHING: &str = "–";

/// A score: of shares as per cent with one decimal, `93.1`; of others in their own unit.
pub(super) fn score(value: Option<f64>, unit: Unit) -> String {
    value.map_or_else(
        || NOTHING.to_owned(),
        |value| match unit {
            Unit::Points => format!("{:.1}", 100.0 * value),
            Unit::Score => number(value),
        },
    )
}

/// `−1.20 [−2.10, −0.30]`, in percentage points or in the score's own unit.
pub(super) fn delta(delta: Option<Interval>, unit: Unit) -> String {
    let Some(Interval { estimate, lower, upper }) = delta else { return NOTHING.to_owned() };
    let largest = estimate.abs().max(lower.abs()).max(upper.abs());
    let decimals = [10.0, 1.0, 0.1].iter().position(|size| largest >= *size).map_or(4, |place| place + 1);
    let signed = |x: f64| match unit {
        Unit::Points => signed_points(x),
        Unit::Score => format!("{x:+.decimals$}").replace('-', "−"),
    };
    format!("{} [{}, {}]", signed(estimate), signed(lower), signed(upper))
}

/// `98.7 [97.9, 99.5]`: variant over canary, in per cent.
pub(super) fn ratio(ratio: Option<Interval>) -> String {
    let end = |x: f64| if x.is_finite() { format!("{:.1}", 100.0 * x) } else { "∞".to_owned() };
    ratio.map_or_else(|| NOTHING.to_owned(), |r| format!("{} [{}, {}]", end(r.estimate), end(r.lower), end(r.upper)))
}

/// A tolerance beside its name: `margin 1 pp`, `recovery 99 %`.
pub(super) fn tolerance(tolerance: Tolerance) -> String {
    match tolerance {
        Tolerance::Margin(margin) => format!("margin {}", pp(margin)),
        Tolerance::Recovery(kept) => format!("recovery {}", percent(kept)),
    }
}

/// A policy's tolerances: `margin 1 pp (trace 3 pp), mean over tasks 0.5 pp, α = 0.05 per side`.
pub(super) fn tolerances(policy: &Policy) -> String {
    let of = |own: Tolerance| match (own, policy.tolerance) {
        (Tolerance::Margin(margin), Tolerance::Margin(_)) => pp(margin),
        (Tolerance::Recovery(kept), Tolerance::Recovery(_)) => percent(kept),
        _ => tolerance(own),
    };
    let name = |rule: &crate::domain::TaskRule| match &rule.slice {
        Some(slice) => format!("{} / {slice}", rule.task),
        None => rule.task.to_string(),
    };
    let others: Vec<String> =
        policy.tasks.iter().filter_map(|rule| Some(format!("{} {}", name(rule), of(rule.tolerance?)))).collect();
    let exceptions = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
    let overall = policy.overall.map_or_else(String::new, |overall| format!(", mean of tasks {}", of(overall)));
    let strict = if policy.strict { ", strict" } else { "" };
    format!("{}{exceptions}{overall}, α = {} per side{strict}", tolerance(policy.tolerance), policy.alpha)
}

/// A p value: `0.034`, `<0.001`.
pub(super) fn p(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

/// `12/3`: lost, gained; nothing without a single pair.
pub(super) fn flips(n: u64, table: &PairTable) -> String {
    if n == 0 { NOTHING.to_owned() } else { format!("{}/{}", table.n10, table.n01) }
}

/// A budget and what it came to: `kld.mean on prose 0.0123 of 0.05`.
pub(super) fn spent(finding: &FindingResult) -> String {
    let metric = finding.metric.as_deref().unwrap_or(finding.rule);
    let on = finding.task.as_ref().map_or_else(String::new, |task| format!(" on {task}"));
    let value = finding.value.map_or_else(|| NOTHING.to_owned(), number);
    let limit = finding.limit.map_or_else(String::new, |limit| format!(" of {limit}"));
    format!("{metric}{on} {value}{limit}")
}

/// The clause with a capital in front.
pub(super) fn sentence(clause: &str) -> String {
    let mut chars = clause.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `12.3 MB`, in powers of 1000.
pub(super) fn bytes(bytes: u64) -> String {
    let units = [(1_000_000_000_u64, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match units.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{:.2} {unit}", bytes as f64 / *size as f64),
        None => format!("{bytes} B"),
    }
}

/// A number with four significant digits or so: `0.0123`, `1.037`, `12.3`; tiny ones in powers of ten.
pub(super) fn number(x: f64) -> String {
    match x.abs() {
        0.0 => "0".to_owned(),
        a if a < 0.001 => format!("{x:.1e}").replace('-', "−"),
        a if a < 1.0 => format!("{x:.4}").replace('-', "−"),
        a if a < 10.0 => format!("{x:.3}").replace('-', "−"),
        _ => format!("{x:.1}").replace('-', "−"),
    }
}

/// A time: `840 ms`, `20.5 ms`, `12.3 s`.
pub(super) fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 100.0 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

/// Money without its currency: `12.34`, `0.0057`.
pub(super) fn money(amount: f64) -> String {
    if amount >= 1.0 { format!("{amount:.2}") } else { number(amount) }
}

/// A number with its interval: `0.0123 [0.0110, 0.0136]`.
pub(super) fn with_interval(value: f64, interval: Option<Interval>) -> String {
    match interval {
        Some(i) => format!("{} [{}, {}]", number(value), number(i.lower), number(i.upper)),
        None => number(value),
    }
}

/// Milliseconds since the Unix epoch as `2026-11-22 15:04 UTC`.
pub(super) fn instant(ms: u64) -> String {
    let Moment { year, month, day, hour, minute, .. } = Moment::utc(ms);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// A duration: `840 ms`, `12.3 s`, `2 min 05 s`.
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        _ => format!("{} min {:02} s", ms / 60_000, ms / 1000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_civil_dates() {
        assert_eq!(instant(0), "1970-01-01 00:00 UTC");
        assert_eq!(instant(951_782_400_000), "2000-02-29 00:00 UTC");
        assert_eq!(instant(1_795_359_845_000), "2026-11-22 15:04 UTC");
    }

    #[test]
    fn sizes_and_durations_are_short() {
        assert_eq!([bytes(999), bytes(10_500_000), bytes(2_000_000_000)], ["999 B", "10.50 MB", "2.00 GB"]);
        assert_eq!([duration(999), duration(61_000)], ["999 ms", "1 min 01 s"]);
        assert_eq!([milliseconds(20.46), milliseconds(840.4), milliseconds(12_340.0)], ["20.5 ms", "840 ms", "12.3 s"]);
        assert_eq!([money(0.0), money(0.0057), money(1234.5)], ["0", "0.0057", "1234.50"]);
    }
}
