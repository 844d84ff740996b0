//! Tool calls as OpenAI's look-alikes write them: whole, or in pieces that may lack their ids or places.

use serde_json::Value;

use super::super::Failure;
use super::exchange::{CallDraft, Draft, malformed};

/// Reads the tool calls of a message, or of a piece of one; the older `function_call` too.
pub(super) fn read(message: &Value, draft: &mut Draft) -> Result<(), Failure> {
    match message.get("tool_calls") {
        None | Some(Value::Null) => {}
        Some(Value::Array(calls)) => {
            for call in calls {
                let id = call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty() && *id != "null");
                let index = call.get("index").and_then(Value::as_u64);
                let function = call.get("function").filter(|function| function.is_object()).unwrap_or(call);
                let place = place(&draft.calls, id, index, function);
                let call = draft.call(place);
                call.index = index.or(call.index);
                if let Some(id) = id {
                    id.clone_into(&mut call.id);
                }
                add(call, function)?;
            }
        }
        Some(other) => return Err(malformed(format!("its tool calls are {other}"))),
    }
    match message.get("function_call") {
        Some(function) if function.is_object() => add(draft.call(0), function),
        _ => Ok(()),
    }
}

/// Which call a piece belongs to: the one of its id; else the last of its index; else, for a piece with a name, a new one, and
/// for one without, the last. Ids count first because some servers give every call the index 0.
fn place(calls: &[CallDraft], id: Option<&str>, index: Option<u64>, function: &Value) -> usize {
    let fresh = calls.len();
    if let Some(id) = id {
        let same = calls.iter().position(|call| call.id == id);
        // A call whose id comes late has none yet.
        let late = || calls.iter().rposition(|call| call.id.is_empty() && index.is_some() && call.index == index);
        return same.or_else(late).unwrap_or(fresh);
    }
    if index.is_some() {
        return calls.iter().rposition(|call| call.index == index).unwrap_or(fresh);
    }
    let is_named = function.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    if is_named { fresh } else { fresh.saturating_sub(1) }
}

/// Adds a piece's name and arguments. A name that is repeated with every piece counts once.
fn add(call: &mut CallDraft, function: &Value) -> Result<(), Failure> {
    if let Some(name) = function.get("name").and_then(Value::as_str).filter(|name| call.name != *name) {
        call.name.push_str(name);
    }
    match function.get("arguments") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => call.arguments.push_str(text),
        Some(object @ Value::Object(_)) => call.arguments.push_str(&object.to_string()),
        Some(other) => return Err(malformed(format!("a tool call's arguments are {other}"))),
    }
    Ok(())
}
