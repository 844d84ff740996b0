//! The store: found again bit for bit, safe beside other runs and after damage.

use super::*;
use crate::domain::{Answer, Finish, Generation, OptionScore, Request, Served, Usage};

fn request(at: usize) -> Request {
    let generation =
        Generation { max_tokens: 8, stop: vec!["\n".to_owned()], temperature: 0.0, top_p: 1.0, seed: 7, constraint: None };
    Request::Generate { prompt: format!("{at} + 1 ="), generation }
}

fn text(text: &str) -> Answer {
    Answer::Text { text: text.to_owned(), tokens: vec![3, 5], finish: Finish::Stop }
}

fn opened(folder: &Path, build: &str) -> Store {
    Store::open(folder, build, 1_700_000_000_000, MOST_BYTES).expect("the store opens")
}

fn shelf(folder: &Path) -> Shelf {
    opened(folder, "build").shelf(b"content").expect("the shelf opens")
}

fn put(shelf: &Shelf, at: usize, answer: &Answer) {
    shelf.put([(shelf.key(&request(at)), answer, None)]);
    assert_eq!(shelf.fault(), None);
}

fn got(shelf: &Shelf, at: usize) -> Option<Answer> {
    shelf.get(&shelf.key(&request(at))).map(|entry| entry.answer)
}

fn only_segment(folder: &Path) -> PathBuf {
    let shelf = listed(folder).expect("readable").pop().expect("there is one shelf").path();
    segments(&shelf).expect("readable").pop().expect("it has a segment").path
}

#[test]
fn an_answer_is_found_again_bit_for_bit_with_what_the_endpoint_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let score = |log_likelihood| OptionScore { log_likelihood, tokens: 2, bytes: 5, greedy: false };
    let answer = Answer::Choice { options: vec![score(-0.1 - 0.2), score(-1.0 / 3.0e7), score(f64::MIN_POSITIVE)] };
    let usage = Some(Usage { prompt: 12, completion: 3, cached: 0 });
    let served = Served { model: Some("m-1".to_owned()), usage, ..Served::default() };
    let first = shelf(folder.path());
    first.put([(first.key(&request(1)), &answer, Some(&served))]);
    let expected = Entry { at_ms: 1_700_000_000_000, answer, served: Some(Box::new(served)) };
    assert_eq!(first.get(&first.key(&request(1))), Some(expected.clone()), "by the process that wrote it");
    drop(first);
    let second = shelf(folder.path());
    assert_eq!(second.get(&second.key(&request(1))), Some(expected), "by a later one");
    assert_eq!(second.get(&second.key(&request(2))), None);
}

#[test]
fn another_content_and_another_build_find_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    put(&shelf(folder.path()), 1, &text("2"));
    for (build, content) in [("build", &b"another content"[..]), ("another build", b"content")] {
        let other = opened(folder.path(), build).shelf(content).expect("it opens");
        assert_eq!(got(&other, 1), None, "{build}");
        assert!(other.is_empty());
    }
    assert_eq!(got(&shelf(folder.path()), 1), Some(text("2")));
}

#[test]
fn torn_and_damaged_lines_are_passed_over_and_the_others_are_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = shelf(folder.path());
    (0..4).for_each(|at| put(&first, at, &text(&format!("answer {at}"))));
    drop(first);
    let path = only_segment(folder.path());
    let whole = fs::read(&path).expect("readable");
    let line = whole.len() / 4;
    for cut in [whole.len() - 1, whole.len() - 20, whole.len() - line + 3] {
        let mut bytes = whole[..cut].to_vec();
        let at = bytes.windows(8).position(|word| word == b"answer 1").expect("it is there");
        bytes[at + 7] = b'9';
        fs::write(&path, bytes).expect("writable");
        let later = shelf(folder.path());
        let found: Vec<_> = (0..4).map(|at| got(&later, at)).collect();
        assert_eq!(found, [Some(text("answer 0")), None, Some(text("answer 2")), None], "cut at {cut}");
        put(&later, 3, &text("asked again"));
        assert_eq!(got(&shelf(folder.path()), 3), Some(text("asked again")), "a torn line does not hide what comes after");
        fs::remove_file(&path).expect("removable");
        let rest = segments(path.parent().expect("a shelf")).expect("readable");
        for segment in &rest {
            fs::remove_file(&segment.path).expect("removable");
        }
    }
}

#[test]
fn a_line_moved_to_another_request_does_not_answer_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = shelf(folder.path());
    put(&first, 1, &text("2"));
    let other = blake3::hash(b"another request").to_hex();
    drop(first);
    let path = only_segment(folder.path());
    let line = fs::read_to_string(&path).expect("readable");
    fs::write(&path, format!("{other}{}", &line[64..])).expect("writable");
    assert!(shelf(folder.path()).is_empty());
}

#[test]
fn runs_beside_each_other_keep_their_answers_in_segments_of_their_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [a, b] = [shelf(folder.path()), shelf(folder.path())];
    for at in 0..20 {
        put(if at % 2 == 0 { &a } else { &b }, at, &text(&at.to_string()));
    }
    let third = shelf(folder.path());
    assert_eq!(third.len(), 20);
    assert!((0..20).all(|at| got(&third, at) == Some(text(&at.to_string()))));
}

#[test]
fn the_newest_answer_to_a_request_is_the_one_that_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = shelf(folder.path());
    put(&first, 1, &text("old"));
    put(&first, 1, &text("new"));
    assert_eq!(got(&first, 1), Some(text("new")));
    assert_eq!(got(&shelf(folder.path()), 1), Some(text("new")));
}

#[test]
fn a_store_that_grew_too_large_loses_what_was_unused_longest_but_nothing_in_use() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = opened(folder.path(), "build");
    let long = "x".repeat(10_000);
    let shelves: Vec<Shelf> = (0..4_u8).map(|content| store.shelf(&[content]).expect("it opens")).collect();
    for shelf in &shelves {
        put(shelf, 1, &text(&long));
    }
    let in_use = shelves.into_iter().next();
    let mut all: Vec<Found> =
        listed(folder.path()).expect("readable").iter().flat_map(|entry| segments(&entry.path()).expect("readable")).collect();
    all.sort_by_key(|segment| segment.used);
    let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    // The one in use and another were used longest ago.
    let mine = store.shelf(&[0]).expect("it opens").folder().to_owned();
    for (at, segment) in all.iter().enumerate() {
        let age = if segment.path.starts_with(&mine) { 0 } else { at as u64 + 1 };
        let file = File::options().append(true).open(&segment.path).expect("it opens");
        file.set_modified(old + std::time::Duration::from_secs(age)).expect("its time can be set");
    }
    make_room(folder.path(), 25_000).expect("room is made");
    let left: Vec<usize> =
        (0..4_u8).filter(|&content| !store.shelf(&[content]).expect("it opens").is_empty()).map(usize::from).collect();
    assert!(left.contains(&0), "in use: {left:?}");
    assert_eq!(left.len(), 2, "two of 10 kB fit into 25 kB: {left:?}");
    drop(in_use);
}
