//! What is heard of an answer on its way: shown live, put together, and its harmless calls begun.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::agent::asking::{Delta as Said, Piece};
use domain::agent::conversation::Conversation;
use domain::agent::message::ToolResult;
use domain::agent::stream::{Assembly, Shown};
use providers::models::asked::Spoken;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::toolbox::Toolbox;
use crate::handle::Engine;
use crate::live::{Delta, DeltaKind};
use crate::perform::Assignment;

/// Longest text that is shown in one piece, in bytes. As JSON each may take six, and 16 KB pass uncut.
const SHOWN_MAX: usize = 2 << 10;

/// Listens to one answer.
pub(super) struct Hearing<'a> {
    engine: &'a Engine,
    assignment: &'a Assignment,
    turn: u32,
    conversation: &'a Conversation,
    toolbox: &'a Arc<Toolbox>,
    early: &'a mut JoinSet<(String, ToolResult)>,
    assembly: Assembly,
    shown: Vec<Shown>,
    /// Bytes of each kind of text that were told.
    told: BTreeMap<&'static str, usize>,
}

impl<'a> Hearing<'a> {
    pub(super) fn new(
        (engine, assignment, turn): (&'a Engine, &'a Assignment, u32),
        conversation: &'a Conversation,
        toolbox: &'a Arc<Toolbox>,
        early: &'a mut JoinSet<(String, ToolResult)>,
    ) -> Self {
        toolbox.forget_begun();
        Self {
            engine,
            assignment,
            turn,
            conversation,
            toolbox,
            early,
            assembly: Assembly::new(false),
            shown: Vec::new(),
            told: BTreeMap::new(),
        }
    }

    pub(super) fn hear(&mut self, spoken: Spoken) {
        match spoken {
            Spoken::Delta(delta) => self.take(delta),
            Spoken::Asked { in_words } => self.assembly = Assembly::new(in_words),
            Spoken::Anew { why } => {
                self.told.clear();
                self.early.abort_all();
                *self.early = JoinSet::new();
                self.toolbox.forget_begun();
                self.tell(json!({"turn": self.turn, "superseded": true, "why": why}));
            }
        }
    }

    /// All that was said.
    pub(super) fn finish(mut self) -> Vec<Piece> {
        let assembly = std::mem::replace(&mut self.assembly, Assembly::new(false));
        let pieces = assembly.finish(&mut self.shown);
        for shown in std::mem::take(&mut self.shown) {
            // Calls that were complete only now are carried out when they are asked for.
            if !matches!(shown, Shown::Call(_)) {
                self.show(shown);
            }
        }
        pieces
    }

    fn take(&mut self, delta: Said) {
        self.assembly.push(delta, &mut self.shown);
        for shown in std::mem::take(&mut self.shown) {
            self.show(shown);
        }
    }

    fn show(&mut self, shown: Shown) {
        match shown {
            Shown::Text(text) => self.tell_text("text", &text),
            Shown::Reasoning(text) => self.tell_text("reasoning", &text),
            Shown::Call(at) => self.begin(at),
        }
    }

    /// Begins a call that is complete, where it changes nothing.
    fn begin(&mut self, at: usize) {
        let place = self.assembly.calls_before(at);
        if let Some(Piece::Call { name, input, .. }) = self.assembly.said(at)
            && let Some(call) = self.conversation.early(place, name, input)
        {
            self.toolbox.begin(call, self.early);
        }
    }

    /// Each piece says behind how many bytes of the turn's text it stands, so that who misses one knows.
    fn tell_text(&mut self, kind: &'static str, text: &str) {
        let told = self.told.entry(kind).or_default();
        let mut at = *told;
        *told += text.len();
        if !self.engine.live.wants_deltas(self.assignment.orchestration) {
            return;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.floor_char_boundary(SHOWN_MAX));
            self.tell(json!({"turn": self.turn, "at": at, kind: now}));
            at += now.len();
            rest = later;
        }
    }

    fn tell(&self, data: Value) {
        let id = self.assignment.orchestration;
        if self.engine.live.wants_deltas(id) {
            let delta = Delta {
                step: self.assignment.step.clone(),
                attempt: self.assignment.attempt,
                kind: DeltaKind::Progress,
                data,
            };
            self.engine.live.tell(id, delta);
        }
    }
}
