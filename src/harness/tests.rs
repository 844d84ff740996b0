//! Tests of the readers, on small files of each format.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A row without its borrowed parts.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    id: String,
    epoch: u32,
    score: Option<f64>,
    truncated: bool,
    parsed: bool,
    slice: Option<String>,
    cluster: Option<String>,
    at: u64,
}

fn rows(source: &Source, task: &str, metric: &str, by: &Grouping) -> Vec<Kept> {
    let mut kept = Vec::new();
    let task = source.task(&TaskName::new(task)).expect("the task is there");
    let read = source.read(task, metric, by, &mut |row| {
        kept.push(Kept {
            id: row.id.to_owned(),
            epoch: row.epoch,
            score: row.score,
            truncated: row.truncated,
            parsed: row.parsed,
            slice: row.slice.map(str::to_owned),
            cluster: row.cluster.map(str::to_owned),
            at: row.at,
        });
        Ok(())
    });
    read.expect("the fixture is well formed");
    kept
}

fn mean(rows: &[Kept]) -> f64 {
    let scores: Vec<f64> = rows.iter().filter_map(|row| row.score).collect();
    scores.iter().sum::<f64>() / scores.len() as f64
}

fn slices() -> Grouping {
    Grouping { slice: Some("slice".to_owned()), cluster: None }
}

fn file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("the folder can be written to");
    path
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("there is room for a folder")
}

/// Opening and reading everything of a path: the first fault.
fn read_all(path: &Path) -> Result<(), HarnessError> {
    let source = open(path, None, None)?;
    for task in &source.tasks {
        for metric in &task.metrics {
            let rows = Rows { source: &source, task, metric: &metric.name };
            let roll = Roll::of(rows)?;
            roll.follow(rows, None, &slices(), &mut |_, _| {})?;
        }
    }
    Ok(())
}

fn fault(path: &Path) -> (String, String) {
    let error = read_all(path).expect_err("it must be refused");
    (error.to_string(), error.hint().to_owned())
}

#[test]
fn an_lm_eval_folder_is_known_by_its_content_and_tells_what_it_holds() {
    let source = open(&fixture("lm_eval/canary"), None, None).expect("it is one");
    assert_eq!((source.format, source.program.as_str()), (Format::LmEval, "lm-evaluation-harness 0.4.13"));
    assert_eq!((source.model.as_str(), source.parameters), ("models/canary", 3_410_176));
    let names: Vec<&str> = source.tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(names, ["arithmetic", "recall", "trace"]);
    let metrics: Vec<&str> = source.tasks[0].metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(metrics, ["exact_match,strict", "exact_match,digits"]);
    assert_eq!(source.tasks[1].metrics[1].name, "acc_norm");
    assert!((source.tasks[1].chance - 1.0 / 12.0).abs() < 1e-15 && source.tasks[0].chance.abs() < 1e-15);
    assert_eq!(source.tasks[0].metric("exact_match"), source.tasks[0].metrics.first());
    assert_eq!(source.tasks[0].announced, Some(97));
    assert!(source.notes.is_empty(), "{:?}", source.notes);
}

#[test]
fn every_accuracy_of_lm_eval_is_its_own_to_the_last_bit() {
    for model in ["canary", "q4_0"] {
        let source = open(&fixture(&format!("lm_eval/{model}")), None, None).expect("it is one");
        for task in &source.tasks {
            for metric in &task.metrics {
                let rows = rows(&source, task.name.as_str(), &metric.name, &Grouping::default());
                let own = metric.reported.expect("its results are beside it");
                assert_eq!(mean(&rows).to_bits(), own.to_bits(), "{model} {} {}", task.name, metric.name);
            }
        }
    }
}

#[test]
fn a_sample_of_lm_eval_is_shown_as_it_was_asked() {
    let source = open(&fixture("lm_eval/canary"), None, None).expect("it is one");
    let all = rows(&source, "recall", "acc", &slices());
    assert_eq!(all[1].slice.as_deref(), Some("after another fact"));
    let excerpt = source.excerpt(&source.tasks[1], all[1].at).expect("it is there");
    assert_eq!((excerpt.id.as_str(), excerpt.target.trim()), ("1", "plumber"));
    assert!(excerpt.prompt.contains("The job of Mirimir:") && excerpt.answer.contains("plumber: -"), "{excerpt:?}");
    assert_eq!(excerpt.answer.lines().count(), 12);
}

#[test]
fn both_sides_of_the_pair_find_each_other_on_the_roll() {
    let (canary, variant) = (open(&fixture("lm_eval/canary"), None, None), open(&fixture("lm_eval/q4_0"), None, None));
    let (canary, variant) = (canary.expect("it is one"), variant.expect("it is one"));
    for (ours, theirs) in canary.tasks.iter().zip(&variant.tasks) {
        let metric = ours.metrics[0].name.as_str();
        let (a, b) = (Rows { source: &canary, task: ours, metric }, Rows { source: &variant, task: theirs, metric });
        alike(a, b).expect("they were run in the same way");
        let roll = Roll::of(a).expect("it reads");
        let mut order = Vec::new();
        let found = roll.follow(b, Some(a), &Grouping::default(), &mut |sample, _| order.push(sample));
        assert_eq!((found.expect("they were asked the same"), roll.len()), (97, 97));
        assert_eq!(order, (0..97).collect::<Vec<_>>());
    }
}

#[test]
fn an_inspect_log_gives_scores_epochs_and_errors() {
    let source = open(&fixture("inspect/variant.json"), None, None).expect("it is one");
    assert_eq!(
        (source.format, source.program.as_str(), source.model.as_str()),
        (Format::Inspect, "inspect_ai 0.3.285", "hashed/variant")
    );
    let all = rows(&source, "arithmetic", "exact", &slices());
    assert_eq!(all.len(), 12);
    assert_eq!(all.iter().filter(|row| row.score.is_none()).map(|row| row.id.as_str()).collect::<Vec<_>>(), ["arithmetic-0009"]);
    assert_eq!(all[3].slice.as_deref(), Some("multiply"));
    assert_eq!(mean(&all).to_bits(), source.tasks[0].metrics[0].reported.expect("it is told").to_bits());
    let excerpt = source.excerpt(&source.tasks[0], all[8].at).expect("it is there");
    assert!(excerpt.error.contains("the server went away") && excerpt.prompt == "80-40=", "{excerpt:?}");
    let epochs = open(&fixture("inspect/epochs.json"), None, None).expect("it is one");
    let all = rows(&epochs, "arithmetic", "match", &Grouping::default());
    assert_eq!((all.len(), all.iter().map(|row| row.epoch).max()), (36, Some(3)));
    let roll = Roll::of(Rows { source: &epochs, task: &epochs.tasks[0], metric: "match" }).expect("it reads");
    assert_eq!(roll.len(), 12);
}

#[test]
fn what_stands_elsewhere_in_an_inspect_sample_is_shown_whole() {
    let home = folder();
    let whole = fs::read_to_string(fixture("inspect/canary.json")).expect("it is there");
    let long = whole.replace("\"input\": \"80-40=\"", "\"input\": \"attachment://ab12\"");
    let long = long.replace("\"attachments\": {}", "\"attachments\": {\"ab12\": \"a long question\"}");
    let source = open(&file(&home, "long.json", &long), None, None).expect("it is one");
    let all = rows(&source, "arithmetic", "exact", &Grouping::default());
    let excerpt = source.excerpt(&source.tasks[0], all[8].at).expect("it is there");
    assert_eq!((excerpt.prompt.as_str(), excerpt.asked[0].1.as_str()), ("a long question", "attachment://ab12"));
}

#[test]
fn a_promptfoo_file_gives_each_provider_apart() {
    let path = fixture("promptfoo/results.json");
    let asked = open(&path, None, None).expect_err("it holds two").hint().to_owned();
    assert!(asked.contains("canary, variant"), "{asked}");
    let source = open(&path, Some("variant"), None).expect("it is there");
    assert_eq!((source.format, source.program.as_str()), (Format::Promptfoo, "promptfoo 0.121.20"));
    let all = rows(&source, "tests", "success", &slices());
    let unscored: Vec<&str> = all.iter().filter(|row| row.score.is_none()).map(|row| row.id.as_str()).collect();
    assert_eq!((all.len(), unscored), (10, vec!["8"]));
    assert_eq!(all[0].slice.as_deref(), Some("add"));
    let names: Vec<&str> = source.tasks[0].metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, ["success", "score", "exact"]);
    let canary = open(&path, Some("canary"), None).expect("it is there");
    let of = |source| Rows { source, task: &source.tasks[0], metric: "success" };
    let roll = Roll::of(of(&canary)).expect("it reads");
    assert_eq!(roll.follow(of(&source), Some(of(&canary)), &slices(), &mut |_, _| {}).expect("they were asked the same"), 10);
}

#[test]
fn tables_may_be_csv_or_json_lines_and_pair_with_each_other() {
    let home = folder();
    let csv = file(&home, "a.csv", "id,score,task,cluster,prompt\r\nx,1,t,p1,\"two,\nlines\"\r\ny,0,t,p1,b\r\nz,,t,p2,c\r\n");
    let lines = "{\"id\":\"y\",\"score\":true,\"task\":\"t\",\"prompt\":\"b\"}\n\n{\"id\":\"x\",\"score\":1.0,\"task\":\"t\",\"prompt\":\"two,\\nlines\"}\n\
                 {\"id\":\"z\",\"score\":NaN,\"task\":\"t\",\"prompt\":\"c\"}\n";
    let json = file(&home, "b.jsonl", lines);
    let (a, b) = (open(&csv, None, None).expect("a table"), open(&json, None, None).expect("a table"));
    let all = rows(&a, "t", "score", &Grouping::default());
    assert_eq!(all.iter().map(|row| row.score).collect::<Vec<_>>(), [Some(1.0), Some(0.0), None]);
    assert_eq!(all[2].cluster.as_deref(), Some("p2"));
    let of = |source| Rows { source, task: &source.tasks[0], metric: "score" };
    let mut pairs = Vec::new();
    let roll = Roll::of(of(&a)).expect("it reads");
    let found = roll.follow(of(&b), Some(of(&a)), &Grouping::default(), &mut |sample, row| pairs.push((sample, row.score)));
    assert_eq!(found.expect("they were asked the same"), 3);
    assert_eq!(pairs, [(1, Some(1.0)), (0, Some(1.0)), (2, None)]);
    assert_eq!(a.excerpt(&a.tasks[0], roll.at(0)).expect("it is there").prompt, "two,\nlines");
    assert_eq!(a.excerpt(&a.tasks[0], roll.at(1)).expect("it is there").id, "y");
}

#[test]
fn any_column_of_numbers_can_be_the_score() {
    let home = folder();
    let path = file(&home, "a.csv", "sample_id,model,rouge,answer\n1,m,0.25,12\n2,m,0.75,x\n");
    let source = open(&path, None, None).expect("a table");
    assert_eq!((source.model.as_str(), source.tasks[0].metrics[0].name.as_str()), ("m", "rouge"));
    assert!((mean(&rows(&source, "all", "rouge", &Grouping::default())) - 0.5).abs() < 1e-15);
}

#[test]
fn logs_and_output_items_of_openai_are_read() {
    let home = folder();
    let log = "{\"spec\":{\"completion_fns\":[\"m-1\"],\"eval_name\":\"sums.s1\",\"run_id\":\"r\"}}\n\
        {\"run_id\":\"r\",\"event_id\":0,\"sample_id\":\"sums.s1.0\",\"type\":\"sampling\",\"data\":{\"prompt\":\"1+1\",\"sampled\":[\"2\"]}}\n\
        {\"run_id\":\"r\",\"event_id\":1,\"sample_id\":\"sums.s1.0\",\"type\":\"match\",\"data\":{\"correct\":true,\"expected\":\"2\",\"sampled\":\"2\"}}\n\
        {\"run_id\":\"r\",\"event_id\":2,\"sample_id\":\"sums.s1.1\",\"type\":\"match\",\"data\":{\"correct\":false,\"expected\":\"4\",\"sampled\":\"5\"}}\n\
        {\"final_report\":{\"accuracy\":0.5}}\n";
    let source = open(&file(&home, "log.jsonl", log), None, None).expect("a log");
    assert_eq!((source.format, source.model.as_str()), (Format::OpenAi, "m-1"));
    let all = rows(&source, "sums.s1", "correct", &Grouping::default());
    assert_eq!(all.iter().map(|row| row.score).collect::<Vec<_>>(), [Some(1.0), Some(0.0)]);
    assert_eq!(source.excerpt(&source.tasks[0], all[1].at).expect("it is there").answer, "5");
    let item = |id: u32, status: &str, error: &str| {
        format!(
            "{{\"object\":\"eval.run.output_item\",\"datasource_item_id\":{id},\"datasource_item\":{{\"q\":{id}}},\"status\":\"{status}\",\
             \"results\":[{{\"name\":\"grader\",\"passed\":true,\"score\":0.5}}],\"sample\":{{\"error\":{error},\"finish_reason\":\"length\"}}}}\n"
        )
    };
    let text = item(1, "pass", "null") + &item(2, "fail", "null") + &item(3, "error", "{\"message\":\"gone\"}");
    let source = open(&file(&home, "items.jsonl", &text), None, None).expect("output items");
    let all = rows(&source, "all", "status", &Grouping::default());
    assert_eq!(all.iter().map(|row| row.score).collect::<Vec<_>>(), [Some(1.0), Some(0.0), None]);
    assert!(all[0].truncated);
    assert_eq!(rows(&source, "all", "grader", &Grouping::default())[1].score, Some(0.5));
}

#[test]
fn a_score_that_is_no_number_is_none_and_never_zero() {
    let of = |raw: &str| score_of(raw.as_bytes());
    for none in ["NaN", "null", "\"\"", "\"nan\"", "Infinity", "-Infinity"] {
        assert_eq!(of(none), Ok(None), "{none}");
    }
    assert_eq!([of("1"), of("true"), of("\"C\""), of("\"P\""), of("\"0.25\"")], [1.0, 1.0, 1.0, 0.5, 0.25].map(|x| Ok(Some(x))));
    assert_eq!([of("[1]"), of("\"maybe\""), of("{}")], [Err(()), Err(()), Err(())]);
}

#[test]
fn what_cannot_be_read_says_where_and_what_to_do() {
    let home = folder();
    let refused = |name: &str, text: &str| fault(&file(&home, name, text));
    let (what, hint) = refused("empty.jsonl", "");
    assert!(what.contains("empty.jsonl: the file is empty") && hint.contains("write it again"), "{what} {hint}");
    let (what, _) = refused("torn.jsonl", "{\"id\":1,\"score\":1}\n{\"id\":2,\"sco");
    assert!(what.contains("torn.jsonl, line 2: not JSON: the text ends too early"), "{what}");
    let (what, hint) = refused("twice.csv", "id,score\na,1\nb,0\na,1\n");
    assert!(what.contains("twice.csv, line 4: sample 'a' of task 'all' is there a second time"), "{what}");
    assert!(hint.contains("one entry for each sample"), "{hint}");
    let (what, _) = refused("words.csv", "id,score\na,1\nb,perhaps\n");
    assert!(what.contains("words.csv, line 3: the `score` of sample 'b' is no score"), "{what}");
    let (what, _) = refused("short.csv", "id,score\na,1\nb\n");
    assert!(what.contains("short.csv, line 3: 1 cells where the header has 2"), "{what}");
    let (what, hint) = refused("other.csv", "name,age\na,1\n");
    assert!(what.contains("its format is not known") && hint.contains("--format"), "{what} {hint}");
    let (what, hint) = refused("log.eval", "PK\u{3}\u{4}....");
    assert!(what.contains("archive") && hint.contains("inspect log convert"), "{what} {hint}");
    let whole = fs::read_to_string(fixture("inspect/canary.json")).expect("it is there");
    let (what, _) = refused("cut.json", &whole[..whole.len() * 2 / 3]);
    assert!(what.contains("cut.json: not JSON: the text ends too early (byte "), "{what}");
    let (what, hint) = refused("failed.json", &whole.replacen("\"status\": \"success\"", "\"status\": \"error\"", 1));
    assert!(what.contains("its status is `error`") && hint.contains("eval-retry"), "{what} {hint}");
    let (what, hint) = refused("results_1.json", "{\"results\":{\"mmlu\":{\"acc,none\":0.5}},\"configs\":{}}");
    assert!(what.contains("no samples") && hint.contains("--log_samples"), "{what} {hint}");
    let (what, _) = fault(&home.path().join("nothing-here"));
    assert!(what.contains("cannot read") && what.contains("nothing-here"), "{what}");
}

#[test]
fn older_samples_of_a_task_are_left_out_and_said_to_be() {
    let home = folder();
    for (time, id) in [("2026-01-01T00-00-00.000001", 1), ("2026-01-02T00-00-00.000001", 2)] {
        let line = format!(
            "{{\"doc_id\":{id},\"doc\":{{}},\"filter\":\"none\",\"metrics\":[\"acc\"],\"doc_hash\":\"h{id}\",\"acc\":1.0}}\n"
        );
        file(&home, &format!("samples_my_task_{time}.jsonl"), &line);
    }
    let source = open(home.path(), None, None).expect("it is one");
    assert_eq!(rows(&source, "my_task", "acc", &Grouping::default())[0].id, "2");
    assert!(source.notes.iter().any(|note| note.contains("2026-01-01") && note.contains("left out")), "{:?}", source.notes);
    assert!(source.notes.iter().any(|note| note.contains("could not be compared")), "{:?}", source.notes);
}

#[test]
fn documents_with_the_same_content_are_told_apart_by_their_ids() {
    let home = folder();
    let line = |id: u32, acc: u32| {
        format!("{{\"doc_id\":{id},\"doc\":{{}},\"metrics\":[\"acc\"],\"doc_hash\":\"same\",\"acc\":{acc}}}\n")
    };
    let a = file(&home, "samples_a.jsonl", &(line(0, 1) + &line(1, 0)));
    let source = open(&a, None, None).expect("it is one");
    let rows = Rows { source: &source, task: &source.tasks[0], metric: "acc" };
    let roll = Roll::of(rows).expect("they are two");
    assert_eq!(roll.follow(rows, None, &Grouping::default(), &mut |_, _| {}).expect("they are two"), 2);
    let (what, _) = fault(&file(&home, "samples_b.jsonl", &(line(0, 1) + &line(0, 1))));
    assert!(what.contains("sample '0' of task 'b' is there a second time"), "{what}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_file_is_refused_or_read_but_never_a_panic(which in 0..5_usize, from in 0.0..1.0_f64, junk in prop::collection::vec(any::<u8>(), 0..12)) {
        let names = ["inspect/variant.json", "promptfoo/results.json", "lm_eval/q4_0/samples", "csv", "jsonl"];
        let mut bytes = match names[which] {
            "csv" => b"id,score,task\na,1,t\nb,0,t\n".to_vec(),
            "jsonl" => b"{\"id\":1,\"score\":1}\n{\"id\":2,\"score\":0,\"epoch\":2}\n".to_vec(),
            "lm_eval/q4_0/samples" => {
                let source = open(&fixture("lm_eval/q4_0"), None, None).expect("it is one");
                let whole = fs::read(source.file_of(&source.tasks[0])).expect("it is there");
                whole.split_inclusive(|b| *b == b'\n').take(3).flatten().copied().collect()
            }
            name => fs::read(fixture(name)).expect("it is there"),
        };
        let at = (from * bytes.len() as f64) as usize;
        let end = (at + junk.len()).min(bytes.len());
        bytes.splice(at..end, junk);
        let home = folder();
        let path = home.path().join("file");
        fs::write(&path, bytes).expect("the folder can be written to");
        let _ = read_all(&path);
        for (_, format) in Format::ALL {
            let _ = open(&path, None, Some(format));
        }
    }
}
