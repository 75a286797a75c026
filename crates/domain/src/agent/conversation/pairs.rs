//! Calls and their results: no history is kept in which one of them stands alone.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::agent::message::{Message, Part, Role};

/// As [`repaired`], without touching a history in which nothing stands alone.
pub(super) fn repaired_or_shared(messages: &[Arc<Message>]) -> Vec<Arc<Message>> {
    let calls = |message: &Arc<Message>| ids_called(message).len();
    let results = |message: &Arc<Message>| ids_answered(message).count();
    let pairs: usize = answered(messages).iter().map(BTreeSet::len).sum();
    let whole = messages.iter().map(calls).sum::<usize>() == pairs
        && messages.iter().map(results).sum::<usize>() == pairs;
    if whole {
        return messages.to_vec();
    }
    let own = messages.iter().map(|message| message.as_ref().clone());
    repaired(own.collect()).into_iter().map(Arc::new).collect()
}

/// Takes out calls that the messages right after do not answer, results that answer no call right before, second ones of
/// the same id, and messages that are left empty.
pub(super) fn repaired(messages: Vec<Message>) -> Vec<Message> {
    let answered = answered(&messages);
    let mut open = BTreeSet::new();
    let mut kept = Vec::with_capacity(messages.len());
    for (mut message, answered) in messages.into_iter().zip(answered) {
        if message.role != Role::Tool {
            open.clone_from(&answered);
        }
        let mut called = BTreeSet::new();
        message.parts.retain(|part| match part {
            Part::ToolCall(call) => answered.contains(&call.id) && called.insert(call.id.clone()),
            Part::ToolResult(result) => message.role == Role::Tool && open.remove(&result.call),
            Part::Text { .. } | Part::Reasoning { .. } => true,
        });
        if !message.parts.is_empty() {
            kept.push(message);
        }
    }
    kept
}

/// For each message the ids of its calls that are answered right after it, and were not used before.
fn answered<M: Borrow<Message>>(messages: &[M]) -> Vec<BTreeSet<String>> {
    let mut seen = BTreeSet::new();
    let answered = messages.iter().enumerate().map(|(at, message)| {
        let calls = ids_called(message.borrow());
        let after = messages[at + 1..].iter().map(Borrow::borrow);
        let results = after
            .take_while(|message| message.role == Role::Tool)
            .flat_map(ids_answered);
        let answered: BTreeSet<String> = results
            .filter(|id| calls.contains(id) && !seen.contains(*id))
            .map(ToOwned::to_owned)
            .collect();
        seen.extend(answered.iter().cloned());
        answered
    });
    answered.collect()
}

fn ids_called(message: &Message) -> BTreeSet<&str> {
    let calls = message.parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) if message.role == Role::Assistant => Some(call.id.as_str()),
        _ => None,
    });
    calls.collect()
}

fn ids_answered(message: &Message) -> impl Iterator<Item = &str> {
    message.parts.iter().filter_map(|part| match part {
        Part::ToolResult(result) => Some(result.call.as_str()),
        _ => None,
    })
}
