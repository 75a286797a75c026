//! A question to a model, and the calls of tools that its answer makes.

use domain::agent::asking::{ModelAnswer, ModelCall};
use domain::agent::conversation::asks::Answer;
use domain::agent::message::{ToolCall, ToolResult};
use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::orchestration::turns::{Asked, Called};
use domain::values::credits::Credits;
use providers::models::asked::AskLimits;
use serde_json::{Value, json};

use super::Talk;
use super::admission::Admission;
use super::hearing::Hearing;
use super::recording::About;
use crate::endpoint::ways;
use crate::perform::{Performed, fatal};

impl Talk {
    /// Asks the models of `call`; calls that change nothing begin while the answer is on its way.
    pub(super) async fn ask_model(&mut self, call: &ModelCall) -> Result<(), Performed> {
        self.hold_enough(call.max_tokens).await?;
        let outside = &self.engine.outside;
        let Some(models) = outside.models.clone() else {
            return Err(fatal(crate::converse::opening::unconfigured(
                &self.assignment.agent,
            )));
        };
        let retries = self.assignment.agent.llm_retries;
        let limits = AskLimits {
            retries: retries.unwrap_or(outside.ask_limits.retries),
            ..outside.ask_limits.clone()
        };
        let tokens = self.expected(call.max_tokens);
        let mut admission = Admission::of(self, tokens);
        self.early = Default::default();
        self.done.clear();
        let mut hearing = Hearing::new(
            (&self.engine, &self.assignment, self.turn),
            &self.conversation,
            &self.toolbox,
            &mut self.early,
        );
        let asked = models
            .ask(call, &limits, &mut admission, |spoken| hearing.hear(spoken))
            .await;
        let pieces = hearing.finish();
        let asked = match asked {
            Ok(asked) => asked,
            Err(failure) => {
                self.use_more(&failure.usage);
                if self.is_paused() && failure.class.retryable() {
                    return Err(self.given_back());
                }
                if let (ErrorClass::RateLimited, Some(until)) = (failure.class, admission.until) {
                    return Err(Performed::Returned {
                        class: failure.class,
                        message: failure.message,
                        until,
                        needs: Credits::ZERO,
                    });
                }
                let nobody = call.models.iter().all(|name| models.check(name).is_err());
                return Err(Performed::Failed {
                    class: failure.class,
                    message: match nobody {
                        true => format!("{}; {}", failure.message, ways(&self.assignment.agent)),
                        false => failure.message,
                    },
                    retry_after: failure.retry_after,
                });
            }
        };
        self.use_more(&asked.usage);
        let about = About {
            model: Some(asked.model.clone()),
            tokens: admission.counted(&asked.usage),
            ..About::just(Asked::Model)
        };
        let answer = ModelAnswer {
            model: asked.model,
            pieces,
            finish: asked.finish,
            usage: asked.usage,
        };
        self.record(about, Answer::Model(Ok(answer))).await
    }

    /// Carries out the first of `calls`: those that change nothing and follow one another together, or one that may. What they gave
    /// is recorded before the next one begins, so that none is made twice once it has answered.
    pub(super) async fn carry_out(&mut self, calls: &[ToolCall]) -> Result<(), Performed> {
        let alike = calls
            .iter()
            .take_while(|call| self.toolbox.is_read_only(&call.name));
        let calls = &calls[..alike.count().max(1).min(calls.len())];
        let results = self.carry_out_together(calls).await;
        let mut calls_of: Usage = Usage::default();
        for call in calls {
            *calls_of.tools.entry(call.name.clone()).or_default() += 1;
        }
        self.use_more(&calls_of);
        let called = calls.iter().zip(&results).map(|(call, result)| Called {
            name: call.name.clone(),
            input: size(&call.input),
            output: size(&result.output),
            failed: result.failed,
        });
        let about = About {
            calls: called.collect(),
            ..About::just(Asked::Tools)
        };
        self.record(about, Answer::Tools(results)).await
    }

    async fn carry_out_together(&mut self, calls: &[ToolCall]) -> Vec<ToolResult> {
        for call in calls {
            if !self.toolbox.has_begun(&call.id) {
                self.toolbox.begin(call.clone(), &mut self.early);
            }
        }
        let missing = |talk: &Self| calls.iter().any(|call| !talk.done.contains_key(&call.id));
        while missing(self) {
            match self.early.join_next().await {
                Some(Ok((id, result))) => drop(self.done.insert(id, result)),
                // It broke down; which one it was is seen when all others are there.
                Some(Err(_)) => {}
                None => break,
            }
        }
        let result = |call: &ToolCall| {
            let broken = || failed(call, "the tool broke down");
            self.done.remove(&call.id).unwrap_or_else(broken)
        };
        calls.iter().map(result).collect()
    }
}

/// A call that failed, for the model to see.
pub(super) fn failed(call: &ToolCall, why: &str) -> ToolResult {
    ToolResult {
        call: call.id.clone(),
        name: call.name.clone(),
        output: json!({"errorMessage": why}),
        failed: true,
    }
}

fn size(value: &Value) -> u64 {
    serde_json::to_string(value).map_or(0, |text| text.len() as u64)
}
