//! The rules of the house: rooms import only from rooms below, the map names what is there, files stay small.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may import from. `cli` may import all.
const ROOMS: [(&str, &[&str]); 17] = [
    ("domain", &[]),
    ("stats", &[]),
    ("event", &["domain"]),
    ("weights", &["domain"]),
    ("suite", &["domain"]),
    ("dataset", &["domain"]),
    ("scorer", &["domain"]),
    ("metric", &["domain", "stats"]),
    ("engine", &["domain", "weights"]),
    ("harness", &["domain"]),
    ("plan", &["domain", "suite", "dataset", "engine", "scorer", "stats", "weights"]),
    ("journal", &["domain", "event"]),
    ("runner", &["domain", "event", "engine", "scorer", "metric", "plan"]),
    ("analysis", &["domain", "event", "metric", "stats"]),
    ("gate", &["domain", "stats", "analysis"]),
    ("report", &["domain", "stats", "analysis", "gate"]),
    (
        "cli",
        &[
            "domain", "stats", "event", "weights", "suite", "dataset", "scorer", "metric", "engine", "plan", "journal", "runner",
            "analysis", "gate", "report", "harness",
        ],
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The rooms named in `crate::…` paths, `use crate::{…}` groups included.
fn imported(source: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    let mut rooms = BTreeSet::new();
    for after in source.split("crate::").skip(1) {
        if let Some(group) = after.strip_prefix('{') {
            let group = group.split(';').next().unwrap_or_default();
            rooms.extend(group.split(',').map(|item| word(item.trim())));
        } else {
            rooms.insert(word(after));
        }
    }
    rooms.remove("");
    rooms
}

#[test]
fn a_room_imports_only_from_the_rooms_it_may() {
    let mut faults = Vec::new();
    for (room, allowed) in ROOMS {
        for file in rust_files(&root().join("src").join(room)) {
            let source = fs::read_to_string(&file).expect("the file can be read");
            let outside = imported(&source).into_iter().filter(|name| ROOMS.iter().any(|(other, _)| other == name));
            for name in outside.filter(|name| name != room && !allowed.contains(&name.as_str())) {
                faults.push(format!("{} imports {name}", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_table_of_rooms_and_the_map_name_exactly_the_folders_that_exist() {
    let folders: BTreeSet<String> = fs::read_dir(root().join("src"))
        .expect("src can be read")
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let table: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(folders, table);
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md can be read");
    let named: BTreeSet<String> = map
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(named, table, "ARCHITECTURE.md's table of rooms");
    assert!(map.lines().count() <= 150, "ARCHITECTURE.md has at most 150 lines");
}

#[test]
fn the_table_of_rooms_has_no_cycle() {
    for (at, (room, allowed)) in ROOMS.iter().enumerate() {
        for other in *allowed {
            let place = ROOMS.iter().position(|(name, _)| name == other).expect("an allowed room is a room");
            assert!(place < at, "{room} may import {other}, which stands above it");
        }
    }
}

#[test]
fn every_file_says_what_it_is_for_and_stays_readable() {
    for folder in ["src", "examples", "tests"] {
        for file in rust_files(&root().join(folder)) {
            let source = fs::read_to_string(&file).expect("the file can be read");
            assert!(source.starts_with("//! "), "{} opens with a line that says what it is for", file.display());
            assert!(source.lines().count() <= 600, "{} is one room, not two", file.display());
        }
    }
}
