//! The nouns of an evaluation: plain data that every other room speaks in; no I/O, no clock, no randomness.
//!
//! A **suite** holds **tasks**, a task holds **samples**; a **subject** (the canary or a variant) is asked a **request**
//! per sample and gives an **answer**, which a scorer turns into a **score**. A **policy** says how large a loss is
//! tolerated, and the gate answers with **findings** and a **verdict**.

mod answer;
mod api;
mod attempt;
mod ids;
mod local;
mod moment;
mod policy;
mod region;
mod request;
mod sample;
mod score;
mod served;
mod step;
mod subject;
mod suite;
mod verdict;

pub use answer::{Answer, Certainty, Finish, OptionScore, TokenDivergence, TokenShape};
pub use api::{ApiSpec, Dialect, KeySource, Preset, ServerSpec};
pub use attempt::Attempt;
pub use ids::{Digest, SampleId, SubjectName, TaskName, UnitKey};
pub use local::{Arithmetic, Device, KvType, LocalSpec, ModelSource};
pub use moment::Moment;
pub use policy::{Budget, Family, Measured, OnDoubt, Policy, Stopping, TaskRule, Tolerance};
pub use region::lies_in;
pub use request::{Constraint, Generation, Message, Request, RequestKind};
pub use sample::{Sample, SampleCard, Target, share_clusters};
pub use score::{Cause, CauseKind, Outcome, Score};
pub use served::{Origin, Pace, Price, Served, Service, Usage};
pub use step::Step;
pub use subject::{EngineSpec, Identity, RecordedSpec, Role, ScriptedSpec, Subject};
pub use suite::{
    AnswerShape, Band, ChoiceValue, DatasetRef, MetricKind, Normalization, PromptSpec, ScorerSpec, ShapeKind, Subset, Suite,
    Task, TaskCard,
};
pub use verdict::Verdict;
