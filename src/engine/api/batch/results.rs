//! The results of a job: lines in any order, each with the id of its request.

use serde_json::Value;

use super::super::super::Failure;
use super::super::exchange::malformed;
use super::form::Form;
use super::{Desk, Told};

/// Most bytes of one line.
const LONGEST: usize = 16 << 20;

/// Reads a file of results as it comes. A line that is no result of ours is passed over: its request then has none.
pub(super) async fn read(desk: Desk<'_>, form: Form, path: &str) -> Result<Vec<(String, Told)>, Failure> {
    let mut response = desk.http.get_with(path, &form.headers()).await?;
    let (mut found, mut rest) = (Vec::new(), Vec::new());
    while let Some(chunk) = response.chunk().await? {
        rest.extend(chunk);
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = rest.drain(..whole).collect();
        found.extend(lines.split(|byte| *byte == b'\n').filter_map(|line| result(desk, form, line)));
        if rest.len() > LONGEST {
            return Err(malformed("a line of a job's results has no end"));
        }
    }
    found.extend(result(desk, form, &rest));
    Ok(found)
}

fn result(desk: Desk<'_>, form: Form, line: &[u8]) -> Option<(String, Told)> {
    let line: Value = serde_json::from_slice(&desk.http.cleanse(line.to_vec())).ok()?;
    form.result(desk, &line)
}
