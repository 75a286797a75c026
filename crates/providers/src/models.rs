//! Asks language models: finds who answers for a name, asks again what failed, and goes on to the next model of the chain.

mod anthropic;
mod anthropic_stream;
pub mod asked;
mod calls;
mod endpoint;
mod key;
mod llm_config;
mod names;
mod openai;
mod openai_stream;
mod reasoning;
mod route;
mod said_error;
pub mod scripted;
pub mod settings;
mod windows;
mod wire;
mod worded;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use domain::agent::asking::{Delta, ModelCall};
use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::values::hash::ContentHash;
use domain::values::time::Millis;
use tokio::time::sleep;

use crate::failure::Failure;
use crate::models::asked::{Admits, AskLimits, Asked, Spoken};
use crate::models::route::{Route, Routes};
use crate::models::settings::{ModelsError, ModelsSettings};
use crate::outgoing::OutgoingSettings;

/// No pause between two tries that backoff itself gives is longer.
const BACKOFF_MAX: Millis = Millis(30_000);

/// Asks models. Clones share connections, settings and what scripted models have used up.
#[derive(Clone, Debug)]
pub struct Models {
    routes: Arc<Routes>,
}

impl Models {
    /// A handle by its settings; `environment` gives variables' values. Nothing is connected yet. What `outgoing` allows is
    /// widened, for models only, by the hosts of the base URLs: operators name those.
    ///
    /// # Errors
    /// A base URL, an entry of PlanExe's configuration or an allow list that cannot be used.
    pub fn new(
        settings: ModelsSettings,
        outgoing: OutgoingSettings,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ModelsError> {
        let routes = Arc::new(Routes::new(settings, outgoing, environment)?);
        Ok(Self { routes })
    }

    /// Whether a model of this name can be asked at all, and if not, why: an unknown provider, or a key that is not there.
    ///
    /// # Errors
    /// The reason; fatal.
    pub fn check(&self, model: &str) -> Result<(), Failure> {
        self.routes.of(model).map(|_| ())
    }

    /// Tokens that a model of this name takes in, its answer included: what its provider's settings or its entry in PlanExe's
    /// configuration say, else what is known of its family. Of several that the name means it is the least; nothing where that
    /// is not known, or nobody can be asked.
    pub fn window(&self, model: &str) -> Option<u64> {
        let routes = self.routes.of(model).ok()?;
        routes.iter().filter_map(Route::window).min()
    }

    /// Asks the models of `call` in their order until one answers whole. What is said on the way goes to `hear` at once; after
    /// [`Spoken::Anew`] what was said before counts for nothing. Dropping the future closes the connection.
    ///
    /// # Errors
    /// What kept every model of the chain from a whole answer. Its class is that of the first failure that may pass by itself;
    /// its usage is that of all tries together.
    pub async fn ask(
        &self,
        call: &ModelCall,
        limits: &AskLimits,
        admits: &mut impl Admits,
        mut hear: impl FnMut(Spoken) + Send,
    ) -> Result<Asked, Failure> {
        let mut tries = Tries::default();
        for (place, name) in call.models.iter().enumerate() {
            tries.fallback = (place > 0).then(|| name.clone());
            let routes = match self.routes.of(name) {
                Ok(routes) => routes,
                Err(failure) => {
                    tries.failed(name, failure);
                    continue;
                }
            };
            for route in routes {
                let question = (name.as_str(), call, limits);
                let asked = self
                    .ask_one(&route, question, admits, &mut tries, &mut hear)
                    .await;
                match asked {
                    Ok(mut asked) => {
                        tries.use_more(&asked.usage);
                        asked.usage = tries.usage;
                        name.clone_into(&mut asked.asked);
                        return Ok(asked);
                    }
                    Err(failure) => tries.failed(name, failure),
                }
            }
        }
        Err(tries.failure())
    }

    /// Asks one model, again where that can help.
    async fn ask_one(
        &self,
        route: &Route<'_>,
        (name, call, limits): (&str, &ModelCall, &AskLimits),
        admits: &mut impl Admits,
        tries: &mut Tries,
        hear: &mut (impl FnMut(Spoken) + Send),
    ) -> Result<Asked, Failure> {
        let mut retries = 0;
        let mut route = Cow::Borrowed(route);
        loop {
            admits.admit(name).await?;
            if let Some(why) = tries.stale.take() {
                hear(Spoken::Anew { why });
            }
            hear(Spoken::Asked {
                in_words: route.worded,
            });
            let mut told = false;
            let mut pass = |delta: Delta| {
                told = true;
                hear(Spoken::Delta(delta));
            };
            let failure = match self.routes.ask(&route, call, limits, &mut pass).await {
                Ok(asked) => return Ok(asked),
                Err(failure) => failure,
            };
            admits.failed(name, &failure).await;
            tries.use_more(&failure.usage);
            tries.stale = told.then(|| failure.message.clone());
            if !route.unheld && !told && route.holds(call) && is_of_schemas(&failure) {
                route.to_mut().unheld = true;
                continue;
            }
            if !route.worded && !told && !call.tools.is_empty() && is_of_tools(&failure) {
                route.to_mut().worded = true;
                continue;
            }
            let wait = pause(&route.model, call, limits, retries, &failure);
            match wait.filter(|_| retries < limits.retries) {
                Some(wait) => sleep(Duration::from_millis(wait.0)).await,
                None => return Err(failure),
            }
            retries += 1;
        }
    }
}

/// Whether the provider refused to hold an answer to a JSON Schema: it, this model, or this schema. What is said of it in words
/// does without.
fn is_of_schemas(failure: &Failure) -> bool {
    let of_these = ["response_format", "schema", "strict", "tool_choice"];
    failure.class == ErrorClass::Fatal && of_these.iter().any(|word| failure.message.contains(word))
}

/// Whether the provider said that the model knows no tools. It can be told of them in words.
fn is_of_tools(failure: &Failure) -> bool {
    let said = failure.message.to_ascii_lowercase();
    let of_these = [
        "not support tool",
        "not support function",
        "support tool use",
        // vLLM, where it was started without a parser of calls.
        "enable-auto-tool-choice",
    ];
    failure.class == ErrorClass::Fatal && of_these.iter().any(|words| said.contains(words))
}

/// How long to wait before the same model is asked again; nothing where that cannot help, or where its provider asks to be left
/// alone: then nobody asks it, and the step need not wait here. Full jitter under a doubling ceiling, the chance being a hash of the
/// question: equal questions wait alike, different ones apart.
fn pause(
    model: &str,
    call: &ModelCall,
    limits: &AskLimits,
    retries: u32,
    failure: &Failure,
) -> Option<Millis> {
    if !failure.class.retryable() || failure.class == ErrorClass::RateLimited {
        return None;
    }
    let ceiling = limits.backoff.0.saturating_mul(1 << retries.min(20));
    let ceiling = ceiling.min(BACKOFF_MAX.0);
    let said = call.messages.last().map(|message| message.plain());
    let name = format!("{model}/{retries}/{}", said.unwrap_or_default());
    let jittered = ContentHash::of(name.as_bytes()).seed() % (ceiling + 1);
    Some(Millis(jittered))
}

/// What became of a question so far.
#[derive(Default)]
struct Tries {
    /// Of all tries so far.
    usage: Usage,
    /// The model that is asked now, where it is not the first.
    fallback: Option<String>,
    /// Why what was said so far counts for nothing, until that is told.
    stale: Option<String>,
    /// One failure a model.
    failures: Vec<(String, Failure)>,
}

impl Tries {
    fn use_more(&mut self, usage: &Usage) {
        match &self.fallback {
            Some(model) => self.usage.add(&usage.clone().by(model)),
            None => self.usage.add(usage),
        }
    }

    fn failed(&mut self, model: &str, failure: Failure) {
        self.failures.push((model.to_owned(), failure));
    }

    /// All failures as one.
    fn failure(self) -> Failure {
        let passing = |(_, failure): &&(String, Failure)| failure.class.retryable();
        let first = self.failures.iter().find(passing);
        let (class, retry_after) = match first {
            Some((_, failure)) => (failure.class, failure.retry_after),
            None => (ErrorClass::Fatal, None),
        };
        let said: Vec<String> = self
            .failures
            .iter()
            .map(|(model, failure)| format!("model `{model}`: {}", failure.message))
            .collect();
        let message = match said.is_empty() {
            true => "no model is named".to_owned(),
            false => said.join("; "),
        };
        Failure {
            class,
            message,
            retry_after,
            usage: Box::new(self.usage),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn call() -> ModelCall {
        serde_json::from_value(serde_json::json!({"models": ["m"], "messages": []})).unwrap()
    }

    fn wait(retries: u32, class: ErrorClass) -> Option<u64> {
        let failure = Failure::new(class, "x");
        let waited = pause("m", &call(), &AskLimits::default(), retries, &failure);
        waited.map(|wait| wait.0)
    }

    #[test]
    fn pauses_stay_under_their_ceiling_and_who_says_429_is_left_alone() {
        for retries in 0..40 {
            let waited = wait(retries, ErrorClass::Transient).unwrap();
            assert!(waited <= (1_000_u64 << retries.min(10)).min(30_000));
        }
        assert_eq!(wait(0, ErrorClass::RateLimited), None);
        assert_eq!(wait(0, ErrorClass::Fatal), None);
    }

    #[test]
    fn what_providers_say_of_models_without_tools_is_told_from_other_refusals() {
        for (said, is_one) in [
            (
                "registry.ollama.ai/library/gemma:2b does not support tools",
                true,
            ),
            ("No endpoints found that support tool use.", true),
            (
                "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
                true,
            ),
            ("this model does not support function calling", true),
            ("tools[0].function.name: must match ^[a-zA-Z0-9_-]+$", false),
            ("the model `m` does not exist", false),
        ] {
            assert_eq!(is_of_tools(&Failure::fatal(said)), is_one, "{said}");
        }
        assert!(!is_of_tools(&Failure::transient("does not support tools")));
    }

    #[test]
    fn a_chain_that_failed_names_every_model_and_the_class_that_may_pass() {
        let mut tries = Tries::default();
        tries.failed("a", Failure::fatal("no key"));
        tries.failed("b", Failure::transient("hung up"));
        let failure = tries.failure();
        assert_eq!(failure.class, ErrorClass::Transient);
        assert_eq!(failure.message, "model `a`: no key; model `b`: hung up");
    }
}
