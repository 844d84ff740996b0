//! What a dataset may look like, and what is said of one that can't be used.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::Map;
use tempfile::TempDir;

use super::{Manifest, Row, read, subset};
use crate::domain::Subset;

const THREE: &str = "{\"id\":\"a\",\"x\":1}\n{\"id\":\"b\",\"x\":2}\n{\"id\":\"c\",\"x\":3}\n";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> std::path::PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).expect("a file can be written");
    path
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fn ids(path: &Path) -> Vec<String> {
    read(path).expect("the dataset is good").rows.into_iter().map(|row| row.id).collect()
}

/// The message and hint about a file that can't be used.
fn fault(name: &str, content: impl AsRef<[u8]>) -> String {
    let folder = folder();
    let error = read(&write(&folder, name, content)).expect_err("the dataset has a fault");
    let hint = error.hint().unwrap_or_default();
    format!("{error}\n({hint})").replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn the_four_forms_of_a_file_hold_the_same_rows() {
    let folder = folder();
    let csv = "id,x\na,1\nb,2\nc,3\n";
    let files: [(&str, Vec<u8>); 4] =
        [("a.jsonl", THREE.into()), ("a.csv", csv.into()), ("a.jsonl.gz", gzip(THREE)), ("A.CSV.GZ", gzip(csv))];
    for (name, content) in files {
        assert_eq!(ids(&write(&folder, name, content)), ["a", "b", "c"], "{name}");
    }
}

#[test]
fn a_byte_order_mark_crlf_blank_lines_and_a_missing_last_line_break_do_not_matter() {
    let folder = folder();
    let lines = write(&folder, "a.jsonl", "\u{feff}{\"id\":\"a\"}\r\n\r\n{\"id\":\"b\"}");
    assert_eq!(ids(&lines), ["a", "b"]);
    let csv = write(&folder, "a.csv", "\u{feff}id,text\r\na,\"two\r\nlines\"\r\nb,x");
    let rows = read(&csv).expect("the dataset is good").rows;
    assert_eq!(rows[0].fields["text"], "two\r\nlines");
    assert_eq!((rows[1].id.as_str(), rows[1].line), ("b", 4));
}

#[test]
fn the_digest_is_what_sha256sum_says_of_the_file_on_disk() {
    let folder = folder();
    let digest = read(&write(&folder, "a.jsonl", "{\"id\":1}\n")).expect("the dataset is good").digest;
    assert_eq!(digest.as_str(), "sha256:51bc513113548e062ada62b03efea153cae2abdf46b051c551c3e62a4dfb88cf");
}

#[test]
fn every_fault_of_a_file_is_told_at_once() {
    let content = "{\"id\":\"a\"}\n[1]\n{\"id\":\"a\"}\n{\"x\":1}\n{\"id\":\n{\"id\":1.5}\n{\"id\":\"\"}\n";
    assert_snapshot!(fault("a.jsonl", content), @r#"
    a.jsonl:2: not a JSON object
    a.jsonl:3: id `a` is taken: line 1 has it too
    a.jsonl:4: no `id`
    a.jsonl:5: not JSON: EOF while parsing a value (column 6)
    a.jsonl:6: the `id` is neither text nor a whole number
    a.jsonl:7: the `id` is empty
    (every row is one JSON object (or CSV record) with an `id` that no other row has)
    "#);
}

#[test]
fn more_than_twenty_faults_are_counted() {
    let message = fault("a.jsonl", "[]\n".repeat(33));
    assert_eq!(message.lines().count(), 22);
    assert_eq!(message.lines().nth(20), Some("a.jsonl: and 13 more faults"));
}

#[test]
fn csv_faults_name_their_lines() {
    assert_snapshot!(fault("a.csv", b"id,x\na,1\nb\nc,\xFF\na,2\n"), @r#"
    a.csv:3: 1 field where the header has 2
    a.csv:4: not UTF-8
    a.csv:5: id `a` is taken: line 2 has it too
    (every row is one JSON object (or CSV record) with an `id` that no other row has)
    "#);
    assert_snapshot!(fault("a.csv", "name,x\na,1\n"), @r#"
    a.csv:1: the header has no column `id`
    (every row is one JSON object (or CSV record) with an `id` that no other row has)
    "#);
    assert_snapshot!(fault("a.csv", "id,x,x\na,1,2\n"), @r#"
    a.csv:1: the header has two columns `x`
    (every row is one JSON object (or CSV record) with an `id` that no other row has)
    "#);
}

#[test]
fn a_line_that_is_not_utf8_is_named() {
    assert_snapshot!(fault("a.jsonl", b"{\"id\":\"a\"}\n{\"id\":\"\xFF\"}\n"), @r#"
    a.jsonl:2: not UTF-8
    (every row is one JSON object (or CSV record) with an `id` that no other row has)
    "#);
}

#[test]
fn empty_files_have_no_rows() {
    for (name, content) in [("a.jsonl", ""), ("a.jsonl", "\n\n"), ("a.csv", ""), ("a.csv", "id,x\n")] {
        assert_eq!(fault(name, content), format!("{name} has no rows\n(a task needs at least one row)"));
    }
}

#[test]
fn kinds_of_files_that_are_not_read_are_named() {
    assert_snapshot!(fault("a.parquet", ""), @r#"
    a.parquet is a Parquet file, which is not supported yet
    (convert it to .jsonl or .csv; both may be packed with gzip)
    "#);
    assert_snapshot!(fault("a.jsonl.zst", ""), @r#"
    a.jsonl.zst is packed with zstd, which is not supported yet
    (convert it to .jsonl or .csv; both may be packed with gzip)
    "#);
    assert_snapshot!(fault("a.txt", ""), @r#"
    a.txt is not a dataset: its name ends in none of .jsonl, .csv, .jsonl.gz, .csv.gz
    ()
    "#);
    let error = read(Path::new("hf://owner/name@main/a.jsonl")).expect_err("hub addresses are not read");
    assert_snapshot!(format!("{error}\n({})", error.hint().unwrap_or_default()), @r#"
    hf://owner/name@main/a.jsonl is an address at the Hugging Face hub, which is not supported yet
    (download the file and name it by its path)
    "#);
}

#[test]
fn a_missing_file_and_a_cut_off_gzip_file_are_named() {
    let error = read(Path::new("nowhere/a.jsonl")).expect_err("there is no such file");
    assert_eq!(error.to_string(), "there is no dataset nowhere/a.jsonl");
    let whole = gzip(THREE);
    assert_snapshot!(fault("a.jsonl.gz", &whole[..whole.len() / 2]), @r#"
    cannot unpack a.jsonl.gz: incomplete deflate stream
    (the file is damaged or cut off; fetch it again)
    "#);
}

/// What the manifest says of `a.jsonl` with the three rows.
fn verified(sha256: &str, rows: usize) -> String {
    let folder = folder();
    let dataset = read(&write(&folder, "a.jsonl", THREE)).expect("the dataset is good");
    let entry = "source = \"own\"\nlicence = \"MIT\"\nrevision = \"1\"";
    let text = format!("[[dataset]]\nfile = \"a.jsonl\"\n{entry}\nsha256 = \"{sha256}\"\nrows = {rows}\n");
    let manifest = Manifest::load(&write(&folder, "manifest.toml", text)).expect("the manifest is good");
    let said = match manifest.verify(&dataset) {
        Ok(listed) => format!("listed: {listed}"),
        Err(error) => format!("{error}\n({})", error.hint().unwrap_or_default()),
    };
    said.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_dataset_that_is_not_what_its_manifest_lists_is_refused_with_both_digests() {
    let digest = "0f6c4b0ee5dd4b9a3bd6a3bcbe4a4bfb4b7d5b8e8a9d2a2b1b9a1d1dfb0a5ad6";
    assert_snapshot!(verified(digest, 3), @r#"
    a.jsonl is not the file that manifest.toml lists: its sha256 is 2de34c76cb45d93378fa29d7317137c4c8002aa683abaaa7ddd32a30148c401e, listed is 0f6c4b0ee5dd4b9a3bd6a3bcbe4a4bfb4b7d5b8e8a9d2a2b1b9a1d1dfb0a5ad6
    (restore the listed file, or, where the change is meant, write its new sha256 and rows into the manifest)
    "#);
}

#[test]
fn a_dataset_with_another_number_of_rows_is_refused() {
    let folder = folder();
    let digest = read(&write(&folder, "a.jsonl", THREE)).expect("the dataset is good").digest;
    let digest = digest.as_str().trim_start_matches("sha256:").to_uppercase();
    assert_eq!(verified(&digest, 3), "listed: true");
    assert_snapshot!(verified(&digest, 4), @r#"
    a.jsonl has 3 rows, but manifest.toml lists 4
    (restore the listed file, or, where the change is meant, write its new sha256 and rows into the manifest)
    "#);
}

#[test]
fn a_file_that_no_manifest_lists_is_its_users_own() {
    let folder = folder();
    let manifest = Manifest::load(&write(&folder, "manifest.toml", "")).expect("an empty manifest is good");
    let dataset = read(&write(&folder, "a.jsonl", THREE)).expect("the dataset is good");
    assert!(!manifest.verify(&dataset).expect("nothing contradicts it"));
}

#[test]
fn a_manifest_with_a_misspelt_key_or_a_file_twice_is_refused() {
    let folder = folder();
    let said = |text: &str| {
        let error = Manifest::load(&write(&folder, "manifest.toml", text)).expect_err("the manifest has a fault");
        error.to_string().replace(&format!("{}/", folder.path().display()), "")
    };
    assert_snapshot!(said("[[dataset]]\nfil = \"a.jsonl\"\n"), @r#"
    manifest.toml is not a manifest: TOML parse error at line 2, column 1
      |
    2 | fil = "a.jsonl"
      | ^^^
    unknown field `fil`, expected one of `file`, `source`, `licence`, `revision`, `sha256`, `rows`, `about`
    "#);
    let entry = "[[dataset]]\nfile = \"a\"\nsource = \"\"\nlicence = \"\"\nrevision = \"\"\nsha256 = \"\"\nrows = 1\n".repeat(2);
    assert_eq!(said(&entry), "manifest.toml lists a twice");
}

fn rows(count: usize) -> Vec<Row> {
    (0..count).map(|i| Row { id: format!("row-{i}"), line: i + 1, fields: Map::new() }).collect()
}

proptest! {
    #[test]
    fn a_subset_is_the_same_rows_in_any_order_of_the_file(seed: u64, keep in 1..40_usize, turn in 0..40_usize) {
        let (forward, wanted) = (rows(40), Subset { rows: keep, seed });
        let mut turned: Vec<&Row> = forward.iter().collect();
        turned.rotate_left(turn);
        turned.swap(3, 30);
        let sorted = |mut kept: Vec<&Row>| {
            kept.sort_by_key(|row| row.line);
            kept.into_iter().map(|row| row.line).collect::<Vec<_>>()
        };
        let all: Vec<&Row> = forward.iter().collect();
        let kept = subset(&all, wanted);
        prop_assert_eq!(kept.len(), keep);
        prop_assert!(kept.is_sorted_by_key(|row| row.line), "the file's order is kept");
        prop_assert_eq!(sorted(kept), sorted(subset(&turned, wanted)));
    }

    #[test]
    fn a_larger_subset_contains_a_smaller_one_of_its_seed(seed: u64, small in 1..20_usize, more in 0..20_usize) {
        let rows = rows(40);
        let all: Vec<&Row> = rows.iter().collect();
        let large = subset(&all, Subset { rows: small + more, seed });
        let small = subset(&all, Subset { rows: small, seed });
        prop_assert!(small.iter().all(|row| large.contains(row)));
    }
}

#[test]
fn another_seed_chooses_other_rows() {
    let rows = rows(1000);
    let all: Vec<&Row> = rows.iter().collect();
    let [one, other] = [1, 2].map(|seed| subset(&all, Subset { rows: 100, seed }));
    let shared = one.iter().filter(|row| other.contains(row)).count();
    assert!(shared < 30, "about 10 of 100 are expected, got {shared}");
}
