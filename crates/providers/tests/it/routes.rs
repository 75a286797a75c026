//! Whom a model's name leads to: bare names, providers, PlanExe's configuration, and what is missing.

use std::collections::BTreeMap;

use providers::models::Models;
use providers::models::settings::{ModelsError, ModelsSettings, ProviderSettings};
use providers::outgoing::OutgoingSettings;
use serde_json::{Value, json};

use crate::model_peer::{ask, limits, question, stream};
use crate::peer::Peer;

const ANSWER: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

async fn provider() -> Peer {
    Peer::saying(stream(&[ANSWER.as_bytes()], true)).await
}

fn models(settings: ModelsSettings, variables: &[(&str, &str)]) -> Result<Models, ModelsError> {
    Models::new(settings, OutgoingSettings::default(), &|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn at(peer: &Peer) -> ProviderSettings {
    ProviderSettings {
        base_url: Some(peer.url("/api")),
        ..ProviderSettings::default()
    }
}

fn body(peer: &Peer) -> Value {
    serde_json::from_slice(&peer.seen().last().unwrap().body).unwrap()
}

#[tokio::test]
async fn names_lead_to_their_provider_and_else_through_openrouter() {
    let (openai, router) = (provider().await, provider().await);
    let settings = ModelsSettings {
        providers: [
            ("openai".to_owned(), at(&openai)),
            ("openrouter".to_owned(), at(&router)),
        ]
        .into(),
        ..ModelsSettings::default()
    };
    let models = models(settings, &[("OPENROUTER_API_KEY", "or")]).unwrap();
    for (name, peer, there) in [
        ("gpt-4", &openai, "gpt-4"),
        ("openai/gpt-4o", &openai, "gpt-4o"),
        ("openrouter/openai/gpt-4o", &router, "openai/gpt-4o"),
        (
            "anthropic/claude-sonnet-4.5",
            &router,
            "anthropic/claude-sonnet-4.5",
        ),
        ("claude-opus-4", &router, "anthropic/claude-opus-4"),
        ("google/gemini-2.5-pro", &router, "google/gemini-2.5-pro"),
    ] {
        ask(&models, &question(&[name]), &limits()).await.0.unwrap();
        assert_eq!(body(peer)["model"], there, "{name}");
    }
    assert_eq!(router.seen()[0].header("authorization"), Some("Bearer or"));
    assert_eq!(
        openai.seen()[0].header("authorization"),
        None,
        "a server of one's own may want no key"
    );
}

#[test]
fn what_is_missing_is_named() {
    let models = models(ModelsSettings::default(), &[("ANTHROPIC_API_KEY", " ")]).unwrap();
    for (name, why) in [
        ("gpt-4", "set OPENAI_API_KEY"),
        ("anthropic/claude", "set ANTHROPIC_API_KEY"),
        ("openrouter/x/y", "set OPENROUTER_API_KEY"),
        ("google/gemini", "the provider `google` is not configured"),
        (
            "house-blend",
            "nobody is known who has the model `house-blend`",
        ),
        ("scripted/demo", "there is no cue sheet `demo`"),
        ("auto", "nobody is known"),
    ] {
        let failure = models.check(name).unwrap_err();
        assert!(failure.message.contains(why), "{failure}");
    }
    assert!(models.check("ollama/qwen3").is_ok());
}

#[test]
fn settings_that_cannot_be_used_are_refused_by_name() {
    let one = |name: &str, base_url: Option<&str>| ModelsSettings {
        providers: [(
            name.to_owned(),
            ProviderSettings {
                base_url: base_url.map(str::to_owned),
                ..ProviderSettings::default()
            },
        )]
        .into(),
        ..ModelsSettings::default()
    };
    assert_eq!(
        models(one("mine", None), &[]).unwrap_err(),
        ModelsError::NoUrl("mine".to_owned())
    );
    let wrong = models(one("mine", Some("ftp://x")), &[]).unwrap_err();
    assert!(wrong.to_string().contains("`mine`"), "{wrong}");
    let key = models(one("openai", None), &[("OPENAI_API_KEY", "a\nb")]).unwrap_err();
    assert_eq!(key, ModelsError::Key("openai".to_owned()));
    let config = ModelsSettings {
        llm_config: Some(json!({"a": {"arguments": {}}})),
        ..ModelsSettings::default()
    };
    assert!(
        models(config, &[])
            .unwrap_err()
            .to_string()
            .contains("class")
    );
}

/// As PlanExe has it, but for the addresses.
fn llm_config(first: &Peer, second: &Peer) -> Value {
    json!({
        "openrouter-paid-gemini": {"comment": "Fast.", "priority": 2, "luigi_workers": 4, "class": "OpenRouter", "arguments": {
            "model": "google/gemini-2.0-flash-001", "api_base": first.url("/api/v1"), "api_key": "${OPENROUTER_API_KEY}",
            "temperature": 0.1, "timeout": 60.0, "is_function_calling_model": false, "is_chat_model": true, "max_tokens": 8192, "max_retries": 5}},
        "ollama-llama3.1": {"priority": 1, "class": "Ollama", "arguments": {
            "model": "llama3.1:latest", "base_url": second.url(""), "temperature": 0.5, "request_timeout": 120.0, "is_function_calling_model": false}},
        "no-key": {"priority": 0, "class": "OpenAI", "arguments": {"model": "gpt-4o-mini", "api_key": "${OPENAI_API_KEY}"}},
        "elsewhere": {"class": "Groq", "arguments": {"model": "x", "api_key": "k"}}
    })
}

#[tokio::test]
async fn how_much_a_model_takes_in_is_said_or_known_of_its_family() {
    let entry = |model: &str, more: Value| {
        let mut arguments = json!({"model": model, "api_key": "k"});
        let more = more.as_object().unwrap().clone();
        arguments.as_object_mut().unwrap().extend(more);
        json!({"class": "OpenRouter", "priority": 1, "arguments": arguments})
    };
    let narrow = ProviderSettings {
        context_tokens: Some(4_096),
        ..ProviderSettings::default()
    };
    let settings = ModelsSettings {
        providers: BTreeMap::from([("ollama".to_owned(), narrow)]),
        llm_config: Some(json!({
            "said": entry("openai/gpt-4", json!({"context_window": 16_000})),
            "known": entry("anthropic/claude-3-haiku", json!({})),
            "unknown": entry("house/blend", json!({"context_window": null})),
        })),
        ..ModelsSettings::default()
    };
    let models = models(settings, &[("OPENAI_API_KEY", "k")]).unwrap();
    for (name, tokens) in [
        ("said", Some(16_000)),
        ("known", Some(200_000)),
        ("unknown", None),
        ("auto", Some(16_000)),
        ("gpt-4", Some(8_192)),
        ("ollama/qwen3", Some(4_096)),
        ("lmstudio/some-model", None),
        ("nobody/knows", None),
    ] {
        assert_eq!(models.window(name), tokens, "{name}");
    }
}

#[tokio::test]
async fn planexes_configuration_is_read_as_it_is() {
    let (first, second) = (provider().await, provider().await);
    let settings = ModelsSettings {
        llm_config: Some(llm_config(&first, &second)),
        ..ModelsSettings::default()
    };
    let models = models(settings, &[("OPENROUTER_API_KEY", "or-key")]).unwrap();
    ask(&models, &question(&["openrouter-paid-gemini"]), &limits())
        .await
        .0
        .unwrap();
    let sent = body(&first);
    assert_eq!(
        (&sent["model"], &sent["temperature"], &sent["max_tokens"]),
        (
            &json!("google/gemini-2.0-flash-001"),
            &json!(0.1),
            &json!(8192)
        )
    );
    assert_eq!(
        first.seen()[0].header("authorization"),
        Some("Bearer or-key")
    );
    // `auto` leaves out what has no key, and takes the rest by priority.
    let asked = ask(&models, &question(&["auto"]), &limits())
        .await
        .0
        .unwrap();
    assert_eq!(
        (asked.asked.as_str(), &body(&second)["model"]),
        ("auto", &json!("llama3.1:latest"))
    );
    assert!(
        second.seen()[0]
            .head
            .starts_with("POST /v1/chat/completions ")
    );
    // What the question says itself stands.
    let mut own = question(&["ollama-llama3.1"]);
    own.settings.insert("temperature".to_owned(), json!(0));
    ask(&models, &own, &limits()).await.0.unwrap();
    assert_eq!(body(&second)["temperature"], json!(0));
    for (name, why) in [
        ("no-key", "OPENAI_API_KEY is not set"),
        ("elsewhere", "`Groq` cannot be asked"),
    ] {
        let failure = models.check(name).unwrap_err();
        assert!(failure.message.contains(why), "{failure}");
    }
}
