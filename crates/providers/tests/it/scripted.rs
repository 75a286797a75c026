//! Models that answer from a cue sheet, and what `ask` makes of answers that fail.

use std::collections::BTreeMap;

use domain::agent::asking::{Delta, Finish, ModelCall};
use domain::agent::retry::ErrorClass;
use domain::values::time::Millis;
use providers::failure::Failure;
use providers::models::Models;
use providers::models::asked::{AskLimits, Asked, Spoken};
use providers::models::scripted::CueSheet;
use providers::models::settings::ModelsSettings;
use providers::outgoing::OutgoingSettings;
use serde_json::{Value, json};

use crate::model_peer::Anyone;

const SHEET: &str = r#"
[[answers]]
turn = 1
system = "reviewer"
reasoning = "Let me see."
text = "Grüße"
chunk = 2
calls = [{ name = "read_artifact", input = { name = "plan.txt" } }, { id = "b", name = "search", raw = "{oops" }]
usage = { input = 10, cachedInput = 4, output = 3, reasoning = 2 }

[[answers]]
after = "read_artifact"
last = "harbour"
text = "It is about a harbour."

[[answers]]
last = "twice"
times = 2
text = "so f"
error = { class = "transient", message = "hung up" }
usage = { input = 5 }

[[answers]]
last = "twice"
text = "so good"
usage = { input = 7, output = 1 }

[[answers]]
last = "never"
error = { class = "fatal", message = "refused" }
"#;

fn models() -> Models {
    let sheets = [
        ("demo", CueSheet::read(SHEET).unwrap()),
        ("other", CueSheet::saying("here")),
    ];
    let settings = ModelsSettings {
        scripted: sheets.map(|(name, sheet)| (name.to_owned(), sheet)).into(),
        providers: BTreeMap::new(),
        llm_config: None,
    };
    Models::new(settings, OutgoingSettings::default(), &|_| None).unwrap()
}

fn call(models: &[&str], system: &str, messages: Value) -> ModelCall {
    serde_json::from_value(json!({"models": models, "system": system, "messages": messages}))
        .unwrap()
}

fn said(text: &str) -> Value {
    json!([{"role": "user", "parts": [{"kind": "text", "text": text}]}])
}

async fn ask(call: &ModelCall) -> (Result<Asked, Failure>, Vec<Spoken>) {
    let limits = AskLimits {
        backoff: Millis(1),
        ..AskLimits::default()
    };
    let mut heard = Vec::new();
    let asked = models()
        .ask(call, &limits, &mut Anyone, |spoken| match spoken {
            Spoken::Asked { in_words } => assert!(!in_words, "it calls as a cue says"),
            spoken => heard.push(spoken),
        })
        .await;
    (asked, heard)
}

#[tokio::test]
async fn a_cue_says_its_pieces_bit_by_bit_and_in_order() {
    let question = call(&["scripted/demo"], "You are a reviewer.", said("go"));
    let (asked, heard) = ask(&question).await;
    let asked = asked.unwrap();
    assert_eq!(
        (asked.asked.as_str(), asked.finish),
        ("scripted/demo", Finish::Calls)
    );
    assert_eq!(
        (
            asked.usage.input,
            asked.usage.cached_input,
            asked.usage.reasoning
        ),
        (10, 4, 2)
    );
    let mut text = String::new();
    let mut begun = Vec::new();
    let mut inputs = [String::new(), String::new()];
    for spoken in heard {
        match spoken {
            Spoken::Delta(Delta::Text(bit)) => {
                assert!(bit.chars().count() <= 2 && begun.is_empty());
                text.push_str(&bit);
            }
            Spoken::Delta(Delta::CallBegins { id, name, .. }) => begun.push((id, name)),
            Spoken::Delta(Delta::CallInput { place, text }) => {
                inputs[place as usize].push_str(&text)
            }
            Spoken::Delta(_) => {}
            Spoken::Anew { .. } | Spoken::Asked { .. } => panic!("nothing failed"),
        }
    }
    assert_eq!(text, "Grüße");
    assert_eq!(begun[1], ("b".to_owned(), "search".to_owned()));
    assert_eq!(inputs, [r#"{"name":"plan.txt"}"#, "{oops"]);
}

#[tokio::test]
async fn a_cue_is_held_against_what_came_since_the_model_last_spoke() {
    let result = |output| {
        json!([
            {"role": "user", "parts": [{"kind": "text", "text": "harbour?"}]},
            {"role": "assistant", "parts": [{"kind": "tool_call", "id": "a", "name": "read_artifact", "input": {}}]},
            {"role": "tool", "parts": [{"kind": "tool_result", "call": "a", "name": "read_artifact", "output": output}]}
        ])
    };
    let demo = |output| call(&["scripted/demo"], "", result(output));
    assert!(
        ask(&demo(json!({"text": "a harbour ferry"})))
            .await
            .0
            .is_ok()
    );
    let failure = ask(&demo(json!("a bridge"))).await.0.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Fatal);
    assert!(
        failure.message.contains("nothing to say in turn 2"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_failed_answer_is_taken_back_asked_for_again_and_paid_for() {
    let (asked, heard) = ask(&call(&["scripted/demo"], "", said("twice"))).await;
    let asked = asked.unwrap();
    assert_eq!((asked.usage.input, asked.usage.output), (17, 1));
    let text = |text: &str| Spoken::Delta(Delta::Text(text.to_owned()));
    let anew = || Spoken::Anew {
        why: "hung up".to_owned(),
    };
    assert_eq!(
        heard,
        [text("so f"), anew(), text("so f"), anew(), text("so good")]
    );
}

#[tokio::test]
async fn what_asking_again_cannot_help_goes_to_the_next_model() {
    let chain = ["scripted/demo", "nobody/knows", "scripted/other"];
    let asked = ask(&call(&chain, "", said("never"))).await.0.unwrap();
    assert_eq!(asked.asked, "scripted/other");
    let failure = ask(&call(&chain[..2], "", said("never")))
        .await
        .0
        .unwrap_err();
    assert_eq!(failure.class, ErrorClass::Fatal);
    assert!(
        failure
            .message
            .contains("model `scripted/demo`: refused; model `nobody/knows`: "),
        "{failure}"
    );
}
