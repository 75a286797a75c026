//! A script at work: started, and resumed from yield to yield.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use domain::agent::script::{News, Resume, Start, Yield};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{ScriptError, Spent};
use crate::generator::{Generator, Given};
use crate::limits::Limits;
use crate::log::Line;
use crate::realm;
use crate::source;

/// How much longer than a step may take we wait for its thread. Fuel and time stop a script long before; this is for what the
/// engine does in one go, without a look at the meter.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// A generator in a sandbox of its own. Dropping it ends the sandbox.
#[derive(Debug)]
pub struct Script {
    resumes: Sender<Given>,
    answers: Receiver<Answer>,
    wait: Duration,
    input_bytes: usize,
    lines: Vec<Line>,
    /// How it ended, told again to whoever goes on asking.
    ended: Option<Result<Yield, ScriptError>>,
}

/// What one step gave.
#[derive(Debug)]
struct Answer {
    yielded: Result<Yield, ScriptError>,
    lines: Vec<Line>,
}

impl Script {
    /// Makes a sandbox and calls the generator function in it, which does not begin its work before the first `resume`.
    /// What is no JavaScript is tried as TypeScript, where that feature is built in.
    /// Blocks: 1 ms at most unless the source is long.
    ///
    /// # Errors
    /// `Source`, `TooLarge`, `OutOfMemory`, `OutOfTime`, `OutOfStack`, `Threw` by a default of its parameters, `Sandbox`.
    pub fn start(source: &str, start: &Start, limits: &Limits) -> Result<Script, ScriptError> {
        let generator = source::generator(source)?.ok_or_else(|| {
            ScriptError::Source("handleSteps is empty: there is no script".to_owned())
        })?;
        bounded("the source text", generator.len(), limits.source_bytes)?;
        let rest = Started {
            prompt: start.prompt.as_deref(),
            params: &start.params,
            model: start.model.as_deref(),
        };
        let staying = json(&start.agent_state)?;
        bounded("what a script is given", staying.len(), limits.input_bytes)?;
        let begin = |generator: &str| {
            let given = given(&start.news, &rest, limits.input_bytes)?;
            Script::begin(generator, staying.clone(), given, limits)
        };
        match begin(generator) {
            #[cfg(feature = "typescript")]
            Err(ScriptError::Source(_)) => begin(&crate::strip::generator(generator)?),
            begun => begun,
        }
    }

    fn begin(
        generator: &str,
        staying: String,
        given: Given,
        limits: &Limits,
    ) -> Result<Script, ScriptError> {
        let expression = format!("({generator}\n)");
        let (resumes, asked) = channel::<Given>();
        let (answer, answers) = channel();
        let output_bytes = limits.output_bytes;
        realm::start(limits.clone(), move |realm| {
            let tell = |yielded, lines| answer.send(Answer { yielded, lines }).is_ok();
            let called = realm.and_then(|realm| {
                let generator = Generator::call(realm, &expression, staying, given)?;
                Ok((realm, generator))
            });
            match called {
                Err(error) => {
                    tell(Err(error), Vec::new());
                }
                Ok((realm, generator)) => {
                    // What is said of the start is that it went well.
                    let mut goes_on = tell(Ok(Yield::Step), realm.log.borrow_mut().take());
                    while goes_on && let Ok(given) = asked.recv() {
                        realm.meter.begin();
                        let yielded = generator.step(realm, given, output_bytes);
                        let over = is_over(&yielded);
                        goes_on = tell(yielded, realm.log.borrow_mut().take()) && !over;
                    }
                }
            }
        })?;

        let mut script = Script {
            resumes,
            answers,
            wait: limits.step_time + PATIENCE,
            input_bytes: limits.input_bytes,
            lines: Vec::new(),
            ended: None,
        };
        script.hear()?;
        Ok(script)
    }

    /// Lets the script go on to its next yield. Blocks as long as that takes, at most `step_time` and a little: well under
    /// 1 ms for a script that only decides. After `Done` or an error it gives the same again.
    ///
    /// # Errors
    /// All but `Source`.
    pub fn resume(&mut self, resume: &Resume) -> Result<Yield, ScriptError> {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        let yielded = self.ask(resume);
        if is_over(&yielded) {
            self.ended = Some(yielded.clone());
        }
        yielded
    }

    /// What the script has said by `console` and `logger` since the last time: at most 200 lines a step, and how many more
    /// there were.
    pub fn take_lines(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.lines)
    }

    fn ask(&mut self, resume: &Resume) -> Result<Yield, ScriptError> {
        let rest = Resumed {
            tool_result: &resume.tool_result,
            steps_complete: resume.steps_complete,
            n_responses: resume.n_responses.as_deref(),
        };
        let given = given(&resume.news, &rest, self.input_bytes)?;
        self.resumes.send(given).map_err(|_| broken())?;
        self.hear()
    }

    fn hear(&mut self) -> Result<Yield, ScriptError> {
        match self.answers.recv_timeout(self.wait) {
            Ok(answer) => {
                self.lines.extend(answer.lines);
                answer.yielded
            }
            Err(RecvTimeoutError::Timeout) => {
                let ms = u64::try_from(self.wait.as_millis()).unwrap_or(u64::MAX);
                Err(ScriptError::OutOfTime(Spent::Time(ms)))
            }
            Err(RecvTimeoutError::Disconnected) => Err(broken()),
        }
    }
}

/// Looks whether a text is a script that could be started: its form, its grammar, its length. Calls nothing of it.
///
/// # Errors
/// As `Script::start`.
pub fn check(source: &str, limits: &Limits) -> Result<(), ScriptError> {
    let nothing = Start {
        agent_state: Value::Null,
        news: News::default(),
        prompt: None,
        params: Map::new(),
        model: None,
    };
    Script::start(source, &nothing, limits).map(|_| ())
}

/// A start as the generator sees it: what is not there is `undefined`, for defaults in its parameters to take effect.
#[derive(Serialize)]
struct Started<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
    params: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
}

/// A resume as the generator sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resumed<'a> {
    tool_result: &'a [Value],
    steps_complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    n_responses: Option<&'a [String]>,
}

fn given(news: &News, rest: &impl Serialize, limit: usize) -> Result<Given, ScriptError> {
    let given = Given {
        state: json(&news.state)?,
        kept: news.kept,
        messages: news.messages.clone(),
        rest: json(rest)?,
    };
    bounded("what a script is given", given.bytes(), limit)?;
    Ok(given)
}

fn json(value: &impl Serialize) -> Result<String, ScriptError> {
    serde_json::to_string(value).map_err(|error| ScriptError::Sandbox(error.to_string()))
}

/// Refuses what is longer than it may be.
pub(crate) fn bounded(what: &'static str, bytes: usize, limit: usize) -> Result<(), ScriptError> {
    if bytes > limit {
        return Err(ScriptError::TooLarge { what, bytes, limit });
    }
    Ok(())
}

fn is_over(yielded: &Result<Yield, ScriptError>) -> bool {
    matches!(yielded, Err(_) | Ok(Yield::Done))
}

fn broken() -> ScriptError {
    ScriptError::Sandbox("its thread has ended".to_owned())
}
