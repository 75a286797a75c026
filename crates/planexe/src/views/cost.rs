//! What it cost to make the plan: model calls, tokens, money.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::plan::{Plan, UnreadableReason};
use crate::read::{self, Reader};
use crate::view::View;

/// The overview that PlanExe keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CostOverview {
    /// US dollars in all.
    pub total_cost: Option<f64>,
    /// Tokens read.
    pub input_tokens: Option<f64>,
    /// Tokens written.
    pub output_tokens: Option<f64>,
    /// Tokens thought.
    pub thinking_tokens: Option<f64>,
    /// By `Provider:model`.
    pub models: BTreeMap<String, ModelUse>,
}

/// What one model did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelUse {
    /// Calls.
    pub calls: Option<f64>,
    /// Tokens read.
    pub input_tokens: Option<f64>,
    /// Tokens written.
    pub output_tokens: Option<f64>,
    /// Tokens thought.
    pub thinking_tokens: Option<f64>,
    /// US dollars.
    pub total_cost: Option<f64>,
}

/// The overview of `activity_overview.json`.
pub fn overview(plan: &Plan) -> View<Option<CostOverview>> {
    read::first(plan, &["activity_overview.json"], |value, reader| {
        let root = reader.root(value)?;
        let mut models = BTreeMap::new();
        for (name, model) in reader.object(root, "", "models").into_iter().flatten() {
            let at = format!("/models/{}", read::escape(name));
            match model.as_object() {
                Some(model) => drop(models.insert(name.clone(), model_use(model, &at, reader))),
                None => reader.skip(at, "not an object"),
            }
        }
        Some(CostOverview {
            total_cost: reader.number(root, "", "total_cost"),
            input_tokens: reader.number(root, "", "total_input_tokens"),
            output_tokens: reader.number(root, "", "total_output_tokens"),
            thinking_tokens: reader.number(root, "", "total_thinking_tokens"),
            models,
        })
    })
}

fn model_use(model: &Map<String, Value>, at: &str, reader: &mut Reader) -> ModelUse {
    ModelUse {
        calls: reader.number(model, at, "calls"),
        input_tokens: reader.number(model, at, "input_tokens"),
        output_tokens: reader.number(model, at, "output_tokens"),
        thinking_tokens: reader.number(model, at, "thinking_tokens"),
        total_cost: reader.number(model, at, "total_cost"),
    }
}

/// One model call.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelCall {
    /// When, as stated.
    pub timestamp: Option<String>,
    /// Whether it succeeded, where stated.
    pub success: Option<bool>,
    /// The model.
    pub model: Option<String>,
    /// Seconds.
    pub seconds: Option<f64>,
    /// Tokens read.
    pub input_tokens: Option<f64>,
    /// Tokens written.
    pub output_tokens: Option<f64>,
    /// US dollars.
    pub cost: Option<f64>,
    /// What went wrong.
    pub error: Option<String>,
    /// `line N`, from 1.
    pub pointer: String,
}

/// The calls of `usage_metrics.jsonl`, in their order.
pub fn calls(plan: &Plan) -> View<Vec<ModelCall>> {
    const NAME: &str = "usage_metrics.jsonl";
    let mut view = View::<Vec<ModelCall>>::default();
    match plan.text(NAME) {
        Ok(text) => {
            let mut reader = Reader::new(NAME);
            for (index, line) in text
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.trim().is_empty())
            {
                let pointer = format!("line {}", index + 1);
                match read::json(line) {
                    Ok(Value::Object(row)) => view.value.push(call(&row, pointer, &mut reader)),
                    Ok(_) => reader.skip(pointer, "not an object"),
                    Err(reason) => reader.skip(pointer, reason.to_string()),
                }
            }
            view.source = Some(NAME.to_owned());
            view.skipped = reader.into_skipped();
        }
        Err(unreadable) if unreadable.reason == UnreadableReason::Missing => {}
        Err(unreadable) => view.skip(NAME, "", unreadable.reason.to_string()),
    }
    view
}

fn call(row: &Map<String, Value>, pointer: String, reader: &mut Reader) -> ModelCall {
    ModelCall {
        timestamp: reader.text(row, &pointer, "timestamp"),
        success: row.get("success").and_then(Value::as_bool),
        model: reader.text(row, &pointer, "model"),
        seconds: reader.number(row, &pointer, "duration_seconds"),
        input_tokens: reader.number(row, &pointer, "input_tokens"),
        output_tokens: reader.number(row, &pointer, "output_tokens"),
        cost: reader.number(row, &pointer, "cost_usd"),
        error: reader.text(row, &pointer, "error"),
        pointer,
    }
}
