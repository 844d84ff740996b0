//! What endpoints tell beside answers: what makes a pair INVALID, and what is only warned of.

use crate::analysis::endpoints::{self, Api};
use crate::analysis::fixture::{Reply, Run};
use crate::domain::{Digest, Origin, Role, Served, SubjectName, Verdict};
use crate::gate::{Code, Decision, Finding, Rule, decide};

fn decided(api: &Api) -> Decision {
    let (record, comparisons) = api.compared();
    decide(&record, &comparisons, &api.run.policy)
}

fn served(decision: &Decision) -> &Finding {
    decision.subjects[0].findings.iter().find(|f| f.rule == Rule::Served).expect("endpoints told something")
}

/// The reason for which the pair is INVALID.
fn fault(told: impl Fn(&str, &str, usize, &mut Served) + 'static) -> String {
    let decision = decided(&Api::telling(told));
    let finding = served(&decision);
    assert_eq!((finding.verdict, decision.verdict), (Verdict::Invalid, Verdict::Invalid), "{}", finding.reason);
    assert!(decision.reason.contains(&finding.reason), "the run's sentence says why: {}", decision.reason);
    finding.reason.clone()
}

#[test]
fn a_pair_of_endpoints_that_tell_nothing_odd_passes_and_says_how_many_prompts_were_compared() {
    let decision = decided(&Api::pair());
    assert_eq!(decision.verdict, Verdict::Pass, "{}", decision.reason);
    assert!(served(&decision).reason.contains("60 prompts were the same as the canary's"), "{}", served(&decision).reason);
    let (record, comparisons) = Run::small().compared();
    let in_process = decide(&record, &comparisons, &Run::small().policy);
    assert!(in_process.subjects.iter().flat_map(|s| &s.findings).all(|f| f.rule != Rule::Served));
}

#[test]
fn answers_by_fallback_are_counted_on_either_side() {
    let reason = fault(|subject, _, item, told| told.fallbacks = u32::from(subject == "q4" && item > 56));
    assert!(reason.starts_with("3 answers of 'q4' came from another model, as a fallback"), "{reason}");
    assert!(reason.contains("first sample 'arithmetic-0057' of arithmetic"), "{reason}");
    let reason = fault(|subject, _, item, told| told.fallbacks = u32::from(subject == "canary" && item == 9));
    assert!(reason.starts_with("1 answer of 'canary'") && reason.contains("(sample 'arithmetic-0009' of"), "{reason}");
}

#[test]
fn a_model_that_changes_in_mid_run_is_counted_and_named() {
    let reason = fault(|subject, _, item, told| {
        if subject == "q4" && item >= 55 {
            told.model = Some("q4-2026-02".to_owned());
        }
    });
    assert!(reason.contains("5 answers of 'q4' came from 'q4-2026-02' (5), not from 'q4-2026-01'"), "{reason}");
    assert!(reason.contains("'arithmetic-0055'"), "{reason}");
    // An answer whose service told no model is no other model, and a fallback is counted once.
    let silent = Api::telling(|_, _, item, told| told.model = told.model.take().filter(|_| item % 2 == 0));
    assert_eq!(served(&decided(&silent)).verdict, Verdict::Pass);
    let reason = fault(|_, _, item, told| {
        if item == 4 {
            (told.fallbacks, told.model) = (1, Some("another".to_owned()));
        }
    });
    assert!(!reason.contains("came from 'another'"), "{reason}");
}

#[test]
fn prompts_that_differ_are_counted_where_both_are_of_one_kind() {
    let other = |subject: &str, item: usize| subject == "q4" && item.is_multiple_of(6);
    let reason = fault(move |subject, _, item, told| {
        if other(subject, item) {
            told.prompt = Some(Digest::new("chat:blake3:another"));
        }
    });
    assert!(
        reason.contains("10 prompts of 'q4' were not the canary's (first sample 'arithmetic-0000' of arithmetic)"),
        "{reason}"
    );
    let kinds = decided(&Api::telling(|subject, _, _, told| {
        if subject == "q4" {
            told.prompt = Some(Digest::new("text:blake3:rendered here"));
        }
    }));
    assert_eq!(served(&kinds).verdict, Verdict::Pass, "a text is no chat");
    assert!(served(&kinds).reason.contains("is not told"), "{}", served(&kinds).reason);
}

#[test]
fn prompts_that_were_cut_are_counted_and_all_faults_are_named_at_once() {
    let reason = fault(|subject, _, item, told| {
        told.truncated = subject == "q4" && item < 2;
        told.fallbacks = u32::from(item == 1);
    });
    assert!(reason.contains("the prompts of 2 answers of 'q4' were cut to fit the context"), "{reason}");
    assert!(reason.contains("1 answer of 'canary'") && reason.contains("1 answer of 'q4'"), "{reason}");
}

#[test]
fn a_mark_that_changes_is_warned_of_and_no_verdict_depends_on_it() {
    let decision = decided(&Api::telling(|subject, _, item, told| {
        told.fingerprint = Some(if subject == "q4" && item > 50 { "fp_b" } else { "fp_a" }.to_owned());
    }));
    assert_eq!(decision.verdict, Verdict::Pass, "{}", decision.reason);
    let warned: Vec<_> = decision.warnings.iter().filter(|w| w.code == Code::Fingerprint).collect();
    assert_eq!(warned.len(), 1);
    assert_eq!(warned[0].detail, "2 marks: 'fp_a' (51) and 'fp_b' (9)");
}

#[test]
fn a_name_is_no_proof_of_content_and_said_once_for_each_subject() {
    let unproven = |weights: fn(&str) -> Digest| {
        let decision = decided(&Api { weights, ..Api::pair() });
        let warned = decision.warnings.into_iter().filter(|w| w.code == Code::Unproven);
        warned.map(|w| (w.subject.map(|s| s.to_string()).unwrap_or_default(), w.detail)).collect::<Vec<_>>()
    };
    let by_name = unproven(Digest::named);
    assert_eq!(by_name, [("canary", "known as 'canary'"), ("q4", "known as 'q4'")].map(|(s, d)| (s.to_owned(), d.to_owned())));
    assert_eq!(unproven(|_| Digest::untold()).len(), 2);
    assert!(unproven(|subject| Digest::new(format!("sha256:{subject}"))).is_empty());
}

#[test]
fn a_region_that_the_address_contradicts_is_warned_of() {
    fn abroad(subject: &str) -> Origin {
        Origin { region: Some("us-east-1".to_owned()), ..endpoints::origin(subject) }
    }
    let regions = |api: Api| decided(&api).warnings.into_iter().filter(|w| w.code == Code::Region).collect::<Vec<_>>();
    assert!(regions(Api::pair()).is_empty());
    let warned = regions(Api { origin: abroad, ..Api::pair() });
    assert_eq!(warned.len(), 2);
    assert_eq!(warned[1].detail, "the plan states 'eu', q4.example.com:443 tells 'us-east-1'");
}

#[test]
fn a_canary_behind_an_api_that_was_asked_once_is_named_with_why_repeats_matter() {
    let decision = decided(&Api::pair());
    let warned = decision.warnings.iter().find(|w| w.code == Code::NoAa).expect("one pass is warned of");
    assert_eq!(warned.subject.as_ref().map(SubjectName::as_str), Some("canary"));
    assert!(warned.detail.contains("differ from one request to the next"), "{}", warned.detail);
}

#[test]
fn controls_give_no_warning_of_their_endpoint() {
    let mut api =
        Api::of(Run { subjects: vec![("canary", Role::Canary), ("q2", Role::Control)], ..Run::pair(60, |_, _| Reply::Right) });
    api.told = Box::new(|_, _, item, told| told.fingerprint = Some(format!("fp_{}", item % 2)));
    let subjects: Vec<_> = decided(&api).warnings.into_iter().filter(|w| w.code == Code::Fingerprint).collect();
    assert!(subjects.iter().all(|w| w.subject.as_ref().is_some_and(|s| s.as_str() == "canary")) && subjects.len() == 1);
}

#[test]
fn a_variant_that_is_the_canary_itself_is_warned_of() {
    let warned = |api: &Api, change: fn(&mut crate::analysis::Record)| {
        let (mut record, comparisons) = api.compared();
        change(&mut record);
        let decision = decide(&record, &comparisons, &api.run.policy);
        decision.warnings.into_iter().find(|w| w.code == Code::SameModel).map(|w| w.detail)
    };
    assert_eq!(warned(&Api::pair(), |_| ()), None, "two addresses, two models");
    let same = warned(&Api::pair(), |record| record.header.subjects.iter_mut().for_each(|s| readdress(s, Some("m"))));
    assert_eq!(same.as_deref(), Some("'m' at http://one/v1, as the canary"));
    let apart = warned(&Api::pair(), |record| record.header.subjects.iter_mut().for_each(|s| readdress(s, None)));
    assert_eq!(apart, None, "one gateway, two models");
    let alias = Api::telling(|_, _, _, told| told.model = Some("m-2026".to_owned()));
    let alias = warned(&alias, |record| record.header.subjects.iter_mut().for_each(|s| readdress(s, None)));
    assert!(alias.is_some_and(|said| said.contains("'m-2026' gave them")));
    let content = Api { weights: |_| Digest::new("blake3:1"), ..Api::pair() };
    let content = warned(&content, |record| {
        record.identities.values_mut().for_each(|identity| identity.details.clear());
    });
    assert_eq!(content.as_deref(), Some("its weights are the canary's, and so is the way of serving them"));
    let cache = Api { weights: |_| Digest::new("blake3:1"), ..Api::pair() };
    let cache = warned(&cache, |record| {
        let kinds = ["f16", "q8_0"].into_iter();
        record
            .identities
            .values_mut()
            .zip(kinds)
            .for_each(|(identity, kind)| drop(identity.details.insert("kv".into(), kind.into())));
    });
    assert_eq!(cache, None, "served in two ways");
}

/// Puts a subject behind one address, under its own name or one of all.
fn readdress(subject: &mut crate::domain::Subject, model: Option<&str>) {
    if let crate::domain::EngineSpec::Api(spec) = &mut subject.engine {
        spec.base_url = "http://one/v1".to_owned();
        if let Some(model) = model {
            model.clone_into(&mut spec.model);
        }
    }
}

#[test]
fn a_canary_with_one_text_for_everything_is_no_reference_and_a_variant_with_one_is_a_bad_model() {
    let says = |whose: &'static str| {
        let one = move |is_canary: bool| whose == "both" || is_canary == (whose == "canary");
        let right = |item: usize| if item % 8 == 7 { Reply::Wrong } else { Reply::Right };
        decided(&Api::of(Run::pair(60, move |is_canary, item| if one(is_canary) { Reply::Says("7") } else { right(item) })))
    };
    for whose in ["canary", "both"] {
        let decision = says(whose);
        let reason = &served(&decision).reason;
        assert_eq!(decision.verdict, Verdict::Invalid);
        assert!(reason.contains("'canary' gave one and the same text to all samples of arithmetic (60)"), "{reason}");
    }
    assert_eq!(served(&says("variant")).verdict, Verdict::Pass);
}
