//! Asking a mock of providers that others wrote: the shapes of OpenAI, OpenRouter and Anthropic.

use domain::agent::asking::Finish;
use domain::agent::retry::ErrorClass;
use domain::values::time::Millis;
use providers::models::Models;
use providers::models::asked::AskLimits;
use providers::models::settings::{ModelsSettings, ProviderSettings};
use providers::outgoing::OutgoingSettings;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::foreign::{line_with, node, packages};
use crate::model_peer::{Heard, ask, limits};

/// Input of a call with all that is awkward in JSON.
const INPUT: &str = r#"{"name":"a \"quoted\" näme","deep":{"x":[1,{"}":"{"}]}}"#;

const THOUGHTS: &str = "Let me think.";

struct Mock {
    url: String,
    _program: Child,
}

async fn mock(fixtures: Value) -> Option<Mock> {
    let packages = packages()?;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fixtures.json");
    std::fs::write(&file, json!({ "fixtures": fixtures }).to_string()).unwrap();
    let cli = packages.join("@copilotkit/aimock/dist/cli.js");
    let arguments = [
        cli.to_str().unwrap(),
        "-p",
        "0",
        "--strict",
        "--validate-on-load",
        "-f",
        file.to_str().unwrap(),
    ];
    let mut program = node(&arguments, &[]);
    let line = line_with(program.stdout.take().unwrap(), "listening on ").await;
    let url = line.rsplit(' ').next().unwrap().to_owned();
    Some(Mock {
        url,
        _program: program,
    })
}

fn models(mock: &Mock) -> Models {
    let provider = |name: &str, path: &str| {
        let settings = ProviderSettings {
            base_url: Some(format!("{}{path}", mock.url)),
            ..ProviderSettings::default()
        };
        (name.to_owned(), settings)
    };
    let settings = ModelsSettings {
        providers: [
            provider("openai", "/v1"),
            provider("openrouter", "/api/v1"),
            provider("anthropic", "/v1"),
        ]
        .into(),
        ..ModelsSettings::default()
    };
    Models::new(settings, OutgoingSettings::default(), &|_| {
        Some("a-key".to_owned())
    })
    .unwrap()
}

fn question(model: &str, text: &str) -> domain::agent::asking::ModelCall {
    let tool =
        |name: &str| json!({"name": name, "description": "x", "inputSchema": {"type": "object"}});
    serde_json::from_value(json!({
        "models": [model], "system": "Review.",
        "messages": [{"role": "user", "parts": [{"kind": "text", "text": text}]}],
        "tools": [tool("read_artifact"), tool("search")]
    }))
    .unwrap()
}

#[tokio::test]
async fn three_shapes_say_the_same() {
    let fixtures = json!([{"match": {"userMessage": "ferry"}, "chunkSize": 5, "response": {
        "reasoning": THOUGHTS, "content": "Grüße, ich schaue.",
        "toolCalls": [{"id": "call_a", "name": "read_artifact", "arguments": INPUT}, {"id": "call_b", "name": "search", "arguments": "{}"}],
        "usage": {"prompt_tokens": 1200, "completion_tokens": 90, "total_tokens": 1290,
            "prompt_tokens_details": {"cached_tokens": 1024}, "completion_tokens_details": {"reasoning_tokens": 40}}}}]);
    let Some(mock) = mock(fixtures).await else {
        return;
    };
    let models = models(&mock);
    for (model, thoughts, kinds) in [
        // OpenAI's own shape has no word for thoughts.
        ("gpt-4o", "", (1200, 0, 90, 0)),
        ("openrouter/openai/gpt-4o", THOUGHTS, (176, 1024, 50, 40)),
        ("anthropic/claude-sonnet-4-5", THOUGHTS, (1200, 0, 90, 0)),
    ] {
        let (asked, heard) = ask(&models, &question(model, "the ferry"), &limits()).await;
        let asked = asked.unwrap();
        assert_eq!(
            (heard.text.as_str(), heard.reasoning.as_str()),
            ("Grüße, ich schaue.", thoughts),
            "{model}"
        );
        let calls: Vec<(&str, &str, Value, bool)> = heard
            .calls
            .iter()
            .map(|(id, name, input, whole)| {
                (
                    id.as_str(),
                    name.as_str(),
                    serde_json::from_str(input).unwrap(),
                    *whole,
                )
            })
            .collect();
        let input: Value = serde_json::from_str(INPUT).unwrap();
        assert_eq!(
            calls,
            [
                ("call_a", "read_artifact", input, true),
                ("call_b", "search", json!({}), true)
            ]
        );
        let usage = &asked.usage;
        assert_eq!(
            (
                usage.input,
                usage.cached_input,
                usage.output,
                usage.reasoning
            ),
            kinds,
            "{model}"
        );
        assert_eq!(asked.finish, Finish::Calls);
    }
}

#[tokio::test]
async fn limits_cuts_and_slowness_are_got_over_or_told() {
    const MODELS: [&str; 3] = [
        "gpt-4o",
        "openrouter/openai/gpt-4o",
        "anthropic/claude-sonnet-4-5",
    ];
    let fixtures = |model: &str| {
        let text = |what: &str| format!("{what} {model}");
        json!([
            {"match": {"userMessage": text("limited"), "sequenceIndex": 0}, "response": {"error": {"message": "slow down", "type": "rate_limit_error"}, "status": 429, "retryAfter": 1}},
            {"match": {"userMessage": text("limited")}, "response": {"content": "after the pause"}},
            {"match": {"userMessage": text("cut"), "sequenceIndex": 0}, "chunkSize": 2, "truncateAfterChunks": 3, "response": {"content": "cut off in the midst"}},
            {"match": {"userMessage": text("cut")}, "response": {"content": "whole"}},
            {"match": {"userMessage": text("slow")}, "chunkSize": 1, "latency": 5000, "response": {"content": "slower and slower"}}
        ])
    };
    let all = MODELS
        .iter()
        .flat_map(|model| fixtures(model).as_array().cloned().unwrap());
    let Some(mock) = mock(all.collect()).await else {
        return;
    };
    let models = models(&mock);
    let [openai, openrouter, anthropic] = MODELS.map(|model| got_over_or_told(&models, model));
    tokio::join!(openai, openrouter, anthropic);
}

async fn got_over_or_told(models: &Models, model: &str) {
    let question = |what: &str| question(model, &format!("{what} {model}"));
    // Who asks to be left alone is: whoever asked it waits elsewhere.
    let refused = ask(models, &question("limited"), &limits()).await;
    let refused = refused.0.unwrap_err();
    let told = (refused.class, refused.retry_after);
    assert_eq!(
        told,
        (ErrorClass::RateLimited, Some(Millis(1_000))),
        "{refused}"
    );
    for (what, said) in [("limited", "after the pause"), ("cut", "whole")] {
        let (asked, heard) = ask(models, &question(what), &limits()).await;
        asked.unwrap();
        assert_eq!(
            heard,
            Heard {
                text: said.to_owned(),
                anew: heard.anew.clone(),
                ..Heard::default()
            },
            "{model}"
        );
    }
    let hasty = AskLimits {
        retries: 0,
        first: Millis(100),
        between: Millis(100),
        ..limits()
    };
    let failure = ask(models, &question("slow"), &hasty).await.0.unwrap_err();
    assert!(
        failure.message.contains("within 100 ms") || failure.message.contains("for 100 ms"),
        "{failure}"
    );
}
