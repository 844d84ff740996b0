//! What is said of plan files with faults of their own.

use std::path::Path;

use insta::assert_snapshot;

use super::{PLAN, Place, changed};
use crate::domain::EngineSpec;
use crate::plan::{Overrides, Plan, TEMPLATE};

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    assert_snapshot!(changed("plan.toml", "quantize", "quantise"), @r#"
    variant `q8` has neither `model` nor `quantize`
     --> plan.toml:8:1
      |
    8 | [[variant]]
      | ^^^^^^^^^^^
      = hint: name its file with `model`, or have it made from the canary: quantize = "q4_k_m"

    unknown key `quantise` in variant `q8`
      --> plan.toml:10:1
       |
    10 | quantise = "q8_0"
       | ^^^^^^^^
       = hint: did you mean `quantize`?
    "#);
}

/// What is said of the plan with more variants.
fn with_variants(variants: &str) -> String {
    changed("plan.toml", "[policy]", &format!("{variants}\n[policy]"))
}

#[test]
fn variants_need_a_name_of_their_own_and_one_source_of_weights() {
    let variants = "\
[[variant]]
name = \"q8\"
model = \"missing.gguf\"

[[variant]]
name = \"canary\"
quantize = \"q4_km\"

[[variant]]
name = \"both\"
model = \"model\"
quantize = \"q4_0\"
";
    assert_snapshot!(with_variants(variants), @r#"
    two variants are named `q8`
      --> plan.toml:13:8
       |
    13 | name = "q8"
       |        ^^^^
       = hint: names are unique within a plan

    there is no model missing.gguf
      --> plan.toml:14:9
       |
    14 | model = "missing.gguf"
       |         ^^^^^^^^^^^^^^
       = hint: paths start from the plan's folder

    the name `canary` is taken by the canary
      --> plan.toml:17:8
       |
    17 | name = "canary"
       |        ^^^^^^^^
       = hint: call the variant by its quantization

    `quantize` is one of f32, f16, bf16, q8_0, q6_k, q5_k_m, q5_k, q5_k_s, q5_1, q5_0, q4_k_m, q4_k, q4_k_s, q4_1, q4_0, q3_k_l, q3_k_m, q3_k, q3_k_s, q2_k, q2_k_s, not `q4_km`
      --> plan.toml:18:12
       |
    18 | quantize = "q4_km"
       |            ^^^^^^^
       = hint: did you mean `q4_k_m`?

    variant `both` has both `model` and `quantize`
      --> plan.toml:23:12
       |
    23 | quantize = "q4_0"
       |            ^^^^^^
       = hint: keep one of them
    "#);
}

#[test]
fn engines_that_are_not_there_and_keys_of_other_engines_are_refused() {
    let variants = "\
[[variant]]
name = \"remote\"
engine = \"llamacpp\"

[[variant]]
name = \"foreign\"
quantize = \"q4_0\"
base_url = \"http://localhost:8000/v1\"

[[variant]]
name = \"typo\"
engine = \"lokal\"

[[variant]]
name = \"rote\"
engine = \"scripted\"
quantize = \"q4_0\"

[[variant]]
name = \"salted\"
quantize = \"q4_0\"
salt = \"a\"
";
    assert_snapshot!(with_variants(variants), @r#"
    no engine is called `llamacpp`
      --> plan.toml:14:10
       |
    14 | engine = "llamacpp"
       |          ^^^^^^^^^^
       = hint: did you mean `llama-server`?

    `base_url` is a key of engines over HTTP
      --> plan.toml:19:12
       |
    19 | base_url = "http://localhost:8000/v1"
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^
       = hint: remove it, or change `engine`

    no engine is called `lokal`
      --> plan.toml:23:10
       |
    23 | engine = "lokal"
       |          ^^^^^^^
       = hint: did you mean `local`?

    variant `rote` has no `right_per_mille`
      --> plan.toml:25:1
       |
    25 | [[variant]]
       | ^^^^^^^^^^^
       = hint: of a thousand samples, so many are answered right: right_per_mille = 900

    `quantize` is a key of engine local
      --> plan.toml:28:12
       |
    28 | quantize = "q4_0"
       |            ^^^^^^
       = hint: remove it, or change `engine`

    `salt` is a key of engine scripted
      --> plan.toml:33:8
       |
    33 | salt = "a"
       |        ^^^
       = hint: remove it, or change `engine`
    "#);
}

#[test]
fn a_plan_needs_a_canary_a_variant_that_counts_suites_and_a_policy() {
    let place = Place::new();
    place.write("plan.toml", "name = \"demo\"\n");
    assert_snapshot!(place.faults(), @r#"
    the plan has no `suites`
      --> plan.toml
       = hint: name at least one suite file: suites = ["suites/standard.toml"]

    the plan has no [canary]
      --> plan.toml
       = hint: name the full-precision model: [canary] with model = "…"

    the plan has no [[variant]]: there is nothing to compare the canary with
      --> plan.toml
       = hint: add the quantized model as a [[variant]] with a name and a model

    the plan has no [policy]
      --> plan.toml
       = hint: choose the largest loss that you would accept before you see data: [policy] with margin = "1pp"
    "#);
    assert_snapshot!(changed("plan.toml", "quantize", "control = true\nquantize"), @r#"
    every variant is a control, so nothing would be decided
      --> plan.toml
       = hint: a control shows that the tasks have teeth; add the variant that you want to judge
    "#);
}

#[test]
fn a_missing_model_suite_or_dataset_is_named_where_it_is_asked_for() {
    assert_snapshot!(changed("plan.toml", "\"model\"", "\"modle\""), @r#"
    there is no model modle
     --> plan.toml:6:9
      |
    6 | model = "modle"
      |         ^^^^^^^
      = hint: paths start from the plan's folder
    "#);
    assert_snapshot!(changed("plan.toml", "\"suite.toml\"", "\"suites/standard.toml\""), @r#"
    there is no suite suites/standard.toml
     --> plan.toml:2:10
      |
    2 | suites = ["suites/standard.toml"]
      |          ^^^^^^^^^^^^^^^^^^^^^^^^
      = hint: suite paths start from the plan's folder
    "#);
    assert_snapshot!(changed("suite.toml", "\"sums.jsonl\"", "\"sum.jsonl\""), @r#"
    there is no dataset sum.jsonl
     --> suite.toml:6:11
      |
    6 | dataset = "sum.jsonl"
      |           ^^^^^^^^^^^
      = hint: dataset paths start from the suite's folder
    "#);
    let missing = Plan::load(Path::new("nowhere.toml"), &Overrides::default()).expect_err("there is no such plan");
    assert_snapshot!(missing.to_string(), @r#"
    there is no plan nowhere.toml
      hint: `quantgate init` writes one
    "#);
}

#[test]
fn scripted_subjects_need_no_model() {
    let place = Place::new();
    let scripted = "[canary]\nengine = \"scripted\"\nright_per_mille = 950\n";
    place.change("plan.toml", "[canary]\nmodel = \"model\"\n", scripted);
    assert_snapshot!(place.faults(), @r#"
    only a local canary can be quantized
      --> plan.toml:11:12
       |
    11 | quantize = "q8_0"
       |            ^^^^^^
       = hint: name its file with `model`, or make the canary a local model
    "#);
    place.change(
        "plan.toml",
        "quantize = \"q8_0\"",
        "engine = \"scripted\"\nright_per_mille = 940\nsalt = \"b\"\nnoise_per_mille = 10",
    );
    let EngineSpec::Scripted(script) = &place.load().subjects[1].engine else { panic!("the variant is scripted") };
    assert_eq!((script.right_per_mille, script.salt.as_str(), script.noise_per_mille), (940, "b", 10));
}

#[test]
fn the_template_lacks_nothing_but_the_models_and_the_suite_that_it_names() {
    let place = Place::new();
    place.write("plan.toml", TEMPLATE);
    assert_snapshot!(place.faults(), @r#"
    there is no model models/my-model
      --> plan.toml:13:9
       |
    13 | model = "models/my-model"          # a Hugging Face folder, a .safetensors file or a .gguf file
       |         ^^^^^^^^^^^^^^^^^
       = hint: paths start from the plan's folder

    there is no model models/my-model-q4_k_m.gguf
      --> plan.toml:25:9
       |
    25 | model = "models/my-model-q4_k_m.gguf"
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = hint: paths start from the plan's folder

    there is no suite suites/standard.toml
     --> plan.toml:5:10
      |
    5 | suites = ["suites/standard.toml"]  # one or more suite files
      |          ^^^^^^^^^^^^^^^^^^^^^^^^
      = hint: suite paths start from the plan's folder
    "#);
}

#[test]
fn samples_are_asked_at_least_once_and_repeats_of_a_model_in_this_process_are_told_of() {
    assert_snapshot!(changed("plan.toml", "\"model\"", "\"model\"\nrepeats = 0"), @r"
    `repeats` must be from 1 to 100
     --> plan.toml:7:11
      |
    7 | repeats = 0
      |           ^
      = hint: it is how often each sample is asked; 2 shows how much a model differs from itself
    ");
    let place = Place::new();
    place.change("plan.toml", "\"model\"", "\"model\"\nrepeats = 3");
    let plan = place.load();
    assert_eq!((plan.subjects[0].repeats, plan.subjects[1].repeats), (3, 1));
    assert_snapshot!(plan.warnings.join("\n"), @"repeats of canary will be equal, answer by answer: a model in this process gives the same answer to the same request, and no task here has a temperature above 0");
    place.change("suite.toml", "slice", "temperature = 0.5\nslice");
    assert_eq!(place.load().warnings, Vec::<String>::new());
}

#[test]
fn an_address_ends_before_what_requests_add_to_it() {
    let variant = "engine = \"vllm\"\nmodel = \"m\"\nbase_url = \"http://gpu-1:8000/v1/chat/completions/\"";
    let place = Place::new();
    place.write("plan.toml", &PLAN.replace("quantize = \"q8_0\"", variant));
    let faults = place.faults();
    assert!(faults.contains("goes on to `/chat/completions`"), "{faults}");
    assert!(faults.contains("base_url = \"http://gpu-1:8000/v1\""), "{faults}");
}

#[test]
fn the_own_dialect_of_a_server_stands_beside_that_of_openai() {
    let url = |engine: &str| {
        let variant = format!("engine = \"{engine}\"\nmodel = \"m\"\nbase_url = \"http://gpu-1:8080/v1/\"");
        let place = Place::new();
        place.write("plan.toml", &PLAN.replace("quantize = \"q8_0\"", &variant));
        match &place.load().subjects[1].engine {
            EngineSpec::Api(spec) => spec.base_url.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(url("llama-server"), "http://gpu-1:8080");
    assert_eq!(url("vllm"), "http://gpu-1:8080/v1");
}
