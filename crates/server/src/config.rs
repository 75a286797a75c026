//! How a server is set up. `config.default.toml` beside the workspace's manifest is the manual: a test holds it to this.

pub mod models;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use domain::values::credits::Credits;
use serde::{Deserialize, Serialize};

use crate::api::submission::BUDGET_MAX;
use crate::config::models::{Models, Tools};

/// Most connections that may be allowed.
const CONNECTIONS_MAX: usize = 1_000_000;

/// All settings. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Address and port to listen at.
    pub listen: SocketAddr,
    /// The database: a file or a `postgres://` URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Most attempts at one time in this replica; 0 leaves it to the program.
    pub slots: usize,
    /// Files and directories with agent definitions, registered at the start.
    pub agents: Vec<PathBuf>,
    /// Where agents without an executor are asked: `{agentsBaseUrl}/api/agents/{id}/invoke`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents_base_url: Option<String>,
    /// Directories below which operators may name plans by path.
    pub plan_roots: Vec<PathBuf>,
    /// Budget of an orchestration that names none, in credits.
    pub default_budget: Credits,
    /// What accounts begin with, and what tokens cost.
    pub credits: Money,
    /// Who may come in, and how often.
    pub access: Access,
    /// How much and how long.
    pub limits: Limits,
    /// TLS; without a certificate the server speaks plain HTTP.
    pub tls: Tls,
    /// Requests to agents.
    pub outgoing: Outgoing,
    /// Event streams.
    pub streams: Streams,
    /// Language models.
    pub models: Models,
    /// What agents' outside tools may do.
    pub tools: Tools,
    /// Limits of the providers whose models agents ask, by provider.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, Provider>,
    /// By account, how many places its steps get for each that another account's get.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, NonZeroU32>,
}

/// A provider's limits, of all its models together; what is not said is not limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Provider {
    /// Attempts that start in any minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<NonZeroU64>,
    /// Tokens that are used in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<NonZeroU64>,
    /// Attempts in flight at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<NonZeroU32>,
    /// Of some of its models, each beside those of all.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, ModelLimits>,
}

/// A model's limits; what is not said is not limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ModelLimits {
    /// Attempts that start in any minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<NonZeroU64>,
    /// Tokens that are used in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<NonZeroU64>,
    /// Attempts in flight at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<NonZeroU32>,
}

/// What accounts begin with, and what tokens cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Money {
    /// What the account `system` is granted once, at the first start on a database, in credits.
    pub initial_grant: Credits,
    /// A price table that is laid over the program's own, model by model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<PathBuf>,
}

impl Default for Money {
    fn default() -> Self {
        Self {
            initial_grant: Credits::from_nano(1_000_000_000_000),
            prices: None,
        }
    }
}

/// Who may come in, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Access {
    /// Demand keys on loopback too, even while there is none.
    pub require_keys: bool,
    /// Names under which this server is reached, beside loopback's; looked at while no keys are demanded.
    pub hosts: Vec<String>,
    /// Origins whose pages may call this server.
    pub origins: Vec<String>,
    /// Requests a second that one key may make on average; 0 for no limit.
    pub requests_per_second: u32,
    /// Requests that it may make at once.
    pub burst: u32,
}

/// How much and how long. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of a JSON body.
    pub json_bytes: usize,
    /// Bytes of an uploaded plan.
    pub upload_bytes: u64,
    /// Brackets in brackets in a JSON body.
    pub json_depth: usize,
    /// Connections at one time; more wait.
    pub connections: usize,
    /// Longest time for a request's headers, and for the next request on an idle connection.
    pub header_timeout: u64,
    /// Longest pause between two parts of a body.
    pub body_pause: u64,
    /// Longest time for a whole body.
    pub body_timeout: u64,
    /// Longest time for an answer, but for streams and for who waits for an orchestration.
    pub request_timeout: u64,
    /// Longest time in which a client takes nothing of what it is sent, streams included; then its connection is cut.
    pub take_pause: u64,
    /// How long a server that is stopped waits for requests under way.
    pub drain: u64,
}

/// TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tls {
    /// Certificate chain, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// Private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// Requests to agents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Outgoing {
    /// Private addresses that may be asked: networks (`10.0.0.0/8`), hosts, or `host:port`.
    pub allow: Vec<String>,
    /// Longest time for a connection, in milliseconds.
    pub connect_timeout: u64,
    /// Bytes of an agent's answer.
    pub answer_bytes: usize,
    /// Secrets (`whsec_…`) that sign requests, by agent; `*` for all others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub signing_secrets: BTreeMap<String, Secret>,
}

/// Event streams.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Streams {
    /// Longest silence before a heartbeat, in milliseconds.
    pub heartbeat: u64,
}

impl Settings {
    /// The first setting with which a server would answer nobody, and why it cannot be so.
    pub fn unusable(&self) -> Option<(&'static str, &'static str)> {
        let limits = &self.limits;
        let none = [
            ("limits.jsonBytes", limits.json_bytes == 0),
            ("limits.uploadBytes", limits.upload_bytes == 0),
            ("limits.jsonDepth", limits.json_depth == 0),
            ("limits.connections", limits.connections == 0),
            ("limits.headerTimeout", limits.header_timeout == 0),
            ("limits.bodyPause", limits.body_pause == 0),
            ("limits.bodyTimeout", limits.body_timeout == 0),
            ("limits.requestTimeout", limits.request_timeout == 0),
            (
                "outgoing.connectTimeout",
                self.outgoing.connect_timeout == 0,
            ),
            ("outgoing.answerBytes", self.outgoing.answer_bytes == 0),
            ("streams.heartbeat", self.streams.heartbeat == 0),
            ("models.firstToken", self.models.first_token == 0),
            ("models.betweenTokens", self.models.between_tokens == 0),
            ("models.answerTimeout", self.models.answer_timeout == 0),
            ("models.answerBytes", self.models.answer_bytes == 0),
            ("tools.openTimeout", self.tools.open_timeout == 0),
            ("tools.callTimeout", self.tools.call_timeout == 0),
            ("tools.answerBytes", self.tools.answer_bytes == 0),
            ("tools.shownBytes", self.tools.shown_bytes == 0),
        ];
        let zero = none.into_iter().find(|(_, zero)| *zero);
        let many = limits.connections > CONNECTIONS_MAX;
        let absurd = |credits: Credits| credits < Credits::ZERO || credits > BUDGET_MAX;
        let money = [
            ("defaultBudget", self.default_budget),
            ("credits.initialGrant", self.credits.initial_grant),
        ];
        let absurd = money.into_iter().find(|(_, credits)| absurd(*credits));
        zero.map(|(key, _)| (key, "it must not be 0"))
            .or(many.then_some(("limits.connections", "it is more than 1000000")))
            .or(absurd.map(|(key, _)| (key, "it is 0 to 9000000000 credits")))
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            database: None,
            slots: 0,
            agents: Vec::new(),
            agents_base_url: None,
            plan_roots: Vec::new(),
            default_budget: Credits::from_nano(1_000_000_000_000),
            credits: Money::default(),
            access: Access::default(),
            limits: Limits::default(),
            tls: Tls::default(),
            outgoing: Outgoing::default(),
            streams: Streams::default(),
            models: Models::default(),
            tools: Tools::default(),
            providers: BTreeMap::new(),
            weights: BTreeMap::new(),
        }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            require_keys: false,
            hosts: Vec::new(),
            origins: Vec::new(),
            requests_per_second: 100,
            burst: 200,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json_bytes: 8_000_000,
            upload_bytes: 100_000_000,
            json_depth: 128,
            connections: 10_000,
            header_timeout: 30_000,
            body_pause: 15_000,
            body_timeout: 600_000,
            request_timeout: 60_000,
            take_pause: 30_000,
            drain: 10_000,
        }
    }
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            connect_timeout: 5_000,
            answer_bytes: 16_000_000,
            signing_secrets: BTreeMap::new(),
        }
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self { heartbeat: 15_000 }
    }
}
