//! What a plan's gating tasks can show before anything is asked: how many samples a pass takes, how likely it is, and which
//! tasks can never pass.

mod design;
mod exact;
mod joint;
mod outlook;
mod spread;
#[cfg(test)]
mod tests;

pub use design::{Clusters, Design, Never};
pub use joint::{joint, mean_power};
pub use outlook::{Expected, Outlook, Planned};
pub use spread::Spread;
