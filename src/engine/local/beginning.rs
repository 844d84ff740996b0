//! How a model's prompts begin, where that is odd: a BOS that is missing or there twice.

use crate::domain::Message;
use crate::engine::template::ChatTemplate;
use crate::weights::Checkpoint;

/// The identity's detail that says it.
pub(super) const BEGINNING: &str = "beginning";

/// What is odd about how a text or a rendered conversation begins. A conversation is encoded as it is rendered, so that a
/// BOS that the template doesn't write is not there, whatever other texts begin with.
pub(super) fn beginning(checkpoint: &Checkpoint, template: &ChatTemplate) -> Option<&'static str> {
    let (bos, add_bos) = (checkpoint.special().bos?, checkpoint.special().add_bos);
    let leading = |text: &str, whole| {
        let encoding = checkpoint.tokenizer().encode_fast(text, whole).ok()?;
        Some(encoding.get_ids().iter().take_while(|id| **id == bos).count())
    };
    if leading("", true)? > 1 {
        return Some("texts begin with BOS twice");
    }
    let message = Message { role: "user".to_owned(), content: "a".to_owned() };
    match leading(&template.render(&[message], &[]).ok()?, false)? {
        0 if add_bos => Some("the chat template writes no BOS, which every other text begins with"),
        0 | 1 => None,
        _ => Some("the chat template writes BOS twice"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::random_model;
    use super::super::{LocalEngine, Settings};
    use super::BEGINNING;
    use crate::engine::Engine as _;
    use crate::weights::Checkpoint;

    /// What is said of a model with the demonstration tokenizer and this chat template.
    fn said(template: &str) -> Option<String> {
        let folder = tempfile::tempdir().expect("a folder");
        random_model(folder.path(), [32, 32, 2, 1, 16, 1]);
        std::fs::write(folder.path().join("chat_template.jinja"), template).expect("writable");
        let model = Checkpoint::open(folder.path(), None).expect("a model");
        let engine = LocalEngine::load(model, &Settings::default()).expect("it loads");
        engine.identity().details.get(BEGINNING).cloned()
    }

    #[test]
    fn a_bos_that_is_missing_or_there_twice_is_told() {
        assert_eq!(said("{{ bos_token }}{{ messages[0].content }}"), None);
        assert!(said("{{ messages[0].content }}").expect("it is odd").contains("no BOS"));
        assert!(said("{{ bos_token }}{{ bos_token }}{{ messages[0].content }}").expect("it is odd").contains("twice"));
    }
}
