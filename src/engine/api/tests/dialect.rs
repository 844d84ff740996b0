//! What each service says when it refuses, as its public documentation shows it.

use serde_json::json;

use super::*;

/// The sentence of an error body.
fn said(dialect: Dialect, body: &str) -> String {
    refusal(dialect, 400, body.as_bytes())
}

/// Error bodies and what they say.
const BODIES: [(Dialect, &str, &str); 19] = [
    // OpenAI: ErrorResponse.
    (
        Dialect::OpenaiChat,
        r#"{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
        "The model `x` does not exist",
    ),
    // Azure: a gateway's form, and the content filter's.
    (
        Dialect::OpenaiChat,
        r#"{"statusCode":401,"message":"Unauthorized. Access token is missing."}"#,
        "Unauthorized. Access token is missing.",
    ),
    (
        Dialect::OpenaiChat,
        r#"{"error":{"message":"The response was filtered","param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
        "The response was filtered",
    ),
    // vLLM, older and newer.
    (
        Dialect::OpenaiCompletions,
        r#"{"object":"error","message":"max_tokens must be at least 1","type":"BadRequestError","param":null,"code":400}"#,
        "max_tokens must be at least 1",
    ),
    (
        Dialect::OpenaiCompletions,
        r#"{"error":{"message":"too long","type":"BadRequestError","param":"input_tokens","code":400}}"#,
        "too long",
    ),
    // llama.cpp's server.
    (Dialect::LlamaCpp, r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#, "Loading model"),
    // Mistral: its own form, FastAPI's validation errors, a bare detail.
    (
        Dialect::Mistral,
        r#"{"object":"error","message":"Invalid model: x","type":"invalid_model","param":null,"code":"1500"}"#,
        "Invalid model: x",
    ),
    (
        Dialect::Mistral,
        r#"{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":7}]}"#,
        "body.seed: Extra inputs are not permitted",
    ),
    (
        Dialect::Mistral,
        r#"{"object":"error","message":{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required"}]},"type":"invalid_request_error"}"#,
        "body.messages: Field required",
    ),
    (Dialect::Mistral, r#"{"detail":"Unauthorized"}"#, "Unauthorized"),
    // DeepSeek.
    (
        Dialect::OpenaiChat,
        r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
        "Insufficient Balance",
    ),
    // LiteLLM.
    (
        Dialect::OpenaiChat,
        r#"{"error":{"message":"litellm.RateLimitError: slow down","type":"throttling_error","param":null,"code":"429"}}"#,
        "litellm.RateLimitError: slow down",
    ),
    (Dialect::Ollama, r#"{"error":"model 'x' not found"}"#, "model 'x' not found"),
    (
        Dialect::Anthropic,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#,
        "Overloaded",
    ),
    (Dialect::Bedrock, r#"{"message":"The provided model identifier is invalid."}"#, "The provided model identifier is invalid."),
    (Dialect::Bedrock, r#"{"Message":"User is not authorized"}"#, "User is not authorized"),
    (
        Dialect::Vertex,
        r#"[{"error":{"code":404,"message":"Publisher Model was not found","status":"NOT_FOUND"}}]"#,
        "Publisher Model was not found",
    ),
    // A proxy's page, and plain text.
    (Dialect::OpenaiChat, "<html>\r\n<head><title>502 Bad Gateway</title></head><body>nginx</body></html>", "502 Bad Gateway"),
    (Dialect::OpenaiChat, "\nupstream connect error\nreset reason: overflow", "upstream connect error"),
];

#[test]
fn the_message_of_every_service_is_found() {
    for (dialect, body, expected) in BODIES {
        assert_eq!(said(dialect, body), expected, "{body}");
    }
}

#[test]
fn a_body_that_says_nothing_leaves_the_status() {
    assert_eq!(refusal(Dialect::OpenaiChat, 503, b""), "status 503 without a message");
    assert_eq!(refusal(Dialect::OpenaiChat, 500, b"{}"), "status 500 without a message");
    assert_eq!(refusal(Dialect::OpenaiChat, 502, b"<html></html>"), "status 502 without a message");
    assert_eq!(refusal(Dialect::OpenaiChat, 500, &[0xff, 0xfe]), "\u{fffd}\u{fffd}");
}

#[test]
fn keys_that_a_service_repeats_are_not_passed_on() {
    let openai = r#"{"error":{"message":"Incorrect API key provided: sk-proj-abc***xyz. You can find it online.","code":"invalid_api_key"}}"#;
    assert_eq!(said(Dialect::OpenaiChat, openai), "Incorrect API key provided: [key] You can find it online.");
    let litellm = r#"{"error":{"message":"Received API Key = sk-...12ab, Key Hash (Token) =88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b. Unable"}}"#;
    assert_eq!(said(Dialect::OpenaiChat, litellm), "Received API Key = [key] Key Hash (Token) [key] Unable");
    let deepseek = r#"{"error":{"message":"Authentication Fails, Your api key: ****c0de is invalid"}}"#;
    assert_eq!(said(Dialect::OpenaiChat, deepseek), "Authentication Fails, Your api key: [key] is invalid");
}

#[test]
fn a_long_message_is_one_line_of_bounded_length() {
    let long = json!({"error": {"message": format!("a\n{}", "é ".repeat(1000))}}).to_string();
    let said = said(Dialect::OpenaiChat, &long);
    assert!(said.starts_with("a é") && said.ends_with('…') && said.chars().count() == LONGEST + 1, "{said}");
}

#[test]
fn faults_under_200_have_the_class_of_their_code_or_their_words() {
    let class = |body: Value| in_band(&body).map(|failure| (failure.kind, failure.retry));
    let (busy, passing) = ((CauseKind::Limited, RetryClass::Busy), (CauseKind::Transport, RetryClass::Transient));
    let refused = (CauseKind::Refused, RetryClass::No);
    let cases = [
        (json!({"error": {"message": "x", "code": 429}}), busy),
        (json!({"error": {"message": "x", "code": "429", "type": "None"}}), busy),
        (json!({"error": {"message": "x", "type": "overloaded_error"}}), busy),
        (json!({"error": {"message": "x", "code": "rate_limit_exceeded"}}), busy),
        (json!({"error": {"message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}), busy),
        (json!({"error": "server busy, please try again"}), busy),
        (json!({"error": {"message": "x", "code": 503, "type": "unavailable_error"}}), passing),
        (json!({"error": {"message": "x", "type": "server_error", "code": null}}), passing),
        (json!({"object": "error", "message": "x", "type": "InternalServerError", "code": 500}), passing),
        (json!({"error": {"message": "x", "type": "invalid_request_error", "code": null}}), refused),
        (
            json!({"error": {"message": "You exceeded your current quota", "code": "insufficient_quota", "type": "insufficient_quota"}}),
            (CauseKind::Transport, RetryClass::Barred),
        ),
        (json!({"error": {"message": "x", "code": 400}}), refused),
        (json!({"error": {"message": "x", "code": 401}}), (CauseKind::Transport, RetryClass::Barred)),
        (json!({"error": "something else"}), refused),
        (json!({"error": {"message": "x", "code": "content_filter"}}), (CauseKind::Filtered, RetryClass::No)),
    ];
    for (body, expected) in cases {
        assert_eq!(class(body.clone()), Some(expected), "{body}");
    }
    for fine in [json!({"choices": []}), json!({"error": null}), json!({"error": {}}), json!({"error": ""}), json!([])] {
        assert_eq!(class(fine.clone()), None, "{fine}");
    }
}
