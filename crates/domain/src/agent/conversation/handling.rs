//! Calls are carried out in the order said: inside the conversation, or asked for; children together.

use std::sync::Arc;

use serde_json::{Value, json};

use super::asks::{ChildAsk, ChildOutcome};
use super::calls::Kind;
use super::spawning::{self, Want};
use super::work::{Speaker, Work};
use super::{Conversation, Stage, output, public};
use crate::agent::message::{Message, Part, Role, ToolCall, ToolResult};

impl Conversation {
    /// Carries on with the calls at work until something must be asked for, or all are done.
    pub(super) fn carry_on(&mut self) {
        let Some(mut work) = self.work.take() else {
            return self.go_on();
        };
        let mut outside = Vec::new();
        while let Some(pending) = work.calls.get(work.next) {
            let at = work.next;
            let ends_turn = pending.ends_turn;
            match &pending.kind {
                Kind::Refused(why) => {
                    let told = json!({"errorMessage": why});
                    work.give(at, told, true);
                }
                Kind::Inside => {
                    let (output, failed) = self.inside(&mut work, at);
                    work.give(at, output, failed);
                    if !failed {
                        note_call(&mut work, at, ends_turn);
                    }
                }
                Kind::Outside => {
                    note_call(&mut work, at, ends_turn);
                    outside.push(at);
                }
                Kind::Spawn(_) if !outside.is_empty() => break,
                Kind::Spawn(_) => {
                    let children = self.admitted(&mut work);
                    if !children.is_empty() {
                        self.stage = Stage::Children(children);
                        self.work = Some(work);
                        return;
                    }
                    continue;
                }
            }
            work.next += 1;
        }
        if !outside.is_empty() {
            self.stage = Stage::Tools(outside);
            self.work = Some(work);
            return;
        }
        self.done_with(work);
    }

    /// The children that the calls at hand may have, all that follow one another together. The calls that may have none are
    /// answered.
    fn admitted(&mut self, work: &mut Work) -> Vec<(usize, usize)> {
        let mut children = Vec::new();
        let mut at = work.next;
        while let Some(pending) = work.calls.get_mut(at) {
            let Kind::Spawn(entries) = &mut pending.kind else {
                break;
            };
            let mut refused = entries.is_empty();
            for (place, entry) in entries.iter_mut().enumerate() {
                if matches!(entry.want, Want::Child { .. }) {
                    if self.setup.limits.depth == 0 {
                        entry.refuse(
                            "Agents cannot be spawned from here: it would be too deep.".to_owned(),
                        );
                    } else if self.children_left == 0 {
                        let most = self.setup.limits.children;
                        entry.refuse(format!(
                            "No more agents can be spawned: {most} is the most here."
                        ));
                    } else {
                        self.children_left -= 1;
                        children.push((at, place));
                        continue;
                    }
                }
                refused = true;
            }
            // Some of it could not be done, which the model has not seen yet.
            work.turn.error |= refused && !entries.is_empty();
            note_call(work, at, false);
            at += 1;
        }
        for done in work.next..at {
            if !children.iter().any(|(call, _)| *call == done) {
                answer_spawn(work, done);
            }
        }
        work.next = at;
        children
    }

    pub(super) fn asked_calls(&self, calls: &[usize]) -> Vec<ToolCall> {
        let work = self.work.iter();
        work.flat_map(|work| calls.iter().filter_map(|at| work.call(*at).cloned()))
            .collect()
    }

    pub(super) fn asked_children(&self, children: &[(usize, usize)]) -> Vec<ChildAsk> {
        let Some(work) = &self.work else {
            return Vec::new();
        };
        let asks = children.iter().filter_map(|(at, place)| {
            let Kind::Spawn(entries) = &work.calls.get(*at)?.kind else {
                return None;
            };
            let Want::Child {
                spawnable,
                prompt,
                params,
            } = &entries.get(*place)?.want
            else {
                return None;
            };
            let agent = self.setup.spawnable.get(*spawnable)?;
            let history = if agent.include_history {
                self.history_for(work, *at, &agent.display_name)
            } else {
                Vec::new()
            };
            Some(ChildAsk {
                call: work.call(*at)?.id.clone(),
                agent: agent.reference.clone(),
                prompt: prompt.clone(),
                params: params.clone(),
                history,
            })
        });
        asks.collect()
    }

    /// What a child begins with: what was said before the call that wants it, without calls that are still open.
    fn history_for(&self, work: &Work, call: usize, name: &str) -> Vec<Arc<Message>> {
        let mut history: Vec<Arc<Message>> = self.history.messages().cloned().collect();
        if work.speaker == Speaker::Model {
            history.extend(work.until(call));
        }
        let told = format!("Subagent {name} has been spawned.");
        history.push(Arc::new(Message::text(Role::User, told)));
        history
    }

    /// Takes in what the tools gave. Calls behind the last one that has a result are still waited for.
    pub(super) fn given(&mut self, calls: &[usize], mut results: Vec<ToolResult>) {
        let mut later = Vec::new();
        if let Some(work) = &mut self.work {
            let id = |work: &Work, at: usize| work.call(at).map(|call| call.id.clone());
            let has_one = |at: &usize| {
                let id = id(work, *at);
                results.iter().any(|given| Some(&given.call) == id.as_ref())
            };
            let now = calls.iter().rposition(has_one);
            let (now, rest) = calls.split_at(now.map_or(calls.len(), |last| last + 1));
            later = rest.to_vec();
            for at in now {
                let id = id(work, *at);
                let found = results
                    .iter()
                    .position(|result| Some(&result.call) == id.as_ref());
                match found.map(|found| results.swap_remove(found)) {
                    Some(result) => work.give(*at, result.output, result.failed),
                    None => {
                        let told = json!({"errorMessage": "The tool gave no result."});
                        work.give(*at, told, true);
                    }
                }
            }
        }
        if !later.is_empty() {
            self.stage = Stage::Tools(later);
            return;
        }
        self.carry_on();
    }

    /// Takes in how the children ended.
    pub(super) fn ended(&mut self, children: &[(usize, usize)], ends: Vec<ChildOutcome>) {
        let missing = || ChildOutcome::Failed {
            message: "Nothing is known of this child.".to_owned(),
        };
        let ends = ends.into_iter().chain(std::iter::repeat_with(missing));
        if let Some(work) = &mut self.work {
            for ((at, place), end) in children.iter().zip(ends) {
                if let Some(pending) = work.calls.get_mut(*at)
                    && let Kind::Spawn(entries) = &mut pending.kind
                    && let Some(entry) = entries.get_mut(*place)
                {
                    entry.ended(&self.setup, end);
                }
            }
            let mut calls: Vec<usize> = children.iter().map(|(at, _)| *at).collect();
            calls.dedup();
            for at in calls {
                answer_spawn(work, at);
            }
        }
        self.carry_on();
    }

    /// All calls are carried out.
    fn done_with(&mut self, mut work: Work) {
        let results = work.results();
        let by_script = match work.speaker {
            Speaker::Model => None,
            Speaker::Call { .. } | Speaker::Text => results.clone(),
        };
        if work.speaker != (Speaker::Call { kept: false }) && !work.message.parts.is_empty() {
            self.history.push(Arc::clone(&work.message));
            if let Some(results) = results {
                self.history.push(results);
            }
        }
        for message in std::mem::take(&mut work.added) {
            self.history.push(message);
        }
        match work.speaker {
            Speaker::Model => self.turn_is_over(&work),
            Speaker::Call { .. } | Speaker::Text => self.script_spoke(by_script),
        }
    }

    /// Carries out a call that is done inside; what it gives, and whether that is an error.
    fn inside(&mut self, work: &mut Work, at: usize) -> (Value, bool) {
        let message = Arc::clone(&work.message);
        let part = work
            .calls
            .get(at)
            .and_then(|pending| message.parts.get(pending.at));
        let Some(Part::ToolCall(call)) = part else {
            return (Value::Null, true);
        };
        match self.carry_out(work, call) {
            Ok(told) => (json!({"message": told}), false),
            Err(why) => {
                let told = format!("Invalid parameters for {}: {why}", call.name);
                (json!({"errorMessage": told}), true)
            }
        }
    }

    fn carry_out(&mut self, work: &mut Work, call: &ToolCall) -> Result<String, String> {
        let input = &call.input;
        let text = |key: &str| {
            let text = input.get(key).and_then(Value::as_str);
            text.ok_or_else(|| format!("`{key}` must be a text"))
        };
        Ok(match call.name.as_str() {
            "set_output" => match output::handed_in(&self.setup, input) {
                Ok(value) => {
                    self.output = Some(value);
                    "Output set".to_owned()
                }
                Err(fault) => {
                    self.unfit = Some(fault.clone());
                    fault
                }
            },
            "end_turn" => "Turn ended.".to_owned(),
            "task_completed" => "Task completed.".to_owned(),
            "think_deeply" => text("thought").map(|_| "Thought logged.".to_owned())?,
            "create_plan" => text("plan").map(|_| "Plan noted.".to_owned())?,
            "suggest_followups" => "Followups suggested.".to_owned(),
            "add_subgoal" => self.subgoal(text("id")?, text("objective").map(|_| input)?, false),
            "update_subgoal" => self.subgoal(text("id")?, input, true),
            "add_message" => {
                work.added.push(public::read_one(input)?);
                "Message added.".to_owned()
            }
            "set_messages" => {
                let messages = public::read(input.get("messages").unwrap_or(&Value::Null))?;
                self.history.replace(messages);
                "Messages set.".to_owned()
            }
            other => return Err(format!("there is no tool `{other}`")),
        })
    }

    fn subgoal(&mut self, id: &str, input: &Value, known: bool) -> String {
        if known && !self.subgoals.contains_key(id) {
            return format!("Subgoal with id {id} not found. Create a new subgoal instead.");
        }
        let goal = self.subgoals.entry(id.to_owned()).or_insert_with(
            || json!({"objective": null, "status": "NOT_STARTED", "plan": null, "logs": []}),
        );
        for key in ["objective", "status", "plan"] {
            if let Some(text) = input.get(key).and_then(Value::as_str) {
                goal[key] = text.into();
            }
        }
        if let Some(log) = input.get("log").and_then(Value::as_str)
            && let Some(logs) = goal.get_mut("logs").and_then(Value::as_array_mut)
        {
            logs.push(log.into());
        }
        if known {
            "Subgoal updated."
        } else {
            "Subgoal added."
        }
        .to_owned()
    }
}

fn note_call(work: &mut Work, at: usize, ends_turn: bool) {
    let name = work
        .call(at)
        .map(|call| call.name.clone())
        .unwrap_or_default();
    work.turn.called(&name, ends_turn);
}

fn answer_spawn(work: &mut Work, at: usize) {
    let Some(pending) = work.calls.get_mut(at) else {
        return;
    };
    let kind = std::mem::replace(&mut pending.kind, Kind::Inside);
    if let Kind::Spawn(entries) = kind {
        let (output, failed) = spawning::answer(entries);
        work.give(at, output, failed);
    }
}
