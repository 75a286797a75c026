//! One provider: where it answers, what it speaks, and with which key.

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::failure::Failure;
use crate::models::key::Key;
use crate::models::settings::{Kind, ModelsError, ProviderSettings};
use crate::target::Target;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const STREAM: HeaderValue = HeaderValue::from_static("text/event-stream, application/json");

/// What is known of providers: name, base URL, variable of the key, what it speaks.
const KNOWN: [(&str, &str, &str, Kind); 6] = [
    (
        "openai",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        Kind::Openai,
    ),
    (
        "anthropic",
        "https://api.anthropic.com/v1",
        "ANTHROPIC_API_KEY",
        Kind::Anthropic,
    ),
    (
        "openrouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        Kind::Openai,
    ),
    ("ollama", "http://127.0.0.1:11434/v1", "", Kind::Openai),
    ("lmstudio", "http://127.0.0.1:1234/v1", "", Kind::Openai),
    ("vllm", "http://127.0.0.1:8000/v1", "", Kind::Openai),
];

/// The names of known providers.
pub(crate) fn known() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(name, ..)| *name)
}

/// A provider that can be asked.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) provider: String,
    /// Where questions are posted.
    pub(crate) url: String,
    pub(crate) kind: Kind,
    pub(crate) structured_output: bool,
    /// Whether its models know tools.
    pub(crate) tools: bool,
    /// Tokens that its models take in, where that is said.
    pub(crate) window: Option<u64>,
    pub(crate) key: Option<Key>,
    /// The variable that should hold the key, where one is needed and not there.
    pub(crate) wanted: Option<String>,
    /// The host and port, as an allow list has them.
    pub(crate) named: String,
}

impl Endpoint {
    pub(crate) fn new(
        provider: &str,
        settings: &ProviderSettings,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ModelsError> {
        let known = KNOWN.iter().find(|(name, ..)| *name == provider);
        let base = settings
            .base_url
            .as_deref()
            .or(known.map(|(_, url, ..)| *url));
        let Some(base) = base else {
            return Err(ModelsError::NoUrl(provider.to_owned()));
        };
        let variable = settings.api_key_env.as_deref();
        let variable = variable.or(known.map(|(_, _, variable, _)| *variable));
        let variable = variable.unwrap_or_default();
        let kind = settings.kind.or(known.map(|(.., kind)| *kind));
        let kind = kind.unwrap_or(Kind::Openai);
        let key = match variable {
            "" => None,
            variable => environment(variable).as_deref().and_then(Key::read),
        };
        // A URL of one's own may well want no key, unless it is said where that is.
        let needed = settings.base_url.is_none() || settings.api_key_env.is_some();
        let wanted = needed && !variable.is_empty() && key.is_none();
        let mut endpoint = Self::at(provider, base, kind, key)?;
        endpoint.structured_output = settings.structured_output.unwrap_or(true);
        endpoint.tools = settings.tools.unwrap_or(true);
        endpoint.window = settings.context_tokens;
        endpoint.wanted = wanted.then(|| variable.to_owned());
        Ok(endpoint)
    }

    /// An endpoint below a base URL.
    pub(crate) fn at(
        provider: &str,
        base: &str,
        kind: Kind,
        key: Option<Key>,
    ) -> Result<Self, ModelsError> {
        let path = match kind {
            Kind::Openai => "chat/completions",
            Kind::Anthropic => "messages",
        };
        let url = format!("{}/{path}", base.trim_end_matches('/'));
        let target = Target::read(&url).map_err(|failure| ModelsError::Url {
            provider: provider.to_owned(),
            why: failure.message,
        })?;
        let literal = target.literal.filter(|ip| ip.is_ipv6());
        let named = match literal {
            Some(ip) => format!("[{ip}]:{}", target.port),
            None => format!("{}:{}", target.host, target.port),
        };
        if key
            .as_ref()
            .is_some_and(|key| key.header("Bearer ").is_none())
        {
            return Err(ModelsError::Key(provider.to_owned()));
        }
        let endpoint = Self {
            provider: provider.to_owned(),
            url,
            kind,
            structured_output: true,
            tools: true,
            window: None,
            key,
            wanted: None,
            named,
        };
        Ok(endpoint)
    }

    /// Refuses what cannot be asked for lack of a key.
    pub(crate) fn ready(&self) -> Result<&Self, Failure> {
        match &self.wanted {
            None => Ok(self),
            Some(variable) => {
                let message = format!("no key for `{}`: set {variable}", self.provider);
                Err(Failure::fatal(message))
            }
        }
    }

    /// The headers of a question; the key only where the origin is `trusted`.
    pub(crate) fn headers(&self, user_agent: &HeaderValue, trusted: bool) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, STREAM);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, user_agent.clone());
        let (name, before) = match self.kind {
            Kind::Openai => (AUTHORIZATION, "Bearer "),
            Kind::Anthropic => (API_KEY, ""),
        };
        if self.kind == Kind::Anthropic {
            headers.insert(ANTHROPIC_VERSION, HeaderValue::from_static("2023-06-01"));
        }
        let key = self.key.as_ref().filter(|_| trusted);
        if let Some(value) = key.and_then(|key| key.header(before)) {
            headers.insert(name, value);
        }
        headers
    }

    /// The failure without the key, should the provider have repeated it.
    pub(crate) fn redacted(&self, failure: Failure) -> Failure {
        match &self.key {
            Some(key) => Failure {
                message: key.out_of(&failure.message),
                ..failure
            },
            None => failure,
        }
    }
}
