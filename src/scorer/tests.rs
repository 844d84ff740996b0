//! What each scorer calls right, wrong and unreadable.

use serde_json::json;

use super::{is_shape, last_number, of};
use crate::domain::{Answer, ChoiceValue, Constraint, Finish, Normalization, OptionScore, Score, ScorerSpec, Target};

fn text(text: &str) -> Answer {
    Answer::Text { text: text.to_owned(), tokens: Vec::new(), finish: Finish::End }
}

fn option(log_likelihood: f64, tokens: u32, bytes: u32) -> OptionScore {
    OptionScore { log_likelihood, tokens, bytes, greedy: false }
}

fn choose(normalize: Normalization, options: &[OptionScore], right: usize) -> Score {
    judge(normalize, ChoiceValue::Right, options, right)
}

fn judge(normalize: Normalization, value: ChoiceValue, options: &[OptionScore], right: usize) -> Score {
    let answer = Answer::Choice { options: options.to_vec() };
    of(&ScorerSpec::Choice { normalize, value }).score(&Target::Option(right), &answer)
}

fn call(answer: &str) -> (f64, String, bool) {
    let target = Target::Call(json!({"name": "weather", "arguments": {"city": "Lima", "days": 3}}));
    let score = of(&ScorerSpec::ToolCall).score(&target, &text(answer));
    (score.value, score.read, score.parsed)
}

#[test]
fn each_normalization_has_its_own_favourite() {
    let options = [option(-6.0, 1, 6), option(-8.0, 4, 6), option(-7.0, 2, 21)];
    for (normalize, favourite) in [(Normalization::None, 0), (Normalization::Token, 1), (Normalization::Byte, 2)] {
        let score = choose(normalize, &options, favourite);
        assert_eq!((score.value, score.read), (1.0, format!("option {}", favourite + 1)), "{normalize:?}");
    }
}

#[test]
fn the_first_of_equally_likely_options_wins() {
    let options = [option(-9.0, 1, 1), option(-2.0, 1, 1), option(-2.0, 1, 1)];
    assert!((choose(Normalization::None, &options, 1).value - 1.0).abs() < f64::EPSILON);
    assert!(choose(Normalization::None, &options, 2).value.abs() < f64::EPSILON);
}

#[test]
fn a_log_likelihood_that_is_no_number_gives_no_score_at_all() {
    let score = choose(Normalization::None, &[option(-1.0, 1, 1), option(f64::NAN, 1, 1)], 0);
    assert!(score.value.is_nan());
    assert_eq!(score.read, "the log-likelihood of option 2 is not a number");
}

#[test]
fn impossible_options_still_have_an_order() {
    let options = [option(f64::NEG_INFINITY, 1, 1), option(-50.0, 1, 1)];
    assert_eq!(choose(Normalization::Token, &options, 1).read, "option 2");
}

#[test]
fn exact_forgives_only_what_it_was_told_to() {
    let score = |trim, ignore_case, given: &str| {
        let target = Target::Text(vec!["Zwölf".into(), "12".into()]);
        of(&ScorerSpec::Exact { trim, ignore_case }).score(&target, &text(given)).value > 0.5
    };
    assert!(score(false, false, "Zwölf") && score(false, false, "12"));
    assert!(!score(false, false, " Zwölf") && score(true, false, " Zwölf\n"));
    assert!(!score(true, false, "ZWÖLF") && score(true, true, "ZWÖLF"));
    assert!(!score(true, true, "Zwölf."));
}

#[test]
fn the_last_number_of_a_text_is_read_as_a_person_would() {
    let cases = [
        ("18", Some("18")),
        ("She has 3 + 15 eggs.\n#### 18", Some("18")),
        ("the total is $1,234.50.", Some("1234.5")),
        ("about -$1,000,000", Some("-1000000")),
        ("= \u{2212}7", Some("-7")),
        ("12-5", Some("5")),
        ("(12)-5", Some("5")),
        ("covid-19", Some("19")),
        ("1,2,3", Some("3")),
        ("1,2345", Some("2345")),
        ("007.00", Some("7")),
        ("-0.0", Some("0")),
        (".5", Some("0.5")),
        ("9007199254740993", Some("9007199254740993")),
        ("50%", Some("50")),
        ("none", None),
        ("NaN", None),
        ("inf", None),
        ("", None),
        ("-", None),
    ];
    for (given, number) in cases {
        assert_eq!(last_number(given).as_deref(), number, "{given:?}");
    }
}

#[test]
fn numbers_are_compared_by_value_without_rounding() {
    let score = |target: &str, given: &str| {
        let score = of(&ScorerSpec::Number).score(&Target::Text(vec![target.to_owned()]), &text(given));
        (score.value > 0.5, score.parsed)
    };
    assert_eq!(score("1,000 apples #### 1000", "it is 1,000.00"), (true, true));
    assert_eq!(score("9007199254740993", "9007199254740992"), (false, true));
    assert_eq!(score("5", "five"), (false, false));
}

#[test]
fn a_right_call_may_differ_in_order_spacing_fence_and_number_form() {
    let read = "weather({\"days\":3.0,\"city\":\"Lima\"})".to_owned();
    let plain = r#" {"arguments": {"days": 3.0, "city": "Lima"}, "name": "weather"} "#;
    assert_eq!(call(plain), (1.0, read.clone(), true));
    assert_eq!(call(&format!("```json\n{plain}\n```\n")), (1.0, read, true));
}

#[test]
fn a_wrong_call_says_what_is_wrong_with_it() {
    let wrong = [
        (r#"{"name":"time","arguments":{"city":"Lima","days":3}}"#, "another tool: time instead of weather"),
        (r#"{"name":"weather","arguments":{"city":"Oslo","days":3}}"#, r#"argument city: "Oslo" instead of "Lima""#),
        (r#"{"name":"weather","arguments":{"city":"Lima","days":"3"}}"#, r#"argument days: "3" instead of 3"#),
        (r#"{"name":"weather","arguments":{"city":"Lima"}}"#, "argument days is missing"),
        (r#"{"name":"weather","arguments":{"city":"Lima","days":3,"unit":"C"}}"#, "argument unit is not asked for"),
    ];
    for (answer, read) in wrong {
        assert_eq!(call(answer), (0.0, read.to_owned(), true));
    }
}

#[test]
fn what_is_no_call_is_wrong_and_marked_as_unread() {
    let unread = [
        ("", "not JSON: EOF while parsing a value at line 1 column 0"),
        (r#"{"name":"weather","arguments":{"city":"Li"#, "not JSON: EOF while parsing a string at line 1 column 41"),
        (r#"I call {"name":"weather"}"#, "not JSON: expected value at line 1 column 1"),
        (r#"{"name":"weather","arguments":{}} done"#, "not JSON: trailing characters at line 1 column 35"),
        ("[]", "a list, not an object"),
        (r#"{"arguments":{}}"#, "no `name`"),
        (r#"{"name":"weather"}"#, "no `arguments`"),
        (r#"{"name":"weather","arguments":"{}"}"#, "`arguments` is text, not an object"),
    ];
    for (answer, read) in unread {
        assert_eq!(call(answer), (0.0, read.to_owned(), false));
    }
}

#[test]
fn likelihood_is_the_mean_and_an_empty_document_has_none() {
    let score = |nll: &[f64]| {
        of(&ScorerSpec::Likelihood)
            .score(&Target::None, &Answer::Rolling { nll: nll.to_vec(), bytes: 9, divergence: None, top: Vec::new() })
    };
    assert!((score(&[1.0, 2.0, 6.0]).value - 3.0).abs() < 1e-12);
    assert!(score(&[]).value.is_nan());
}

#[test]
fn every_scorer_gives_an_answer_of_another_kind_zero_and_says_so() {
    let choice = Answer::Choice { options: vec![option(-1.0, 1, 1)] };
    let cases = [
        (
            ScorerSpec::Choice { normalize: Normalization::None, value: ChoiceValue::Right },
            text("a"),
            "choice cannot judge a text answer",
        ),
        (ScorerSpec::Exact { trim: true, ignore_case: false }, choice.clone(), "exact cannot judge a choice answer"),
        (ScorerSpec::F1, choice.clone(), "f1 cannot judge a choice answer"),
        (ScorerSpec::Number, choice.clone(), "number cannot judge a choice answer"),
        (ScorerSpec::ToolCall, choice, "tool-call cannot judge a choice answer"),
        (ScorerSpec::Likelihood, text("a"), "likelihood cannot judge a text answer"),
    ];
    for (spec, answer, read) in cases {
        let score = of(&spec).score(&Target::None, &answer);
        assert_eq!(score.read, format!("scorer {read} by a missing target"));
        assert!(!score.parsed && score.value.abs() < f64::EPSILON);
    }
}

#[test]
fn the_probability_of_the_right_option_is_its_share_whatever_the_likelihoods_add_up_to() {
    let probability = |normalize, options: &[OptionScore], right| judge(normalize, ChoiceValue::Probability, options, right);
    // Shares of 1 : 2 : 5, far below what exp can hold.
    let options = [option(-2000.0, 1, 1), option(-2000.0 + 2.0_f64.ln(), 2, 4), option(-2000.0 + 5.0_f64.ln(), 1, 1)];
    for (right, share) in [(0, 0.125), (1, 0.25), (2, 0.625)] {
        let score = probability(Normalization::None, &options, right);
        assert!((score.value - share).abs() < 1e-12, "{} instead of {share}", score.value);
        assert_eq!((score.read.as_str(), score.parsed), ("option 3", true));
    }
    let halves = [option(-2.0, 1, 1), option(-8.0, 4, 4)];
    assert!((probability(Normalization::Byte, &halves, 1).value - 0.5).abs() < 1e-12);
    let impossible = [option(f64::NEG_INFINITY, 1, 1), option(-3.0, 1, 1)];
    assert!(probability(Normalization::None, &impossible, 0).value.abs() < f64::EPSILON);
    assert!((probability(Normalization::None, &impossible[..1], 0).value - 1.0).abs() < f64::EPSILON);
    assert!(probability(Normalization::None, &[option(f64::NAN, 1, 1), option(-3.0, 1, 1)], 1).value.is_nan());
}

#[test]
fn shared_words_give_partial_credit_as_squad_counts_it() {
    let score = |given: &str, accepted: &[&str]| {
        let target = Target::Text(accepted.iter().map(|text| (*text).to_owned()).collect());
        of(&ScorerSpec::F1).score(&target, &text(given)).value
    };
    let cases = [
        // The standard worked example: two of three words in common on both sides.
        ("Super Bowl 50", "Super Bowl L", 2.0 / 3.0),
        ("the Denver Broncos!", "Denver Broncos", 1.0),
        ("Denver Broncos of the AFC", "Denver Broncos", 2.0 * 0.5 / 1.5),
        ("cat cat sat", "cat", 2.0 * (1.0 / 3.0) / (4.0 / 3.0)),
        ("an apple-pie", "apple pie", 0.0),
        ("U.S.A.", "USA", 1.0),
        ("1976", "1977", 0.0),
        ("the", "a", 1.0),
        ("", "Paris", 0.0),
    ];
    for (given, accepted, value) in cases {
        assert!((score(given, &[accepted]) - value).abs() < 1e-12, "{given:?} for {accepted:?}: {}", score(given, &[accepted]));
        assert!((score(accepted, &[given]) - value).abs() < 1e-12, "the F1 of {accepted:?} and {given:?} is symmetric");
    }
    assert!((score("gold", &["silver", "a gold medal"]) - 2.0 / 3.0).abs() < 1e-12, "the closest of several counts");
}

#[test]
fn validity_looks_at_the_shape_alone() {
    let judge = |shape: Constraint, given: &str| {
        let score = of(&ScorerSpec::Valid).score(&Target::Shape(shape), &text(given));
        (score.value, score.parsed)
    };
    let schema = json!({
        "type": "object", "required": ["at"], "properties": {"at": {"type": "string", "format": "date-time"}, "n": {"maximum": 3}},
    });
    let json = |given: &str| judge(Constraint::JsonSchema(schema.clone()), given);
    assert_eq!(json(" {\"n\": 3, \"at\": \"2024-01-31T08:00:00Z\"}\n"), (1.0, true), "in any order, with white space around");
    assert_eq!(json("{\"at\": \"2024-01-32T08:00:00Z\"}"), (0.0, true), "formats count");
    assert_eq!((json("{\"at\": 3}"), json("{}"), json("[]")), ((0.0, true), (0.0, true), (0.0, true)));
    assert_eq!((json("{\"at\""), json("```json\n{}\n```")), ((0.0, false), (0.0, false)));
    let regex = |given: &str| judge(Constraint::Regex("a|b+".to_owned()), given).0;
    assert_eq!((regex("bb"), regex(" a\n"), regex("ab"), regex("xa")), (1.0, 1.0, 0.0, 0.0));
    let choice = |given: &str| judge(Constraint::Choice(vec!["yes".into(), " no".into()]), given).0;
    assert_eq!((choice(" yes"), choice("no"), choice("yes!")), (1.0, 1.0, 0.0));
    let told = of(&ScorerSpec::Valid).score(&Target::Shape(Constraint::JsonSchema(schema)), &text("{\"at\": \"x\", \"n\": 4}"));
    assert!(told.read.starts_with("/at: ") || told.read.starts_with("/n: "), "{}", told.read);
}

#[test]
fn a_shape_that_nothing_can_be_judged_by_is_told() {
    let fault = |shape: Constraint| is_shape(&shape).expect_err("it is none");
    assert!(fault(Constraint::JsonSchema(json!({"type": "objekt"}))).starts_with("it is not a JSON Schema: "));
    assert!(fault(Constraint::JsonSchema(json!({"$ref": "http://example.org/a"}))).contains("example.org"), "nothing is fetched");
    assert_eq!(fault(Constraint::Regex("(a".to_owned())), "unclosed group");
    assert_eq!(fault(Constraint::Choice(vec![])), "there is no text to choose");
}

#[test]
fn json_is_compared_as_a_value_or_by_the_fields_that_count() {
    let target = Target::Json(json!({"name": "Ada", "age": 36, "tags": ["x"]}));
    let judge = |fields: &[&str], given: &str| {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        let score = of(&ScorerSpec::Json { fields }).score(&target, &text(given));
        (score.value, score.read)
    };
    let whole = |given: &str| judge(&[], given).0;
    assert_eq!((whole("{\"age\": 36.0, \"tags\": [\"x\"], \"name\": \"Ada\"}"), whole("{\"age\": 36}")), (1.0, 0.0));
    let more = "{\"age\":36,\"name\":\"Ada\",\"more\":1}";
    assert_eq!(judge(&["age", "name"], &format!("```json\n{more}\n```")), (1.0, more.to_owned()));
    assert_eq!(judge(&["age"], "{\"age\": \"36\"}"), (0.0, "field age: \"36\" instead of 36".to_owned()));
    assert_eq!(judge(&["name", "age"], "{\"name\": \"Ada\"}"), (0.0, "field age is missing".to_owned()));
    assert!(judge(&["age"], "36 years").1.starts_with("not JSON"));
}
