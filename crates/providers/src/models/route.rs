//! Who answers for a model's name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::agent::asking::{Delta, ModelCall};
use domain::agent::model::provider_of;

use crate::failure::Failure;
use crate::models::asked::{AskLimits, Asked};
use crate::models::endpoint::{self, Endpoint};
use crate::models::llm_config::{self, Entry, Way};
use crate::models::openai::OUTPUT;
use crate::models::scripted::Scripted;
use crate::models::settings::{Kind, ModelsError, ModelsSettings};
use crate::models::windows::window_of;
use crate::models::wire;
use crate::models::worded::worded;
use crate::outgoing::{Outgoing, OutgoingSettings};

/// The provider of models that answer from a cue sheet.
const SCRIPTED: &str = "scripted";

/// Who knows the models of others, by the names that they have with those.
const ROUTER: &str = "openrouter";

/// All entries of PlanExe's configuration that have a priority.
const AUTO: &str = "auto";

/// All ways to models.
#[derive(Debug)]
pub(crate) struct Routes {
    outgoing: Outgoing,
    endpoints: BTreeMap<String, Endpoint>,
    entries: BTreeMap<String, Entry>,
    scripted: BTreeMap<String, Scripted>,
}

/// The way to one model.
#[derive(Clone, Debug)]
pub(crate) struct Route<'a> {
    /// Its name there.
    pub(crate) model: String,
    /// Its answers are held to no JSON Schema, whatever its provider can do.
    pub(crate) unheld: bool,
    /// Its model is told of tools in words.
    pub(crate) worded: bool,
    source: Source<'a>,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    Endpoint(&'a Endpoint),
    Entry(&'a Way),
    Scripted(&'a Scripted),
}

impl Routes {
    pub(crate) fn new(
        settings: ModelsSettings,
        mut outgoing: OutgoingSettings,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ModelsError> {
        let mut endpoints = BTreeMap::new();
        let unnamed = endpoint::known().filter(|name| !settings.providers.contains_key(*name));
        let unnamed = unnamed.map(|name| (name.to_owned(), Default::default()));
        for (name, said) in unnamed.chain(settings.providers.clone()) {
            let endpoint = Endpoint::new(&name, &said, environment)?;
            endpoints.insert(name, endpoint);
        }
        let entries = match settings.llm_config {
            Some(config) => llm_config::read(config, environment)?,
            None => BTreeMap::new(),
        };
        // Whoever set the program up named these, and nobody else can: they may lie anywhere.
        let ways = entries.values().filter_map(|entry| entry.way.as_ref().ok());
        let named = endpoints.values().chain(ways.map(|way| &way.endpoint));
        outgoing
            .allow
            .extend(named.map(|endpoint| endpoint.named.clone()));
        Ok(Self {
            outgoing: Outgoing::new(outgoing)?,
            endpoints,
            entries,
            scripted: Scripted::all(settings.scripted),
        })
    }

    /// The ways to a model, in the order in which they are gone.
    pub(crate) fn of(&self, name: &str) -> Result<Vec<Route<'_>>, Failure> {
        if let Some(entry) = self.entries.get(name) {
            return Ok(vec![through(entry)?]);
        }
        if name == AUTO && !self.entries.is_empty() {
            return self.auto();
        }
        let Some((provider, model)) = provider_of(name) else {
            let message = format!("nobody is known who has the model `{name}`");
            return Err(Failure::fatal(message));
        };
        if provider == SCRIPTED {
            return match self.scripted.get(model) {
                Some(scripted) => Ok(vec![Route {
                    model: name.to_owned(),
                    unheld: false,
                    worded: false,
                    source: Source::Scripted(scripted),
                }]),
                None => Err(Failure::fatal(format!("there is no cue sheet `{model}`"))),
            };
        }
        let own = self.endpoints.get(provider);
        let own = match own.map(Endpoint::ready) {
            Some(Ok(endpoint)) => return Ok(vec![Route::at(endpoint, model)]),
            Some(Err(failure)) => failure,
            None => Failure::fatal(format!("the provider `{provider}` is not configured")),
        };
        // Who has no way to the provider itself may have one through OpenRouter, which names models by it.
        let router = self.endpoints.get(ROUTER).filter(|_| provider != ROUTER);
        match router.map(Endpoint::ready) {
            Some(Ok(router)) => Ok(vec![Route::at(router, &format!("{provider}/{model}"))]),
            _ => Err(own),
        }
    }

    /// All entries with a priority that can be asked, the smallest first.
    fn auto(&self) -> Result<Vec<Route<'_>>, Failure> {
        let some = |(_, entry): &(&String, &Entry)| entry.priority.is_some();
        let mut entries: Vec<_> = self.entries.iter().filter(some).collect();
        entries.sort_by_key(|(_, entry)| entry.priority);
        let mut refused = Failure::fatal("no entry of PlanExe's configuration has a priority");
        let mut routes = Vec::new();
        for (_, entry) in entries {
            match through(entry) {
                Ok(route) => routes.push(route),
                Err(failure) => refused = failure,
            }
        }
        if routes.is_empty() {
            return Err(refused);
        }
        Ok(routes)
    }

    /// Asks once.
    pub(crate) async fn ask(
        &self,
        route: &Route<'_>,
        call: &ModelCall,
        limits: &AskLimits,
        hear: &mut (impl FnMut(Delta) + Send),
    ) -> Result<Asked, Failure> {
        let endpoint = match &route.source {
            Source::Scripted(scripted) => return scripted.ask(call, hear).await,
            Source::Endpoint(endpoint) => *endpoint,
            Source::Entry(way) => &way.endpoint,
        };
        let mut endpoint = Cow::Borrowed(endpoint);
        if route.unheld {
            endpoint.to_mut().structured_output = false;
        }
        let (mut call, limits) = route.source.overlaid(call, limits);
        if route.worded && !call.tools.is_empty() {
            call = Cow::Owned(worded(&call));
        }
        wire::ask(
            &self.outgoing,
            &endpoint,
            &route.model,
            &call,
            &limits,
            hear,
        )
        .await
    }
}

impl<'a> Route<'a> {
    fn at(endpoint: &'a Endpoint, model: &str) -> Self {
        // OpenRouter writes versions with a point, Anthropic itself with a hyphen.
        let model = match endpoint.kind {
            Kind::Anthropic => model.replace('.', "-"),
            Kind::Openai => model.to_owned(),
        };
        Self {
            model,
            unheld: false,
            worded: !endpoint.tools,
            source: Source::Endpoint(endpoint),
        }
    }

    /// Tokens that the model takes in, where that is said or its family known.
    pub(crate) fn window(&self) -> Option<u64> {
        let endpoint = self.source.endpoint()?;
        endpoint.window.or_else(|| window_of(&self.model))
    }

    /// Whether something of the answer to this question is held to a JSON Schema.
    pub(crate) fn holds(&self, call: &ModelCall) -> bool {
        let Some(endpoint) = self.source.endpoint() else {
            return false;
        };
        let handed_in = call.tools.iter().any(|tool| tool.name == OUTPUT);
        endpoint.structured_output && (handed_in || call.output_schema.is_some())
    }
}

fn through(entry: &Entry) -> Result<Route<'_>, Failure> {
    match &entry.way {
        Ok(way) => Ok(Route {
            model: way.model.clone(),
            unheld: false,
            worded: !way.endpoint.tools,
            source: Source::Entry(way),
        }),
        Err(why) => Err(Failure::fatal(format!("PlanExe's configuration: {why}"))),
    }
}

impl Source<'_> {
    /// Where it answers, unless a cue sheet does.
    fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Endpoint(endpoint) => Some(endpoint),
            Self::Entry(way) => Some(&way.endpoint),
            Self::Scripted(_) => None,
        }
    }

    /// The question with what an entry always asks, where the question itself does not say otherwise.
    fn overlaid<'c>(
        &self,
        call: &'c ModelCall,
        limits: &'c AskLimits,
    ) -> (Cow<'c, ModelCall>, Cow<'c, AskLimits>) {
        let (mut call, mut limits) = (Cow::Borrowed(call), Cow::Borrowed(limits));
        if let Self::Entry(way) = self {
            let call = call.to_mut();
            for (name, value) in &way.settings {
                call.settings.entry(name).or_insert_with(|| value.clone());
            }
            call.max_tokens = call.max_tokens.or(way.max_tokens);
            if let Some(timeout) = way.timeout {
                limits.to_mut().whole = timeout;
            }
        }
        (call, limits)
    }
}
