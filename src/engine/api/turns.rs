//! Requests as services take them that keep the system prompt and the tools' schemas apart from the conversation.

use serde_json::{Value, json};

use super::super::Failure;
use super::exchange::inexpressible;
use crate::domain::{Generation, Message, Request};

/// A request as a conversation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Talk<'a> {
    /// The system prompt: what the conversation begins with, in one text.
    pub(super) system: Option<String>,
    /// Whose turn it is, `user` or `assistant`, and what is said; at least one.
    pub(super) turns: Vec<(&'a str, &'a str)>,
    /// The tools on offer.
    pub(super) tools: Vec<Tool<'a>>,
    /// How to generate.
    pub(super) generation: &'a Generation,
}

/// A tool on offer, taken from OpenAI's function schema.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tool<'a> {
    pub(super) name: &'a str,
    pub(super) description: Option<&'a str>,
    /// JSON schema of its arguments.
    pub(super) schema: Value,
}

impl<'a> Talk<'a> {
    /// Reads a request; a raw prompt becomes one message of a user.
    ///
    /// # Errors
    /// [`CauseKind::Refused`](crate::domain::CauseKind::Refused) for what no such service takes: log-likelihoods, a temperature
    /// above 1, system messages in the midst of a conversation, other roles, and tools that are no function schemas.
    pub(super) fn of(request: &'a Request) -> Result<Self, Failure> {
        let talk = match request {
            Request::Generate { prompt, generation } => {
                Self { system: None, turns: vec![("user", prompt)], tools: Vec::new(), generation }
            }
            Request::Chat { messages, tools, generation } => {
                let (system, turns) = divide(messages)?;
                let tools = tools.iter().map(tool).collect::<Result<_, _>>()?;
                Self { system, turns, tools, generation }
            }
            Request::Choice { .. } | Request::Perplexity { .. } => {
                return Err(inexpressible("the service gives no log-likelihoods of given text"));
            }
        };
        let temperature = talk.generation.temperature;
        if !(0.0..=1.0).contains(&temperature) {
            return Err(inexpressible(format!("the service takes temperatures from 0 to 1, not {temperature}")));
        }
        Ok(talk)
    }

    /// The stop texts that Anthropic's models take: none of white space alone. At the others an answer is cut here
    /// ([`Draft::cut`](super::exchange::Draft::cut)).
    pub(super) fn stop(&self) -> Vec<&'a str> {
        self.generation.stop.iter().map(String::as_str).filter(|stop| !stop.trim().is_empty()).collect()
    }
}

type Divided<'a> = (Option<String>, Vec<(&'a str, &'a str)>);

/// The system messages that begin a conversation, and its turns.
fn divide(messages: &[Message]) -> Result<Divided<'_>, Failure> {
    let first = messages.iter().position(|message| message.role != "system").unwrap_or(messages.len());
    let (system, turns) = messages.split_at(first);
    if let Some(other) = turns.iter().find(|turn| !matches!(turn.role.as_str(), "user" | "assistant")) {
        return Err(inexpressible(format!("the service takes no message of the role {:?} in a conversation", other.role)));
    }
    if turns.is_empty() {
        return Err(inexpressible("the service wants at least one message of a user"));
    }
    let system: Vec<&str> = system.iter().map(|message| message.content.as_str()).collect();
    let turns = turns.iter().map(|turn| (turn.role.as_str(), turn.content.as_str())).collect();
    Ok(((!system.is_empty()).then(|| system.join("\n\n")), turns))
}

fn tool(schema: &Value) -> Result<Tool<'_>, Failure> {
    let function = schema.get("function").unwrap_or(schema);
    let Some(name) = function.get("name").and_then(Value::as_str) else {
        return Err(inexpressible("a tool is not a function with a name"));
    };
    let description = function.get("description").and_then(Value::as_str).filter(|text| !text.is_empty());
    // A function without parameters takes none; the services want to be told so.
    let schema = function.get("parameters").cloned().unwrap_or_else(|| json!({ "type": "object", "properties": {} }));
    Ok(Tool { name, description, schema })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CauseKind;

    fn chat(roles: &[(&str, &str)], temperature: f64) -> Request {
        let messages = roles.iter().map(|&(role, text)| Message { role: role.to_owned(), content: text.to_owned() }).collect();
        let generation = Generation { max_tokens: 8, stop: Vec::new(), temperature, top_p: 1.0, seed: 1, constraint: None };
        Request::Chat { messages, tools: Vec::new(), generation }
    }

    #[test]
    fn system_messages_that_begin_a_conversation_become_one_prompt() {
        let request = chat(&[("system", "Be brief."), ("system", "Be kind."), ("user", "Hi"), ("assistant", "Ho")], 0.0);
        let talk = Talk::of(&request).unwrap();
        assert_eq!(talk.system.as_deref(), Some("Be brief.\n\nBe kind."));
        assert_eq!(talk.turns, [("user", "Hi"), ("assistant", "Ho")]);
    }

    #[test]
    fn what_cannot_be_said_is_refused_and_not_changed() {
        let choice = Request::Choice { context: "a".to_owned(), options: vec!["b".to_owned(), "c".to_owned()] };
        let cases = [
            (chat(&[("user", "Hi"), ("system", "Be brief.")], 0.0), "\"system\""),
            (chat(&[("user", "Hi"), ("tool", "{}")], 0.0), "\"tool\""),
            (chat(&[("system", "Be brief.")], 0.0), "at least one message"),
            (chat(&[("user", "Hi")], 1.5), "not 1.5"),
            (choice, "no log-likelihoods"),
        ];
        for (request, why) in cases {
            let failure = Talk::of(&request).unwrap_err();
            assert!(failure.kind == CauseKind::Refused && failure.message.contains(why), "{failure}");
        }
    }

    #[test]
    fn a_tool_without_parameters_takes_an_empty_object() {
        let wrapped = json!({ "type": "function", "function": { "name": "now", "description": "" } });
        let bare = json!({ "name": "now" });
        for schema in [wrapped, bare] {
            let expected = Tool { name: "now", description: None, schema: json!({ "type": "object", "properties": {} }) };
            assert_eq!(tool(&schema).unwrap(), expected);
        }
        assert!(tool(&json!({ "type": "function" })).is_err());
    }
}
