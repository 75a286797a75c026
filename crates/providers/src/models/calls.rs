//! Native calls as they come in chunks: by index, by id, or by neither, whole, in bits, and interleaved.

use domain::agent::asking::Delta;
use serde_json::Value;

use crate::failure::Failure;
use crate::models::names::Names;
use crate::models::openai_stream::CallSaid;

/// The most calls of one answer that are heard: one more than are carried out, so that the model is told of it. Those behind are left
/// out: to ask again would be to pay again, for as many.
const HEARD_MAX: usize = 257;

/// The calls of one answer.
pub(crate) struct Calls {
    names: Names,
    calls: Vec<Call>,
    /// Whether the last bit was one of a call that is left out.
    beyond: bool,
}

struct Call {
    index: Option<u32>,
    id: String,
    input: Input,
    ended: bool,
}

impl Calls {
    pub(crate) fn new(names: Names) -> Self {
        Self {
            names,
            calls: Vec::new(),
            beyond: false,
        }
    }

    pub(crate) fn any(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Takes a bit of a call.
    pub(crate) fn said(
        &mut self,
        said: CallSaid,
        hear: &mut dyn FnMut(Delta),
    ) -> Result<(), Failure> {
        let function = said.function.unwrap_or_default();
        let id = said.id.unwrap_or_default();
        let name = function.name.filter(|name| !name.is_empty());
        let belongs = name.is_some() || said.index.is_some() || !id.is_empty();
        let at = match self.of(said.index, &id, name.is_some()) {
            Some(_) if self.beyond && !belongs => return Ok(()),
            Some(at) => at,
            None if self.calls.len() >= HEARD_MAX => {
                self.beyond = true;
                return Ok(());
            }
            None => self.begin(said.index, id, name.as_deref(), hear),
        };
        self.beyond = false;
        let text = match function.arguments {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::String(text)) if text.is_empty() => return Ok(()),
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        let place = at as u32;
        let call = &mut self.calls[at];
        if call.ended {
            return match text.trim().is_empty() {
                true => Ok(()),
                false => Err(Failure::invalid("a call went on after its input was whole")),
            };
        }
        call.input.take(&text);
        hear(Delta::CallInput { place, text });
        if call.input.whole {
            call.ended = true;
            hear(Delta::CallEnds { place });
        }
        Ok(())
    }

    /// The call that a bit belongs to. Where an index is said twice with another id and a name, that is another call.
    fn of(&self, index: Option<u32>, id: &str, named: bool) -> Option<usize> {
        let last = |fits: &dyn Fn(&Call) -> bool| self.calls.iter().rposition(fits);
        match index {
            Some(index) => last(&|call| call.index == Some(index))
                .filter(|at| !named || id.is_empty() || self.calls[*at].id == id),
            None if !id.is_empty() => last(&|call| call.id == id),
            None if named => None,
            None => self.calls.len().checked_sub(1),
        }
    }

    fn begin(
        &mut self,
        index: Option<u32>,
        id: String,
        name: Option<&str>,
        hear: &mut dyn FnMut(Delta),
    ) -> usize {
        let at = self.calls.len();
        hear(Delta::CallBegins {
            place: at as u32,
            id: id.clone(),
            name: self.names.here(name.unwrap_or_default()),
        });
        self.calls.push(Call {
            index,
            id,
            input: Input::default(),
            ended: false,
        });
        at
    }

    /// Nothing more comes: what is open ends. A call without any input has an empty one, unless the answer was `cut`.
    pub(crate) fn ended(&mut self, cut: bool, hear: &mut dyn FnMut(Delta)) {
        for (at, call) in self.calls.iter_mut().enumerate() {
            if std::mem::replace(&mut call.ended, true) {
                continue;
            }
            let place = at as u32;
            if !call.input.begun && !cut {
                let text = "{}".to_owned();
                hear(Delta::CallInput { place, text });
            }
            hear(Delta::CallEnds { place });
        }
    }
}

/// How far an input is: an object is whole where its last brace closes. Not a parser: what is no JSON is found out later.
#[derive(Default)]
struct Input {
    begun: bool,
    whole: bool,
    depth: u32,
    within_text: bool,
    escaped: bool,
}

impl Input {
    fn take(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.within_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.within_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.within_text = true,
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.whole |= self.depth == 0;
                }
                _ => {}
            }
            self.begun |= !byte.is_ascii_whitespace();
        }
    }
}
