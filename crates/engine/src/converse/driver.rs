//! The script that drives a conversation: kept on a thread of its own, and led again to where an earlier attempt came.

use std::sync::{Mutex, PoisonError};

use domain::agent::conversation::asks::Answer;
use domain::agent::script::{Resume, Yield};
use domain::orchestration::turns::Asked;
use script::limits::Limits;
use script::sandbox::Script;

use super::Talk;
use super::recording::About;
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
        let work =
            tokio::task::spawn_blocking(move || -> (Option<Script>, Result<Yield, String>) {
                let script = match script {
                    Some(script) => Ok(script),
                    None => Script::start(&source, &start, &Limits::default()),
                };
                let mut script = match script {
                    Ok(script) => script,
                    Err(error) => return (None, Err(error.to_string())),
                };
                // What it yields here was carried out and recorded then.
                for resume in &before {
                    if let Err(error) = script.resume(resume) {
                        return (None, Err(error.to_string()));
                    }
                }
                let yielded = script.resume(&resume).map_err(|error| error.to_string());
                (Some(script), yielded)
            });
        let (script, yielded) = work
            .await
            .map_err(|_| fatal("the script's sandbox broke down".to_owned()))?;
        *self.script.kept() = script;
        self.record(About::just(Asked::Script), Answer::Script(yielded))
            .await
    }
}
