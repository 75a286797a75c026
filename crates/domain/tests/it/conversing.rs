//! Conversations in a small language: a model, tools, children and a script that say what a test has them say.

mod bounds;
mod calls;
mod children;
mod data;
mod ends;
mod outputs;
mod properties;
mod scripts;

use std::collections::VecDeque;
use std::sync::Arc;

use domain::agent::asking::{Finish, ModelAnswer, ModelCall, Piece, ToolSpec};
use domain::agent::conversation::Conversation;
use domain::agent::conversation::asks::{Answer, Ask, ChildAsk, ChildOutcome, End};
use domain::agent::conversation::setup::{Output, Setup, Spawnable, Tool};
use domain::agent::message::{Message, Part, Role, ToolCall, ToolResult};
use domain::agent::schema::Schema;
use domain::agent::script::{Resume, Yield};
use domain::money::usage::Usage;
use serde_json::{Value, json};

/// An agent with a prompt, a tool to look at things with, and the tools named.
pub fn agent(tool_names: &[&str]) -> Setup {
    Setup {
        agent: "reviewer".to_owned(),
        display_name: "Reviewer".to_owned(),
        id: "reviewer/1".to_owned(),
        models: vec!["scripted".to_owned()],
        prompt: Some("Review the plan.".to_owned()),
        tool_names: tool_names.iter().map(|name| (*name).to_owned()).collect(),
        tools: vec![tool("look"), tool("write")],
        ..Setup::default()
    }
}

pub fn tool(name: &str) -> Tool {
    Tool::new(ToolSpec {
        name: name.to_owned(),
        description: format!("May {name}."),
        input_schema: json!({"type": "object", "properties": {"at": {"type": "string"}}}),
        read_only: name == "look",
    })
}

pub fn spawnable(reference: &str) -> Spawnable {
    Spawnable {
        reference: reference.to_owned(),
        display_name: reference.to_uppercase(),
        spawner_prompt: Some(format!("When {reference} is wanted.")),
        prompt: None,
        params: None,
        include_history: false,
        structured: true,
    }
}

pub fn structured(schema: Value) -> Output {
    Output::Structured(Some(Arc::new(Schema::new(schema))))
}

/// What a model says: an answer that ends as it should.
pub fn says(pieces: impl IntoIterator<Item = Piece>) -> ModelAnswer {
    let pieces: Vec<Piece> = pieces.into_iter().collect();
    let calls = pieces
        .iter()
        .any(|piece| matches!(piece, Piece::Call { .. }));
    ModelAnswer {
        model: "scripted".to_owned(),
        pieces,
        finish: if calls { Finish::Calls } else { Finish::Stop },
        usage: Usage::of_tokens(10),
    }
}

pub fn cut(finish: Finish, pieces: impl IntoIterator<Item = Piece>) -> ModelAnswer {
    ModelAnswer {
        finish,
        usage: Usage::default(),
        ..says(pieces)
    }
}

pub fn text(text: &str) -> Piece {
    Piece::Text {
        text: text.to_owned(),
    }
}

pub fn thought(text: &str) -> Piece {
    Piece::Reasoning {
        text: text.to_owned(),
        signature: None,
    }
}

pub fn call(name: &str, input: Value) -> Piece {
    Piece::Call {
        id: "provider's".to_owned(),
        name: name.to_owned(),
        input,
    }
}

pub fn bad_call(name: Option<&str>, text: &str) -> Piece {
    Piece::BadCall {
        id: "provider's".to_owned(),
        name: name.map(ToOwned::to_owned),
        text: text.to_owned(),
        why: "expected value at line 1 column 1".to_owned(),
    }
}

pub fn yields(name: &str, input: Value) -> Yield {
    Yield::Tool {
        tool_name: name.to_owned(),
        input,
        include_tool_call: true,
    }
}

/// What a call gives, and whether that is an error.
type Tools = Box<dyn FnMut(&ToolCall) -> (Value, bool)>;

/// A conversation with all that was asked in it.
pub struct Stage {
    pub conversation: Conversation,
    model: VecDeque<ModelAnswer>,
    script: VecDeque<Result<Yield, String>>,
    pub tool: Tools,
    pub child: Box<dyn FnMut(&ChildAsk) -> ChildOutcome>,
    pub questions: Vec<ModelCall>,
    pub tools: Vec<Vec<ToolCall>>,
    pub children: Vec<Vec<ChildAsk>>,
    pub resumes: Vec<Resume>,
}

/// A conversation whose model says this, answer by answer. Tools give `{"ok": <name>}`, children `{"did": <prompt>}`.
pub fn stage(setup: Setup, model: impl IntoIterator<Item = ModelAnswer>) -> Stage {
    Stage {
        conversation: Conversation::new(setup),
        model: model.into_iter().collect(),
        script: VecDeque::new(),
        tool: Box::new(|call| (json!({"ok": call.name}), false)),
        child: Box::new(|ask| ChildOutcome::Completed {
            value: json!({"did": ask.prompt}),
        }),
        questions: Vec::new(),
        tools: Vec::new(),
        children: Vec::new(),
        resumes: Vec::new(),
    }
}

impl Stage {
    pub fn script(mut self, yields: impl IntoIterator<Item = Yield>) -> Self {
        self.script = yields.into_iter().map(Ok).collect();
        self
    }

    pub fn script_fails(mut self, fault: &str) -> Self {
        self.script.push_back(Err(fault.to_owned()));
        self
    }

    /// Plays to the end. A model that has nothing more to say says "Done.", a script returns.
    pub fn play(&mut self) -> End {
        for _ in 0..10_000 {
            let answer = match self.conversation.next() {
                Ask::Model(question) => {
                    assert_whole(&question.messages);
                    self.questions.push(question);
                    let answer = self.model.pop_front();
                    Answer::Model(Ok(answer.unwrap_or_else(|| says([text("Done.")]))))
                }
                Ask::Tools(calls) => {
                    let results = calls.iter().map(|call| {
                        let (output, failed) = (self.tool)(call);
                        ToolResult {
                            call: call.id.clone(),
                            name: call.name.clone(),
                            output,
                            failed,
                        }
                    });
                    let results = results.collect();
                    self.tools.push(calls);
                    Answer::Tools(results)
                }
                Ask::Children(asks) => {
                    let ends = asks.iter().map(|ask| (self.child)(ask)).collect();
                    self.children.push(asks);
                    Answer::Children(ends)
                }
                Ask::Script(resume) => {
                    self.resumes.push(resume);
                    Answer::Script(self.script.pop_front().unwrap_or(Ok(Yield::Done)))
                }
                Ask::End(end) => return end,
            };
            self.conversation.answer(answer).unwrap();
        }
        panic!("the conversation does not end");
    }

    /// Plays to an end that is a success, and gives its output.
    pub fn completes(&mut self) -> Value {
        match self.play() {
            End::Completed(value) => value,
            End::Failed(failure) => panic!("failed: {}", failure.message),
        }
    }

    /// Plays to an end that is a failure, and gives its message.
    pub fn fails(&mut self) -> String {
        match self.play() {
            End::Completed(value) => panic!("completed with {value}"),
            End::Failed(failure) => failure.message,
        }
    }

    /// Each message of the last question, in short: `user: …`, `assistant: … calls look({…})`, `tool: look gave {…}`.
    pub fn last_heard(&self) -> Vec<String> {
        let question = self.questions.last().unwrap();
        question.messages.iter().map(|each| short(each)).collect()
    }
}

pub fn short(message: &Message) -> String {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let parts = message.parts.iter().map(|part| match part {
        Part::Text { text } => text.clone(),
        Part::Reasoning { text, .. } => format!("thinks {text}"),
        Part::ToolCall(call) => format!("calls {}({})", call.name, call.input),
        Part::ToolResult(result) if result.failed => {
            format!("{} failed: {}", result.name, result.output)
        }
        Part::ToolResult(result) => format!("{} gave {}", result.name, result.output),
    });
    format!("{role}: {}", parts.collect::<Vec<_>>().join(" | "))
}

/// What providers demand: the model is spoken to last, and every call is answered once, right after it.
pub fn assert_whole(messages: &[Arc<Message>]) {
    let mut ids = std::collections::BTreeSet::new();
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        if message.role == Role::Tool {
            for part in &message.parts {
                let Part::ToolResult(result) = part else {
                    panic!("a tool says {part:?}");
                };
                let at = open.iter().position(|id| *id == result.call);
                open.remove(at.unwrap_or_else(|| panic!("{} answers no open call", result.call)));
            }
            continue;
        }
        assert!(open.is_empty(), "{open:?} are not answered");
        for part in &message.parts {
            if let Part::ToolCall(call) = part {
                assert_eq!(message.role, Role::Assistant);
                assert!(ids.insert(call.id.clone()), "{} is used twice", call.id);
                open.push(call.id.clone());
            }
        }
    }
    assert!(open.is_empty(), "{open:?} are not answered");
    let last = messages.last().unwrap();
    assert_ne!(
        last.role,
        Role::Assistant,
        "nothing new is said to the model"
    );
}
