//! An agent's output: what is handed in with `set_output`, and what is taken from the history.

use serde_json::{Value, json};

use super::ending::Spoken;
use super::history::{Entry, History, Origin};
use super::setup::{Output, Setup};
use super::{public, work};
use crate::agent::message::{Message, Purpose, Role};

/// What `input`, handed in with `set_output`, is as an output: itself, or its `data` where only that fits.
///
/// # Errors
/// What is wrong with it, for the model: with the whole or with `data`, whichever has fewer faults.
pub(super) fn handed_in(setup: &Setup, input: &Value) -> Result<Value, String> {
    let value = match &setup.output {
        Output::Structured(Some(schema)) => {
            let data = input.get("data");
            if schema.fits(input) {
                input
            } else if let Some(data) = data.filter(|data| schema.fits(data)) {
                data
            } else {
                let whole = schema.faults(input);
                let inner = data.and_then(|data| schema.faults(data));
                let fewest = [whole, inner]
                    .into_iter()
                    .flatten()
                    .min_by_key(|faults| faults.count);
                let told = fewest.map_or_else(String::new, |faults| faults.told);
                return Err(format!("Output validation error: {told}"));
            }
        }
        _ => match input.as_object() {
            Some(members) if members.len() == 1 => members.get("data").unwrap_or(input),
            _ => input,
        },
    };
    if let Some(check) = &setup.check {
        (check.0)(value).map_err(|fault| format!("Output validation error: {fault}"))?;
    }
    Ok(value.clone())
}

/// The output that an answer's text spells, where it is one JSON value, alone or in a fence.
///
/// # Errors
/// What is wrong with it, as [`handed_in`] says it.
pub(super) fn spelt(setup: &Setup, text: &str) -> Option<Result<Value, String>> {
    let value = json_in(text)?;
    (value.is_object() || value.is_array()).then(|| handed_in(setup, &value))
}

/// The JSON value that `text` is, alone or in a fence.
pub(super) fn json_in(text: &str) -> Option<Value> {
    let text = text.trim();
    let inner = text
        .strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"))
        .and_then(|rest| rest.split_once('\n'))
        .map_or(text, |(_, inner)| inner);
    serde_json::from_str(inner).ok()
}

/// `last_message`: the last block of what the model said and its tools gave; nothing if there is none.
pub(super) fn last_message(history: &History) -> Option<Value> {
    let messages = public::said(last_block(history));
    (!messages.is_empty()).then(|| json!({"type": "lastMessage", "value": messages}))
}

/// The same, unless all of it is calls, what they gave and thoughts: they are no use to who did not make them.
pub(super) fn last_words(history: &History) -> Option<Value> {
    let speaks = |message: &Message| {
        message.role == Role::Assistant && work::spoken(message) == Spoken::Words
    };
    let spoken = last_block(history).any(speaks);
    spoken.then(|| last_message(history)).flatten()
}

fn last_block(history: &History) -> impl Iterator<Item = &Message> {
    let mut block: Vec<&Entry> = Vec::new();
    for entry in history.entries.iter().rev() {
        match entry.message.role {
            Role::Assistant | Role::Tool if entry.origin == Origin::Own => block.push(entry),
            _ if is_note(entry) => {}
            _ if block.is_empty() => {}
            _ => break,
        }
    }
    block.into_iter().rev().map(|entry| entry.message.as_ref())
}

/// `all_messages`: all that was said after the prompt.
pub(super) fn all_messages(history: &History) -> Value {
    let said = history.entries.iter().filter(|entry| {
        let given = [Purpose::Context, Purpose::Data, Purpose::UserPrompt];
        let given = given
            .iter()
            .any(|given| entry.message.purpose == Some(*given));
        entry.origin == Origin::Own && !given && !is_note(entry)
    });
    let messages = public::said(said.map(|entry| entry.message.as_ref()));
    json!({"type": "allMessages", "value": messages})
}

/// Told by whoever leads the conversation, and no part of what is said in it.
fn is_note(entry: &Entry) -> bool {
    matches!(
        entry.message.purpose,
        Some(Purpose::GoOn | Purpose::CallError | Purpose::Omitted)
    )
}
