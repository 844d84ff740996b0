//! Tolerances as people write them: `margin` or `recovery`.

use toml::Spanned;
use toml::de::DeValue;

use crate::domain::Tolerance;
use crate::suite::Section;

/// The keys that say what may be lost.
pub(super) const KEYS: [&str; 2] = ["margin", "recovery"];

const RECOVERY_HINT: &str = "it is the share of the canary's score that the variant must keep: recovery = 0.99";

/// Reads `margin` or `recovery`, of which a section has one at most; none where it has neither, or a fault, which is noted.
pub(super) fn read(section: &Section<'_>) -> Option<Tolerance> {
    if KEYS.iter().all(|key| section.has(key)) {
        let hint = "a margin is an absolute difference, a recovery a share of the canary's score: keep the one that you mean";
        section.fault_at("recovery", format!("{} has both `margin` and `recovery`", section.name()), Some(hint));
    }
    let (margin, recovery) = (margin(section), recovery(section));
    margin.or(recovery)
}

/// Whether a section says what may be lost, be it well or badly.
pub(super) fn is_in(section: &Section<'_>) -> bool {
    // Both are asked for, so that a misspelling of either finds it.
    let [margin, recovery] = KEYS.map(|key| section.has(key));
    margin || recovery
}

/// Reads `margin`: percentage points ("2pp") or a share (0.02).
fn margin(section: &Section<'_>) -> Option<Tolerance> {
    let share = match section.value("margin").map(Spanned::get_ref)? {
        DeValue::String(text) => {
            let Some(points) = number_before(text, "pp") else {
                let message = format!("`{text}` is not a margin");
                section.fault_at("margin", message, Some("write percentage points, \"2pp\", or a share, 0.02"));
                return None;
            };
            points / 100.0
        }
        _ => section.real("margin")?,
    };
    if share == 0.0 {
        let hint = "margin 0 can never be shown: no number of samples proves that nothing is lost; \"1pp\" is a usual start";
        section.fault_at("margin", "`margin` must be more than 0", Some(hint));
    } else if share < 0.0 {
        let hint = "a margin is the largest loss that is tolerated, written without a sign: \"1pp\"";
        section.fault_at("margin", "`margin` must be more than 0", Some(hint));
    } else if share >= 1.0 {
        let hint = "a bare number is a share: 0.02 is two percentage points, which may also be written \"2pp\"";
        section.fault_at("margin", "`margin` must be less than 1, that is 100pp", Some(hint));
    }
    Some(Tolerance::Margin(share)).filter(|tolerance| tolerance.is_testable())
}

/// Reads `recovery`: a share (0.99) or per cent ("99%").
fn recovery(section: &Section<'_>) -> Option<Tolerance> {
    let share = match section.value("recovery").map(Spanned::get_ref)? {
        DeValue::String(text) => {
            let Some(percent) = number_before(text, "%") else {
                let message = format!("`{text}` is not a recovery");
                section.fault_at("recovery", message, Some("write a share, 0.99, or per cent, \"99%\""));
                return None;
            };
            percent / 100.0
        }
        _ => section.real("recovery")?,
    };
    if share <= 0.0 {
        section.fault_at("recovery", "`recovery` must be more than 0", Some(RECOVERY_HINT));
    } else if share > 1.0 {
        let hint = match share / 100.0 {
            part if part < 1.0 => format!("a bare number is a share: write {part}, or \"{share}%\""),
            _ => RECOVERY_HINT.to_owned(),
        };
        section.fault_at("recovery", "`recovery` must be less than 1", Some(&hint));
    } else if share >= 1.0 {
        let hint = "a recovery of 1 can never be shown: no number of samples proves that nothing is lost; 0.99 is a usual start";
        section.fault_at("recovery", "`recovery` must be less than 1", Some(hint));
    }
    Some(Tolerance::Recovery(share)).filter(|tolerance| tolerance.is_testable())
}

/// The finite number in front of a unit.
fn number_before(text: &str, unit: &str) -> Option<f64> {
    let number = text.trim().strip_suffix(unit)?.trim().parse::<f64>().ok()?;
    number.is_finite().then_some(number)
}

/// A tolerance as a person writes it: `2pp`, `99 %`.
pub(super) fn shown(tolerance: Tolerance) -> String {
    let percent = |share: f64| (share * 1e6).round() / 1e4;
    match tolerance {
        Tolerance::Margin(margin) => format!("a margin of {}pp", percent(margin)),
        Tolerance::Recovery(share) => format!("a recovery of {}%", percent(share)),
    }
}
