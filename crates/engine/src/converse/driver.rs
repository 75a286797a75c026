//! The script that drives a conversation: kept on a thread of its own, and led again to where an earlier attempt came.

use std::sync::{Mutex, PoisonError};

use domain::agent::conversation::asks::Answer;
use domain::agent::script::{Resume, Start, Yield};
use domain::orchestration::turns::Asked;
use script::error::ScriptError;
use script::limits::Limits;
use script::sandbox::Script;

use super::recording::About;
use super::{Talk, passing};
use crate::perform::{Performed, fatal};

/// A script, as far as it has come.
pub(super) struct Driver {
    /// Behind a lock only so that it may be looked at from everywhere: one at a time resumes it.
    script: Mutex<Option<Script>>,
    /// What it was resumed with by earlier attempts.
    before: Vec<Resume>,
}

impl Driver {
    /// One that earlier attempts resumed with `before`.
    pub(super) const fn led_by(before: Vec<Resume>) -> Self {
        Self {
            script: Mutex::new(None),
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
        let start = self.conversation.start();
        let (script, before) = (
            self.script.kept().take(),
            std::mem::take(&mut self.script.before),
        );
        let work = tokio::task::spawn_blocking(move || {
            let mut script = match script {
                Some(script) => script,
                None => led(&source, &start, &before)?,
            };
            let yielded = script.resume(&resume)?;
            Ok((script, yielded))
        });
        let resumed: Result<(Script, Yield), ScriptError> = work
            .await
            .map_err(|_| fatal("the script's sandbox broke down".to_owned()))?;
        let (script, yielded) = match resumed {
            Ok((script, yielded)) => (Some(script), Ok(yielded)),
            // It was no fault of its own: nothing of it is recorded, and the next attempt goes on here.
            Err(error) if error.may_pass() => return Err(passing(error.to_string())),
            Err(error) => (None, Err(error.to_string())),
        };
        *self.script.kept() = script;
        self.record(About::just(Asked::Script), Answer::Script(yielded))
            .await
    }
}

/// A script led to where an earlier attempt came. What it yields on the way was carried out and recorded then.
fn led(source: &str, start: &Start, before: &[Resume]) -> Result<Script, ScriptError> {
    let mut script = Script::start(source, start, &Limits::default())?;
    for resume in before {
        script.resume(resume)?;
    }
    Ok(script)
}
