//! A provider of models: a raw peer that speaks their events, well or badly, and what was heard of it.

use domain::agent::asking::{Delta, ModelCall};
use domain::values::time::Millis;
use providers::failure::Failure;
use providers::models::Models;
use providers::models::asked::{Admits, AskLimits, Asked, Spoken};
use providers::models::settings::{Kind, ModelsSettings, ProviderSettings};
use providers::outgoing::OutgoingSettings;
use serde_json::{Value, json};

use crate::peer::Peer;

/// The key that must not show itself.
pub const KEY: &str = "sk-very-secret-0123456789";

/// A stream's head and these pieces, each a chunk, with or without an end.
pub fn stream(pieces: &[&[u8]], whole: bool) -> Vec<u8> {
    let mut all =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_1\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        all.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        all.extend_from_slice(piece);
        all.extend_from_slice(b"\r\n");
    }
    if whole {
        all.extend_from_slice(b"0\r\n\r\n");
    }
    all
}

/// Unnamed events, each with this data.
pub fn data(events: &[Value]) -> String {
    let events = events.iter().map(|event| format!("data: {event}\n\n"));
    events.collect()
}

/// Events named by their `type`.
pub fn named(events: &[Value]) -> String {
    let events = events.iter().map(|event| {
        let name = event["type"].as_str().unwrap();
        format!("event: {name}\ndata: {event}\n\n")
    });
    events.collect()
}

/// A handle whose providers are these peers.
pub fn models(providers: &[(&str, Kind, &Peer)]) -> Models {
    let settings = |(name, kind, peer): &(&str, Kind, &Peer)| {
        let settings = ProviderSettings {
            base_url: Some(peer.url("/v1/")),
            api_key_env: Some("THE_KEY".to_owned()),
            kind: Some(*kind),
            ..ProviderSettings::default()
        };
        ((*name).to_owned(), settings)
    };
    let settings = ModelsSettings {
        providers: providers.iter().map(settings).collect(),
        ..ModelsSettings::default()
    };
    Models::new(settings, OutgoingSettings::default(), &|name| {
        (name == "THE_KEY").then(|| KEY.to_owned())
    })
    .unwrap()
}

/// A handle for one peer that speaks as OpenAI does, under the name `openai`.
pub fn openai(peer: &Peer) -> Models {
    models(&[("openai", Kind::Openai, peer)])
}

/// A handle for one peer that speaks as Anthropic does, under the name `anthropic`.
pub fn anthropic(peer: &Peer) -> Models {
    models(&[("anthropic", Kind::Anthropic, peer)])
}

/// A question with one word to these models.
pub fn question(models: &[&str]) -> ModelCall {
    let messages = json!([{"role": "user", "parts": [{"kind": "text", "text": "Go."}]}]);
    serde_json::from_value(json!({"models": models, "messages": messages})).unwrap()
}

/// Limits without patience: one retry, at once.
pub fn limits() -> AskLimits {
    AskLimits {
        retries: 1,
        first: Millis(20_000),
        between: Millis(20_000),
        whole: Millis(20_000),
        bytes: 256 * 1024,
        backoff: Millis(1),
    }
}

/// What was heard of an answer, put together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub text: String,
    pub reasoning: String,
    pub signatures: Vec<String>,
    /// Id, name, input, and whether it ended.
    pub calls: Vec<(String, String, String, bool)>,
    /// Why it began anew, each time.
    pub anew: Vec<String>,
}

impl Heard {
    pub fn hear(&mut self, spoken: Spoken) {
        let delta = match spoken {
            Spoken::Delta(delta) => delta,
            Spoken::Asked { .. } => return,
            Spoken::Anew { why } => {
                let mut anew = std::mem::take(&mut self.anew);
                anew.push(why);
                *self = Self {
                    anew,
                    ..Self::default()
                };
                return;
            }
        };
        match delta {
            Delta::Text(text) => self.text.push_str(&text),
            Delta::Reasoning { text, signature } => {
                self.reasoning.push_str(&text);
                self.signatures.extend(signature);
            }
            Delta::CallBegins { place, id, name } => {
                assert_eq!(place as usize, self.calls.len());
                self.calls.push((id, name, String::new(), false));
            }
            Delta::CallInput { place, text } => {
                let call = &mut self.calls[place as usize];
                assert!(!call.3, "input after its end");
                call.2.push_str(&text);
            }
            Delta::CallEnds { place } => {
                let call = &mut self.calls[place as usize];
                assert!(!std::mem::replace(&mut call.3, true), "ends twice");
            }
        }
    }
}

/// Asks, and puts together what is heard.
pub async fn ask(
    models: &Models,
    call: &ModelCall,
    limits: &AskLimits,
) -> (Result<Asked, Failure>, Heard) {
    let mut heard = Heard::default();
    let asked = models
        .ask(call, limits, &mut Anyone, |spoken| heard.hear(spoken))
        .await;
    (asked, heard)
}

/// Lets every question through.
pub struct Anyone;

impl Admits for Anyone {
    async fn admit(&mut self, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    async fn failed(&mut self, _: &str, _: &Failure) {}
}
