//! The last words of a server, out of its log.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Bytes at the log's end that are looked at.
const BYTES: u64 = 8 << 10;
/// Lines that are told.
const LINES: usize = 3;
/// Characters of a line that are told.
const WIDTH: usize = 240;

/// A sentence with the last lines of a log.
pub(super) fn of(log: &Path) -> String {
    let lines = lines(log);
    if lines.is_empty() {
        return "it wrote nothing".into();
    }
    format!("{} ends: {}", log.display(), lines.join(" | "))
}

fn lines(log: &Path) -> Vec<String> {
    let read = || {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
        let mut bytes = Vec::new();
        file.take(BYTES).read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let shown = |line: &&str| line.chars().filter(|character| !character.is_control()).take(WIDTH).collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(shown).collect()
}

/// Whether a server's last words say that another program had its port.
pub(super) fn port_was_taken(words: &str) -> bool {
    let words = words.to_lowercase();
    ["address already in use", "couldn't bind", "failed to bind"].iter().any(|sign| words.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_told_without_control_characters() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("server.log");
        assert_eq!(of(&log), "it wrote nothing");
        let lines: Vec<String> = (0..900).map(|line| format!("line {line}\u{1b}[0m of the log\n\n")).collect();
        let text = lines.concat();
        std::fs::write(&log, text).expect("it is written");
        let told = of(&log);
        let begins = format!("{} ends: line 897[0m of the log | line 898", log.display());
        assert!(told.starts_with(&begins), "{told}");
        assert!(told.ends_with("line 899[0m of the log"), "{told}");
    }
}
