//! `owner/name@revision/file`: what a model on the Hub is called.

use super::HubError;

/// A repository, one of its revisions, and perhaps one of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// `owner/name`.
    pub(super) repository: String,
    /// A branch, a tag or a commit.
    pub(super) revision: String,
    /// The path of a file in it; none: the whole folder.
    pub(super) file: Option<String>,
}

impl Name {
    /// Reads a name. Without a revision it is `main`; a slash within a revision is written `%2F`.
    pub(super) fn parse(text: &str) -> Result<Self, HubError> {
        let wrong = |problem| HubError::Name { name: text.to_owned(), problem };
        let mut parts = text.splitn(3, '/');
        let (owner, second, file) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let second = second.ok_or_else(|| wrong("names no repository of an owner"))?;
        let (name, revision) = second.split_once('@').unwrap_or((second, "main"));
        let revision = revision.replace("%2F", "/").replace("%2f", "/");
        if !is_word(owner) || !is_word(name) {
            return Err(wrong("names no repository: owner and name are letters, digits, `-`, `_` and `.`"));
        }
        if !revision.split('/').all(is_word) {
            return Err(wrong("names no revision: a branch, a tag or a commit"));
        }
        if file.is_some_and(|file| !is_path(file)) {
            return Err(wrong("names no file within the repository"));
        }
        Ok(Self { repository: format!("{owner}/{name}"), revision, file: file.map(str::to_owned) })
    }

    /// The name with a commit in the revision's place.
    pub(super) fn at(&self, commit: &str) -> String {
        let file = self.file.as_ref().map_or_else(String::new, |file| format!("/{file}"));
        format!("{}@{commit}{file}", self.repository)
    }
}

/// Whether this is a commit's hash.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether this is a file's path within a repository, which leads nowhere else.
pub(super) fn is_path(path: &str) -> bool {
    let fits = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', ':']) && !part.contains(char::is_control);
    path.split('/').all(fits)
}

fn is_word(word: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !word.is_empty() && !word.starts_with('.') && !word.contains("..") && word.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_with_and_without_revision_and_file() {
        let read = |text: &str| {
            let name = Name::parse(text).unwrap();
            (name.repository, name.revision, name.file.unwrap_or_default())
        };
        let own = |repository: &str, revision: &str, file: &str| (repository.to_owned(), revision.to_owned(), file.to_owned());
        assert_eq!(read("o/n"), own("o/n", "main", ""));
        assert_eq!(read("o/n@v1.2"), own("o/n", "v1.2", ""));
        assert_eq!(read("o/n/a b.gguf"), own("o/n", "main", "a b.gguf"));
        assert_eq!(read("o/N-2.5_x@refs%2Fpr%2F7/q4/a.gguf"), own("o/N-2.5_x", "refs/pr/7", "q4/a.gguf"));
        assert_eq!(Name::parse("o/n@main/q4/a.gguf").unwrap().at("c0ffee"), "o/n@c0ffee/q4/a.gguf");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for wrong in [
            "",
            "n",
            "/n",
            "o/",
            "o/n@",
            "o/n/",
            "o/n@main/",
            "o/../x",
            "../n",
            "o/n@../x",
            "o/n@%2F..%2Fx",
            "o/n/../x",
            "o/n/a//b",
            "o/n/a\\b",
            "o n/x",
            "o/n@x?y",
            "o/n@main/./a",
        ] {
            let error = Name::parse(wrong).unwrap_err();
            assert!(matches!(error, HubError::Name { .. }) && error.to_string().contains(wrong), "{wrong}: {error}");
        }
    }
}
