//! The inside of a script's thread: the generator object, and one step of it.

use domain::agent::script::Yield;
use rquickjs::function::This;
use rquickjs::{Function, Object, Value};

use crate::crossing;
use crate::error::{ScriptError, TOLD, shortened};
use crate::log;
use crate::realm::Realm;
use crate::sandbox::bounded;
use crate::yields;

/// Why a step failed: the engine's error, not yet looked into, or ours.
enum Failed {
    Engine(rquickjs::Error),
    Ours(ScriptError),
}

impl From<rquickjs::Error> for Failed {
    fn from(error: rquickjs::Error) -> Self {
        Failed::Engine(error)
    }
}

impl Failed {
    fn told(self, realm: &Realm<'_>) -> ScriptError {
        match self {
            Failed::Engine(error) => realm.failure(&error),
            Failed::Ours(error) => error,
        }
    }
}

fn unreadable(why: &str) -> Failed {
    Failed::Ours(ScriptError::Source(why.to_owned()))
}

fn invalid(why: String) -> Failed {
    Failed::Ours(ScriptError::InvalidYield(why))
}

/// What goes in at one step, as JSON.
#[derive(Debug)]
pub(crate) struct Given {
    /// What changes in the agent's state, which is read only if the script looks at it.
    pub(crate) state: String,
    /// How many of the messages that are there stand.
    pub(crate) kept: usize,
    /// Those that follow.
    pub(crate) messages: Vec<String>,
    /// An object with everything else.
    pub(crate) rest: String,
}

impl Given {
    pub(crate) fn bytes(&self) -> usize {
        let messages = self.messages.iter().map(String::len);
        self.state.len() + messages.sum::<usize>() + self.rest.len()
    }

    fn object<'js>(
        self,
        realm: &Realm<'js>,
        states: &Function<'js>,
    ) -> rquickjs::Result<Value<'js>> {
        let object = realm.ctx.json_parse(self.rest)?;
        states.call::<_, ()>((object.clone(), self.state, self.kept, self.messages))?;
        Ok(object)
    }
}

/// A generator object, with what was taken before the script could lay hands on it: the `next` of all generators, and what carries
/// states in.
pub(crate) struct Generator<'js> {
    object: Object<'js>,
    next: Function<'js>,
    states: Function<'js>,
}

impl<'js> Generator<'js> {
    /// Evaluates the generator function and calls it with what JSON says, and a logger. `staying` is what its states have in common.
    pub(crate) fn call(
        realm: &Realm<'js>,
        expression: &str,
        staying: String,
        given: Given,
    ) -> Result<Self, ScriptError> {
        called(realm, expression, staying, given).map_err(|failed| failed.told(realm))
    }

    /// One step: from one yield to the next.
    pub(crate) fn step(
        &self,
        realm: &Realm<'js>,
        given: Given,
        output_bytes: usize,
    ) -> Result<Yield, ScriptError> {
        let yielded = self
            .next(realm, given, output_bytes)
            .map_err(|failed| failed.told(realm));
        // An async function turns its interruption into a rejected promise, which nobody hears of.
        match realm.meter.spent() {
            Some(spent) => Err(ScriptError::OutOfTime(spent)),
            None => yielded,
        }
    }

    fn next(&self, realm: &Realm<'js>, given: Given, output_bytes: usize) -> Result<Yield, Failed> {
        let given = given.object(realm, &self.states)?;
        let result: Object<'js> = self.next.call((This(self.object.clone()), given))?;
        if result.get::<_, bool>("done")? {
            return Ok(Yield::Done);
        }
        let value: Value<'js> = result.get("value")?;
        if let Some(why) = yields::unspeakable(&value) {
            return Err(invalid(why));
        }
        let json = crossing::json(&realm.ctx, &value).map_err(|error| {
            Failed::Ours(match realm.failure(&error) {
                ScriptError::Threw { message } => {
                    let message = shortened(&message, TOLD);
                    ScriptError::InvalidYield(format!("what cannot be told as JSON: {message}"))
                }
                other => other,
            })
        })?;
        let json = json.ok_or_else(|| invalid("its toJSON gives undefined".to_owned()))?;
        bounded("what the script yields", json.len(), output_bytes).map_err(Failed::Ours)?;
        yields::read(&json).map_err(Failed::Ours)
    }
}

fn called<'js>(
    realm: &Realm<'js>,
    expression: &str,
    staying: String,
    given: Given,
) -> Result<Generator<'js>, Failed> {
    let ctx = &realm.ctx;
    let genuine: Object<'js> = ctx.eval("Object.getPrototypeOf(function* () {})")?;
    let next = ctx.eval("Object.getPrototypeOf(function* () {}).prototype.next")?;
    let states = realm.states(staying)?;
    let given = given.object(realm, &states)?;
    if let Some(given) = given.as_object() {
        given.set("logger", log::object(ctx, &realm.log)?)?;
    }
    let function = realm
        .evaluate(expression)
        .map_err(|error| match realm.failure(&error) {
            ScriptError::Threw { message } => unreadable(&message),
            other => Failed::Ours(other),
        })?;
    let function = function
        .into_function()
        .filter(|function| function.get_prototype().as_ref() == Some(&genuine))
        .ok_or_else(|| unreadable("it begins like a generator function but is something else"))?;
    let object = function.call((given,))?;
    Ok(Generator {
        object,
        next,
        states,
    })
}
