//! What a model says is untrusted: in the HTML report it is text, never markup. Looked at with a real browser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::Bench;

const EVIL: &str = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";

/// A report in which a model answered with markup on a flipped item: scripted subjects answer as they are told.
fn report(bench: &Bench) -> PathBuf {
    let rows: Vec<String> =
        (0..40).map(|i| serde_json::json!({ "id": format!("r{i}"), "q": format!("{i}{EVIL}"), "a": EVIL }).to_string()).collect();
    bench.write("data.jsonl", &rows.join("\n"));
    bench.write(
        "suite.toml",
        "name = \"s\"\n[[task]]\nname = \"t\"\nabout = \"<b>about</b>\"\nkind = \"generate\"\ndataset = \"data.jsonl\"\nprompt = \"{{ q }}\"\ntarget = \"{{ a }}\"\n",
    );
    bench.write(
        "quantgate.toml",
        "name = \"evil\"\nsuites = [\"suite.toml\"]\nseed = 1\n\
         [canary]\nengine = \"scripted\"\nright_per_mille = 900\nsalt = \"a\"\n\
         [[variant]]\nname = \"v\"\nengine = \"scripted\"\nright_per_mille = 500\nsalt = \"b\"\n\
         [policy]\nmargin = \"2pp\"\n",
    );
    let reports = bench.reports("r");
    bench.run(&reports, &["--limit", "40"]).success_or_verdict();
    let entries = fs::read_dir(&reports).expect("runs are there").map(|entry| entry.expect("its entry").path());
    let run = entries.into_iter().find(|path| path.is_dir()).expect("one run");
    run.join("report.html")
}

/// Debian's Chromium or another one on the path.
fn browser() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()))
}

/// The page as the browser has it after running whatever runs.
fn dump(browser: &str, page: &Path, profile: &Path) -> String {
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--virtual-time-budget=2000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_a_model_says_is_text_in_the_report_and_runs_in_no_browser() {
    let bench = Bench::new("escape");
    let page = report(&bench);
    let source = fs::read_to_string(&page).expect("the report can be read");
    assert!(!source.contains("<script>document"), "the answer stands in the page as markup");
    assert!(!source.contains("<img src=x"), "the answer stands in the page as markup");
    assert!(source.contains("&lt;script&gt;") || source.contains("&#60;script&#62;"), "the answer is shown as text");
    assert!(!source.contains("<b>about"), "what a suite says is text");
    let Some(browser) = browser() else {
        // The source was checked above; only the second look, through a browser, needs one.
        return;
    };
    let seen = dump(browser, &page, &bench.path("profile"));
    assert!(seen.contains("</html>"), "the browser shows the page");
    assert!(!seen.contains("<title>owned"), "the answer ran in the browser");
    assert!(!seen.contains("<img src=\"x\""), "the answer became an element");
}
