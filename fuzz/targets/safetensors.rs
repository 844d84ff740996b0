//! Any bytes as a safetensors file, beside a configuration of each family with one value changed.
//!
//! The first byte chooses the family, the second and third a key and its new value (none where the second is 0); what
//! follows is the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantgate_fuzz::{explore, folder, limited};
use serde_json::{Value, json};

const TOKENIZER: &str = include_str!("../../tests/fixtures/families/tokenizer.json");

/// The configurations; the order is the seeds' too.
const CONFIGS: [&str; 12] = [
    include_str!("../../tests/fixtures/families/llama/config.json"),
    include_str!("../../tests/fixtures/families/llama3/config.json"),
    include_str!("../../tests/fixtures/families/mistral/config.json"),
    include_str!("../../tests/fixtures/families/mistral_window/config.json"),
    include_str!("../../tests/fixtures/families/nemo/config.json"),
    include_str!("../../tests/fixtures/families/mixtral/config.json"),
    include_str!("../../tests/fixtures/families/qwen2/config.json"),
    include_str!("../../tests/fixtures/families/qwen3/config.json"),
    include_str!("../../tests/fixtures/families/gemma2/config.json"),
    include_str!("../../tests/fixtures/families/phi3/config.json"),
    include_str!("../../tests/fixtures/families/phi3_long/config.json"),
    include_str!("../../tests/fixtures/families/yarn/config.json"),
];

/// A configuration with one value changed.
fn config(family: u8, key: u8, value: u8) -> String {
    let text = CONFIGS[usize::from(family) % CONFIGS.len()];
    if key == 0 {
        return text.to_owned();
    }
    let mut json: Value = serde_json::from_str(text).expect("a configuration is JSON");
    let values = [
        json!(0),
        json!(1),
        json!(2),
        json!(3),
        json!(5),
        json!(8),
        json!(64),
        json!(289),
        json!((1_u64 << 31) - 1),
        json!(1_u64 << 40),
        json!(u64::MAX),
        json!(-1),
        json!(0.5),
        json!(1e300),
        json!("x"),
        json!(""),
        json!(null),
        json!([]),
        json!([1e9, -1, 0]),
        json!({}),
        json!(true),
        json!({"rope_type": "yarn", "factor": 0}),
    ];
    let all = json.as_object_mut().expect("a configuration is an object");
    let index = usize::from(key) % all.len();
    if let Some((_, found)) = all.iter_mut().nth(index) {
        *found = values[usize::from(value) % values.len()].clone();
    }
    json.to_string()
}

fuzz_target!(|data: &[u8]| {
    let [family, key, value, file @ ..] = data else { return };
    let folder = folder();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect("the file is written");
    let config = config(*family, *key, *value);
    write("config.json", config.as_bytes());
    write("tokenizer.json", TOKENIZER.as_bytes());
    write("model.safetensors", file);
    limited(file.len() + config.len() + TOKENIZER.len(), || explore(folder, None));
});
