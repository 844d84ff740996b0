//! The local engine's logits against those of transformers in f32, on the demonstration model.

use std::path::Path;

use quantgate::engine::local::{LocalEngine, Settings};
use quantgate::weights::Checkpoint;
use serde_json::Value;

/// The reference files, by name.
fn cases() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/logits");
    let mut cases: Vec<(String, Value)> = std::fs::read_dir(folder)
        .expect("the fixtures are there")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a readable fixture");
            (path.display().to_string(), serde_json::from_str(&text).expect("valid JSON"))
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    cases
}

#[test]
fn logits_of_the_demonstration_model_agree_with_transformers_in_f32() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    let checkpoint = Checkpoint::open(&model, None).expect("the demonstration model opens");
    let tokenizer = checkpoint.tokenizer().clone();
    let vocabulary = checkpoint.config().vocabulary;
    let engine = LocalEngine::load(checkpoint, &Settings::default()).expect("it loads");
    let cases = cases();
    assert!(cases.len() >= 3, "at least three prompts");
    let mut worst = (0.0_f64, String::new());
    for (name, case) in &cases {
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).expect("token ids");
        if let Some(text) = case["text"].as_str() {
            let own = tokenizer.encode_fast(text, true).expect("the text can be encoded");
            assert_eq!(own.get_ids(), ids, "{name}: another tokenization");
        }
        let logits = engine.logits(&ids).expect("the prompt fits");
        for row in case["rows"].as_array().expect("rows") {
            let position = row["position"].as_u64().expect("a position") as usize;
            for pair in row["logits"].as_array().expect("logits") {
                let column = pair[0].as_u64().expect("a column") as usize;
                let difference = (f64::from(logits[position * vocabulary + column]) - pair[1].as_f64().expect("a logit")).abs();
                if difference > worst.0 || difference.is_nan() {
                    worst = (difference, format!("{name}, position {position}, token {column}"));
                }
            }
        }
    }
    println!("logits: the largest difference to transformers is {:e}", worst.0);
    let hint = "if the model changed, run examples/demo_model/reference_logits.py";
    assert!(worst.0 <= 1e-3, "the largest difference is {:e} at {}; {hint}", worst.0, worst.1);
}
