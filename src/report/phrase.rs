//! Numbers and dates as every format writes them.

use super::model::TaskResult;
use crate::domain::Moment;
use crate::gate::wording::signed_points;
use crate::stats::Interval;

/// What stands where there is no value.
pub(super) const NOTHING: &str = "–";

/// A share as per cent with one decimal: `93.1`.
pub(super) fn percent(rate: Option<Interval>) -> String {
    rate.map_or_else(|| NOTHING.to_owned(), |i| format!("{:.1}", 100.0 * i.estimate))
}

/// `−1.20 [−2.10, −0.30]`, in percentage points.
pub(super) fn delta(delta: Option<Interval>) -> String {
    delta.map_or_else(
        || NOTHING.to_owned(),
        |d| format!("{} [{}, {}]", signed_points(d.estimate), signed_points(d.lower), signed_points(d.upper)),
    )
}

/// A p value: `0.034`, `<0.001`.
fn p(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

/// `12/3`: lost, gained.
pub(super) fn flips(task: &TaskResult) -> String {
    if task.n == 0 { NOTHING.to_owned() } else { format!("{}/{}", task.table.n10, task.table.n01) }
}

/// A number that says nothing without a single pair.
pub(super) fn of_pairs(n: u64, number: u64) -> String {
    if n == 0 { NOTHING.to_owned() } else { number.to_string() }
}

/// A task's p value; nothing without a single pair.
pub(super) fn p_of(task: &TaskResult) -> String {
    if task.n == 0 { NOTHING.to_owned() } else { p(task.p_mid) }
}

/// The verdict's word; in brackets where nothing depends on it.
pub(super) fn verdict(task: &TaskResult) -> String {
    if task.gating { task.verdict.to_string() } else { format!("({})", task.verdict) }
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
    }
}
