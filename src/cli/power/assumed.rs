//! What a person expects, as typed: `4%` for every task, or `arithmetic=0.04` for one.

use crate::cli::failure::Failure;
use crate::domain::TaskName;
use crate::suite::nearest;

/// A share that is expected of one task, or of all.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct Assumption {
    /// The task; every task without one of its own where none.
    pub(in crate::cli) task: Option<String>,
    /// The share, 0..=1.
    pub(in crate::cli) share: f64,
}

/// Reads `[TASK=]SHARE`, where a share is `4%`, `0.5pp` or `0.04`.
pub(in crate::cli) fn assumption(text: &str) -> Result<Assumption, String> {
    let (task, share) = match text.rsplit_once('=') {
        Some((task, share)) => (Some(task.trim().to_owned()), share.trim()),
        None => (None, text.trim()),
    };
    let percent = share.strip_suffix('%').or_else(|| share.strip_suffix("pp"));
    let number: f64 = percent.unwrap_or(share).trim().parse().map_err(|_| format!("`{share}` is no share: write 4% or 0.04"))?;
    let value = if percent.is_some() { number / 100.0 } else { number };
    if (0.0..=1.0).contains(&value) {
        return Ok(Assumption { task, share: value });
    }
    Err(if percent.is_none() && (1.0..=100.0).contains(&number) {
        format!("a bare number is a share from 0 to 1: for {number} of a hundred write {number}%")
    } else {
        "a share lies between 0 and 1, that is 0% and 100%".to_owned()
    })
}

/// What is expected of a task: its own word, or the last that is about all.
pub(super) fn about(all: &[Assumption], task: &TaskName) -> Option<f64> {
    let own = all.iter().rev().find(|one| one.task.as_deref() == Some(task.as_str()));
    own.or_else(|| all.iter().rev().find(|one| one.task.is_none())).map(|one| one.share)
}

/// A word about a task that the plan doesn't have is a slip of the pen.
pub(super) fn check(all: &[Assumption], tasks: &[&str]) -> Result<(), Failure> {
    let Some(unknown) = all.iter().filter_map(|one| one.task.as_deref()).find(|task| !tasks.contains(task)) else {
        return Ok(());
    };
    let hint = nearest(unknown, tasks.iter().copied())
        .map_or_else(|| format!("its tasks are {}", tasks.join(", ")), |near| format!("did you mean `{near}`?"));
    Err(Failure::usage(format!("the plan has no task `{unknown}`")).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_in_every_form_and_a_bare_number_above_one_is_no_share() {
        let share = |text| assumption(text).map(|one| (one.task, one.share));
        assert_eq!(share("4%"), Ok((None, 0.04)));
        assert_eq!(share("sums = 0.5pp"), Ok((Some("sums".to_owned()), 0.005)));
        assert_eq!(share("0"), Ok((None, 0.0)));
        for bad in ["4", "101%", "-1%", "NaN", "few", "a="] {
            assert!(share(bad).is_err(), "{bad}");
        }
        assert!(share("4").is_err_and(|hint| hint.contains("4%")));
    }

    #[test]
    fn a_word_about_a_task_goes_before_one_about_all() {
        let all = ["4%", "sums=1%"].map(|text| assumption(text).expect("it is a share"));
        assert_eq!(about(&all, &TaskName::new("sums")), Some(0.01));
        assert_eq!(about(&all, &TaskName::new("others")), Some(0.04));
        assert!(check(&all, &["sum"]).is_err_and(|failure| failure.hint.is_some_and(|hint| hint.contains("`sum`"))));
    }
}
