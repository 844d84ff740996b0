//! Names and digests: what subjects, tasks, samples and units are known by.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares a cheaply cloned, ordered, serializable name.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as the name; no character is refused here.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::from(text.as_ref()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

name! {
    /// The name of a subject, unique within a plan; the canary's is `canary`.
    SubjectName
}
name! {
    /// The name of a task, unique within a plan.
    TaskName
}
name! {
    /// The id of a sample, unique within its task.
    SampleId
}
name! {
    /// A content digest with its algorithm in front, as in `blake3:1f…` or `sha256:9c…`.
    Digest
}

/// What stands for a digest that nobody told.
const UNTOLD: &str = "not told";

impl Digest {
    /// The digest of something that nobody told.
    #[must_use]
    pub fn untold() -> Self {
        Self::new(UNTOLD)
    }

    /// A name in place of a digest, where a service tells no more: it may stand for other content tomorrow.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::new(format!("name:{name}"))
    }

    /// Whether anything was told at all.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.as_str() != UNTOLD
    }

    /// Whether it stands for content, not for a name or for nothing.
    #[must_use]
    pub fn is_content(&self) -> bool {
        self.is_told() && !self.as_str().starts_with("name:")
    }

    /// Whether two are both told and differ.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> bool {
        self.is_told() && other.is_told() && self != other
    }
}

/// What a run does exactly once: one subject answers one sample of one task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitKey {
    /// Who is asked.
    pub subject: SubjectName,
    /// The task that the sample belongs to.
    pub task: TaskName,
    /// What is asked.
    pub sample: SampleId,
    /// Which of the subject's passes over the samples it belongs to, from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub repeat: u32,
}

/// Whether a repeat is the first: journals leave that out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(repeat: &u32) -> bool {
    *repeat == 0
}
