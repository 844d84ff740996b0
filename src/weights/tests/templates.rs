//! Where chat templates are found, and which tokens end an answer.

use candle_core::DType;
use serde_json::json;

use super::{demo, quantized, tiny};
use crate::weights::Checkpoint;

/// A model whose `chat_template` is this; files beside it by name.
fn model(template: serde_json::Value, files: &[(&str, &str)]) -> (Checkpoint, Checkpoint) {
    let folder = tiny(DType::BF16);
    let settings = folder.path().join("tokenizer_config.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(demo("tokenizer_config.json")).unwrap()).unwrap();
    json["chat_template"] = template;
    std::fs::write(settings, json.to_string()).unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let source = Checkpoint::open(folder.path(), None).unwrap();
    let written = quantized(&source, "q8_0", &folder.path().join("m.gguf"));
    (source, written)
}

#[test]
fn named_templates_are_found_in_lists_and_files_and_survive_being_written() {
    let list = json!([{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]);
    let found = |model: &Checkpoint| (model.chat_template().map(str::to_owned), model.tool_template().map(str::to_owned));
    let both = (Some("plain".to_owned()), Some("tools".to_owned()));
    let (source, written) = model(list.clone(), &[]);
    assert_eq!((found(&source), found(&written)), (both.clone(), both.clone()));
    assert_eq!(source.facts().template, written.facts().template);
    let (other, _) = model(json!("plain"), &[]);
    assert_eq!(found(&other), (Some("plain".to_owned()), None));
    assert_ne!(other.facts().template, source.facts().template, "the template for tools is part of what a model is known by");
    let files = [("chat_template.jinja", "plain"), ("additional_chat_templates/tool_use.jinja", "tools")];
    assert_eq!(found(&model(json!("old"), &files).0), both, "files of their own come first");
    assert_eq!(found(&model(json!({"default": "plain", "tool_use": "tools"}), &[]).0), both);
    assert_eq!(found(&model(serde_json::Value::Null, &[]).0), (None, None));
}
