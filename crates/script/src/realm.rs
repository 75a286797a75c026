//! One engine in a thread of its own: what a script finds there, and what it does not.

use std::cell::RefCell;
use std::rc::Rc;
use std::thread;

use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::{Context, Ctx, Function, Runtime, Value};

use crate::error::ScriptError;
use crate::limits::Limits;
use crate::log::{self, Log};
use crate::meter::Meter;
use crate::thrown;

/// How the script is called in its own stacks.
pub(crate) const FILE: &str = "handleSteps";

/// Bytes of a thread's stack beyond what the script may use: our own frames, and the engine's last ones before it looks.
const OWN_STACK: usize = 512 << 10;

/// Everything of the language but what knows the time (`Date`, `performance`), sees the collector at work (`WeakRef`) or is of
/// the web. Promise stays: without it the engine loses objects of async generators.
type Intrinsics = (
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// Takes away what blocks, is shared or differs between versions of the engine, and puts an explanation where scripts look for
/// chance and time.
const PRELUDE: &str = r#"
for (const name of ["Atomics", "SharedArrayBuffer", "queueMicrotask", "navigator", "gc", "performance", "WeakRef", "FinalizationRegistry", "DOMException"])
  delete globalThis[name];
Math.random = function random() {
  throw new Error("Math.random is not available: the same answers must always give the same script");
};
globalThis.Date = function Date() {
  throw new Error("Date is not available: the same answers must always give the same script");
};
Date.now = Date.parse = Date.UTC = Date;
"#;

/// Puts the agent's state into what a script is given, to be read from JSON when it is first looked at: most steps do not look at
/// it, and a history is long. The messages are carried in once and stay, as text until somebody looks: each state has a list of its
/// own with as many of them as there were. What is looked at is a value like any other then.
const STATES: &str = r#"
(() => {
  const { parse } = JSON, { assign, defineProperty } = Object;
  const slice = Function.prototype.call.bind(Array.prototype.slice);
  const later = (object, name, read) => {
    const be = value => defineProperty(object, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
    defineProperty(object, name, { __proto__: null, enumerable: true, configurable: true,
      get() { const value = read(); be(value); return value; }, set: be });
  };
  return staying => {
    let history = { messages: [], read: 0 };
    return (object, changing, kept, added) => {
      // States of before go on with the list that they know.
      if (kept < history.messages.length)
        history = { messages: slice(history.messages, 0, kept), read: kept < history.read ? kept : history.read };
      const known = history, { messages } = history;
      for (let at = 0; at < added.length; at++) messages[messages.length] = added[at];
      const count = messages.length;
      later(object, "agentState", () => {
        const state = assign({}, parse(staying), parse(changing));
        later(state, "messageHistory", () => {
          for (; known.read < count; known.read++) messages[known.read] = parse(messages[known.read]);
          return slice(messages, 0, count);
        });
        return state;
      });
    };
  };
})()
"#;

/// A made engine, seen from inside its thread.
pub(crate) struct Realm<'js> {
    pub(crate) ctx: Ctx<'js>,
    pub(crate) meter: Rc<Meter>,
    pub(crate) log: Rc<RefCell<Log>>,
    heap_bytes: usize,
}

/// Starts a thread with an engine inside and lets `inside` work with it, or `broken` tell why there is none.
pub(crate) fn start(
    limits: Limits,
    inside: impl FnOnce(Result<&Realm<'_>, ScriptError>) + Send + 'static,
) -> Result<(), ScriptError> {
    thread::Builder::new()
        .name("script".to_owned())
        .stack_size(limits.stack_bytes + OWN_STACK)
        .spawn(move || enter(&limits, inside))
        .map(|_| ())
        .map_err(|error| ScriptError::Sandbox(error.to_string()))
}

fn enter(limits: &Limits, inside: impl FnOnce(Result<&Realm<'_>, ScriptError>)) {
    let meter = Rc::new(Meter::new(limits));
    let log = Rc::default();
    match engine(limits, &meter, &log) {
        Err(error) => inside(Err(ScriptError::Sandbox(error.to_string()))),
        Ok(context) => context.with(|ctx| {
            inside(Ok(&Realm {
                ctx,
                meter,
                log,
                heap_bytes: limits.heap_bytes,
            }));
        }),
    }
}

/// Made and furnished before its memory is bounded: an engine that is refused memory while it is being made aborts. So it has
/// what it is made of, however little it may have beyond.
fn engine(limits: &Limits, meter: &Rc<Meter>, log: &Rc<RefCell<Log>>) -> rquickjs::Result<Context> {
    let runtime = Runtime::new()?;
    runtime.set_max_stack_size(limits.stack_bytes);
    let meter = Rc::clone(meter);
    runtime.set_interrupt_handler(Some(Box::new(move || meter.must_stop())));
    let context = Context::custom::<Intrinsics>(&runtime)?;
    context.with(|ctx| {
        // Before the first word of a script: afterwards nothing that is called by name is ours.
        ctx.eval::<(), _>(PRELUDE)?;
        ctx.globals().set("console", log::object(&ctx, log)?)
    })?;
    runtime.set_memory_limit(limits.heap_bytes);
    Ok(context)
}

impl<'js> Realm<'js> {
    /// Evaluates an expression in strict mode.
    pub(crate) fn evaluate(&self, expression: &str) -> rquickjs::Result<Value<'js>> {
        let mut options = EvalOptions::default();
        options.filename = Some(FILE.to_owned());
        self.ctx.eval_with_options(expression, options)
    }

    /// What carries states in of which so much stays, as JSON. To be taken before a script's first word.
    pub(crate) fn states(&self, staying: String) -> rquickjs::Result<Function<'js>> {
        let states: Function<'js> = self.ctx.eval(STATES)?;
        states.call((staying,))
    }

    /// What an error of the engine means. Forgets the exception that stands in it.
    pub(crate) fn failure(&self, error: &rquickjs::Error) -> ScriptError {
        let exception = error.is_exception().then(|| self.ctx.catch());
        if let Some(spent) = self.meter.spent() {
            return ScriptError::OutOfTime(spent);
        }
        let out_of_memory = ScriptError::OutOfMemory {
            limit: self.heap_bytes,
        };
        let Some(thrown) = exception else {
            return match error {
                rquickjs::Error::Allocation | rquickjs::Error::Unknown => out_of_memory,
                other => ScriptError::Sandbox(other.to_string()),
            };
        };
        // Without memory for an error object the engine throws null. A script that does so itself is told the same.
        if thrown.is_null() {
            return out_of_memory;
        }
        let message = thrown::shown(&self.ctx, &thrown);
        // While that was put into words the rest may have run out.
        if let Some(spent) = self.meter.spent() {
            return ScriptError::OutOfTime(spent);
        }
        if !thrown.is_error() {
            let message = crate::error::shortened(&message, crate::error::TOLD);
            return ScriptError::Threw { message };
        }
        if message.starts_with("InternalError: out of memory") {
            return out_of_memory;
        }
        if message.starts_with("RangeError: Maximum call stack size exceeded") {
            return ScriptError::OutOfStack;
        }
        ScriptError::Threw { message }
    }
}
