//! `junit.xml`: a test suite for each variant, a test case for each finding, so that any CI shows the gate's answers.

use quick_junit::{NonSuccessKind, Report as JUnit, TestCase, TestCaseStatus, TestSuite};

use super::model::{FindingResult, Report, SubjectResult};
use super::write::ReportError;
use crate::domain::{Role, TaskName, Verdict};

/// The text of `junit.xml`. FAIL is a failure, INCONCLUSIVE and INVALID are errors, a finding that doesn't gate is
/// skipped; a control's findings are skipped too, and one more case says whether it failed as it must.
pub(super) fn render(report: &Report) -> Result<String, ReportError> {
    let mut junit = JUnit::new(report.plan.as_str());
    for subject in report.subjects.iter().filter(|s| s.role != Role::Canary) {
        junit.add_test_suite(suite(subject));
    }
    junit.to_string().map_err(|fault| ReportError::Format { what: "junit.xml", fault: fault.to_string() })
}

fn suite(subject: &SubjectResult) -> TestSuite {
    let mut suite = TestSuite::new(subject.name.as_str());
    suite.add_property(("verdict", subject.verdict.map_or("", Verdict::word)));
    if subject.role == Role::Control {
        suite.add_test_case(control(subject));
    }
    for finding in &subject.findings {
        suite.add_test_case(case(subject, finding));
    }
    suite
}

fn case(subject: &SubjectResult, finding: &FindingResult) -> TestCase {
    let slice = finding.slice.as_ref().map(|slice| format!("/ {slice}"));
    let task = finding.task.as_ref().map(TaskName::as_str);
    let parts = [Some(finding.rule), task, slice.as_deref(), finding.metric.as_deref()];
    let name: Vec<&str> = parts.into_iter().flatten().collect();
    let mut status = match finding.verdict {
        _ if !finding.gating || subject.role == Role::Control => TestCaseStatus::skipped(),
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Inconclusive | Verdict::Invalid => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if !matches!(status, TestCaseStatus::Success { .. }) {
        status.set_type(finding.verdict.word());
        status.set_message(format!("{}: {}", finding.verdict, finding.reason));
    }
    let mut case = TestCase::new(name.join(" "), status);
    case.set_classname(subject.name.as_str());
    case
}

/// The case that says whether a control failed, as it must.
fn control(subject: &SubjectResult) -> TestCase {
    let status = if subject.teeth == Some(true) {
        TestCaseStatus::success()
    } else {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type("INVALID");
        status.set_message("the control must FAIL on a task, or the tasks have no teeth");
        status
    };
    let mut case = TestCase::new("control fails", status);
    case.set_classname(subject.name.as_str());
    case
}
