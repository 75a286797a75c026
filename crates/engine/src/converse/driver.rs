//! The script that drives a conversation: kept on a thread of its own, and led again to where an earlier attempt came.

use std::sync::{Mutex, PoisonError};

use domain::agent::conversation::asks::Answer;
use domain::agent::script::{Resume, Start, Yield};
use domain::orchestration::turns::Asked;
use script::error::ScriptError;
use script::limits::Limits;
use script::log::Line;
use script::sandbox::Script;
use tracing::debug;

use super::recording::About;
use super::{Talk, passing};
use crate::perform::{Performed, fatal};

/// A resume that an earlier attempt recorded.
#[derive(Debug)]
pub(super) struct Resumed {
    /// The turn's number.
    pub(super) turn: i64,
    /// What the script was resumed with.
    pub(super) with: Resume,
    /// What it yielded.
    pub(super) yielded: Yield,
}

/// A script, as far as it has come.
pub(super) struct Driver {
    /// Behind a lock only so that it may be looked at from everywhere: one at a time resumes it.
    script: Mutex<Option<Script>>,
    /// What it is to be called with; nothing once it was.
    start: Option<Start>,
    /// How earlier attempts resumed it.
    before: Vec<Resumed>,
}

impl Driver {
    /// One that is called with `start`, and that earlier attempts resumed with `before`.
    pub(super) const fn led_by(start: Option<Start>, before: Vec<Resumed>) -> Self {
        Self {
            script: Mutex::new(None),
            start,
            before,
        }
    }

    fn kept(&mut self) -> &mut Option<Script> {
        self.script
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Talk {
    /// Resumes the script.
    pub(super) async fn resume_script(&mut self, resume: Resume) -> Result<(), Performed> {
        let Some(source) = self.assignment.agent.handle_steps.clone() else {
            return Err(fatal("a script is asked for, and there is none".to_owned()));
        };
        let script = self.script.kept().take();
        let start = self.script.start.take();
        let before = std::mem::take(&mut self.script.before);
        let work = tokio::task::spawn_blocking(move || {
            let mut script = match (script, start) {
                (Some(script), _) => script,
                (None, Some(start)) => led(&source, &start, &before)?,
                (None, None) => return Err(ScriptError::Sandbox("it has ended".to_owned())),
            };
            let yielded = script.resume(&resume);
            Ok((
                script.take_lines(),
                yielded.map(|yielded| (script, yielded)),
            ))
        });
        let resumed: Result<(Vec<Line>, _), ScriptError> = work
            .await
            .map_err(|_| fatal("the script's sandbox broke down".to_owned()))?;
        let yielded = resumed.and_then(|(lines, yielded)| {
            self.tell(&lines);
            yielded
        });
        let (script, yielded): (_, Result<Yield, String>) = match yielded {
            Ok((script, yielded)) => (Some(script), Ok(yielded)),
            // It was no fault of its own: nothing of it is recorded, and the next attempt goes on here.
            Err(error) if error.may_pass() => return Err(passing(error.to_string())),
            Err(error) => (None, Err(error.to_string())),
        };
        *self.script.kept() = script;
        self.record(About::just(Asked::Script), Answer::Script(yielded))
            .await
    }

    /// What the script says by `console` and `logger` is for who reads the program's log closely.
    fn tell(&self, lines: &[Line]) {
        for Line { level, text } in lines {
            debug!(orchestration.id = %self.assignment.orchestration, step.id = %self.assignment.step, "The script says ({level}): {text}");
        }
    }
}

/// A script led to where an earlier attempt came. What it yields and says on the way was carried out and told then: one that yields
/// something else is not where that was, and goes no further.
fn led(source: &str, start: &Start, before: &[Resumed]) -> Result<Script, ScriptError> {
    let mut script = Script::start(source, start, &Limits::default())?;
    for known in before {
        let yielded = script.resume(&known.with)?;
        if yielded != known.yielded {
            return Err(ScriptError::astray(known.turn, &known.yielded, &yielded));
        }
    }
    drop(script.take_lines());
    Ok(script)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use domain::agent::script::News;
    use serde_json::{Map, json};

    #[test]
    fn a_script_that_goes_another_way_than_before_is_led_no_further_and_the_turn_is_named() {
        let start = Start {
            agent_state: json!({}),
            news: News::default(),
            prompt: None,
            params: Map::new(),
            model: None,
        };
        let resumed = |turn: i64, yielded: Yield| Resumed {
            turn,
            with: Resume {
                news: News::default(),
                tool_result: Vec::new(),
                steps_complete: false,
                n_responses: None,
            },
            yielded,
        };
        let script = "function* () { yield 'STEP'; yield 'STEP_ALL'; yield 'STEP' }";
        let before = [resumed(1, Yield::Step), resumed(4, Yield::StepAll)];
        assert!(led(script, &start, &before).is_ok());
        let before = [resumed(1, Yield::Step), resumed(4, Yield::GenerateN(2))];
        let error = led(script, &start, &before).unwrap_err();
        assert!(!error.may_pass());
        let told = error.to_string();
        for part in ["turn 4", "step_all", "generate_n"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
