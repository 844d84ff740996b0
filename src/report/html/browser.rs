//! The browser of flipped items: both answers side by side, shortened to what a page can hold.

use crate::report::model::{FlippedItem, Report, Said};
use crate::report::phrase::number;

/// Most characters of a prompt or an answer that the page shows.
const MOST: usize = 1500;

/// The flipped items of one variant on one task.
pub(super) struct FlipGroup {
    pub(super) subject: String,
    pub(super) is_first: bool,
    pub(super) task: String,
    pub(super) lost: u64,
    pub(super) gained: u64,
    pub(super) shown: usize,
    pub(super) graded: bool,
    pub(super) items: Vec<FlipItem>,
}

/// One flipped item.
pub(super) struct FlipItem {
    pub(super) id: String,
    pub(super) lost: bool,
    pub(super) prompt: String,
    pub(super) target: String,
    pub(super) canary: Side,
    pub(super) variant: Side,
}

/// One side of a flipped item.
pub(super) struct Side {
    pub(super) read: String,
    pub(super) answer: String,
    pub(super) note: &'static str,
    pub(super) score: String,
}

/// Every group that has an item to show: by subject, the worst first, then by task.
pub(super) fn flip_groups(report: &Report) -> Vec<FlipGroup> {
    let mut groups = Vec::new();
    for subject in report.worst_first() {
        let mut is_first = true;
        for task in subject.tasks_worst_first() {
            let own = report.flipped.iter().filter(|f| f.subject == subject.name && f.task == task.task);
            let items: Vec<FlipItem> = own.map(flip_item).collect();
            if !items.is_empty() {
                groups.push(FlipGroup {
                    subject: subject.name.to_string(),
                    is_first: std::mem::take(&mut is_first),
                    task: task.task.to_string(),
                    lost: task.table.n10,
                    gained: task.table.n01,
                    shown: items.len(),
                    graded: task.graded,
                    items,
                });
            }
        }
    }
    groups
}

fn flip_item(item: &FlippedItem) -> FlipItem {
    FlipItem {
        id: item.sample.to_string(),
        lost: item.lost,
        prompt: shortened(&item.prompt),
        target: shortened(&item.target),
        canary: side(&item.canary),
        variant: side(&item.variant),
    }
}

fn side(said: &Said) -> Side {
    let note = match (said.finish, said.parsed) {
        ("length", _) => "cut off at the token limit",
        (_, Some(false)) => "could not be read",
        _ => "",
    };
    // What was read is worth a line where it isn't the answer itself.
    let read = if said.read == said.answer.trim() { String::new() } else { shortened(&said.read) };
    let score = said.value.map_or_else(String::new, number);
    Side { read, answer: shortened(&said.answer), note, score }
}

/// The text, or its beginning and how much more there is.
fn shortened(text: &str) -> String {
    let more = text.chars().count().saturating_sub(MOST);
    if more == 0 {
        return text.to_owned();
    }
    let head: String = text.chars().take(MOST).collect();
    format!("{head}… ({more} more characters)")
}
