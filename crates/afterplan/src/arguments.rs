//! The command line.

mod credits;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use domain::values::credits::{Credits, InvalidCredits};
use domain::values::ids::{AccountId, AgentId, OrchestrationId, StepId};
use domain::values::role::Role;
use server::api::submission::BUDGET_MAX;

pub use credits::{CreditsVerb, HistoryForm, HistoryRequest, QuotaRequest};

const EXITS: &str = "\
Exit codes: 0 complete, 3 partial, 1 failed (or something found by `check`), 2 refused, 4 cancelled,
130 interrupted: the same command goes on where it stopped (with --fresh it starts anew).

Begin with: afterplan enrich PATH-OF-A-PLAN";

const ENRICH_EXAMPLES: &str = "\
Examples:
  afterplan enrich my-plan.zip                        writes the folder my-plan.enriched
  afterplan enrich my-plan --out reports/my-plan.zip  writes a zip
  afterplan enrich my-plan --agents plan-lint         only the consistency check and what it needs
  afterplan enrich my-plan --git --out my-plan-log    one commit an enrichment
  afterplan enrich my-plan --forecast                 what it may cost
  afterplan enrich my-plan --max-cost 2.5 --strict    only if it cannot cost more

Killed or interrupted? The same command goes on where it stopped (with --fresh it starts anew).
Called again after it is complete, it takes over what has not changed.";

const SERVE_EXAMPLES: &str = "\
Settings come from --config FILE or ./afterplan.toml, then the environment (PORT, DATABASE_URL, AFTERPLAN_LISTEN,
AFTERPLAN_DATABASE, AFTERPLAN_AGENTS_BASE_URL, AFTERPLAN_OUTGOING_ALLOW, AFTERPLAN_SIGNING_SECRET; .env in this folder
where the environment says nothing), then these options. config.default.toml explains every key.

Examples:
  afterplan serve                                       at http://127.0.0.1:8080, for this machine
  afterplan serve --agents agents/                      with the agents defined in a folder
  afterplan keys create --role admin && afterplan serve --listen 0.0.0.0:8080
  afterplan serve --database postgres://me@db/afterplan as many of these as you like

A signal lets requests under way end, a second one ends at once.";

const CREDITS_EXAMPLES: &str = "\
Examples:
  afterplan credits balance                             what the account `system` has
  afterplan credits grant acme 500 --key invoice-17     once, however often it is asked for
  afterplan credits history acme --form csv             every movement with the balance after it
  afterplan credits quota acme --per day --credits 20   at most 20 credits a day
  afterplan credits export --to postgres://me@db/planexe";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  afterplan completions bash > ~/.local/share/bash-completion/completions/afterplan
  afterplan completions zsh > ~/.zfunc/_afterplan
  afterplan completions fish > ~/.config/fish/completions/afterplan.fish";

/// Takes a finished PlanExe plan, performs enrichment agents over it, and gives back an enriched, traceable plan.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXITS)]
pub struct Arguments {
    /// The database: a SQLite file, or postgres://USER@HOST/NAME. Default: a file in the user's data folder.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "AFTERPLAN_DATABASE",
        hide_env_values = true
    )]
    pub database: Option<String>,
    /// Ask an Afterplan server instead of working here: http://HOST:PORT.
    #[arg(long, global = true, value_name = "URL", env = "AFTERPLAN_URL")]
    pub server: Option<String>,
    /// The key for that server.
    #[arg(
        long,
        global = true,
        value_name = "KEY",
        env = "AFTERPLAN_KEY",
        hide_env_values = true
    )]
    pub api_key: Option<String>,
    /// Trust that server by the certificates in this file (PEM), beside those that the system trusts.
    #[arg(long, global = true, value_name = "FILE", env = "AFTERPLAN_CA")]
    pub ca: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Enrich a plan and write the enriched plan with its report.
    #[command(after_help = ENRICH_EXAMPLES)]
    Enrich(EnrichRequest),
    /// Serve the API: submit plans, follow them live and register agents over the network.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeRequest),
    /// Look at a plan without enriching it.
    #[command(subcommand)]
    Plan(PlanVerb),
    /// Look at the agents that can enrich, register and retire them, and check definitions of one's own.
    #[command(subcommand)]
    Agents(AgentsVerb),
    /// Look at enrichments under way or past, and steer them from any shell.
    #[command(subcommand)]
    Orchestrations(OrchestrationsVerb),
    /// Hand out and revoke the keys of a server's callers, in its database.
    #[command(subcommand)]
    Keys(KeysVerb),
    /// Look at what accounts have and were charged; grant, correct and bound it.
    #[command(subcommand, after_help = CREDITS_EXAMPLES)]
    Credits(CreditsVerb),
    /// Show what the tokens of models cost: the table that new orchestrations are billed by.
    Prices {
        /// Only this model.
        model: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make the database's tables, or bring them up to this version.
    Migrate,
    /// Prove the database: every log gives the state that is stored, every hash fits.
    Check,
    /// Print completions for a shell.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// For which shell.
        shell: Shell,
    },
}

/// What to enrich, and how.
#[derive(Debug, Args)]
pub struct EnrichRequest {
    /// The plan: a PlanExe run directory or its zip.
    pub path: PathBuf,
    /// Where the enriched plan goes: a directory, or a file ending in .zip. Default: NAME.enriched in this folder.
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Only these agents and what they depend on. Default: all built-in analyses.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub agents: Vec<AgentId>,
    /// Seed of every random draw: equal seeds give equal bytes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=domain::canonical::INTEGER_MAX))]
    pub seed: Option<u64>,
    /// Print the outcome as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Start anew: neither go on with an unfinished enrichment of this plan nor take over earlier results.
    #[arg(long)]
    pub fresh: bool,
    /// Keep the output directory as a git repository, with one commit an enrichment.
    #[arg(long)]
    pub git: bool,
    /// Tell what it may cost, and end: nobody is asked, nothing is stored.
    #[arg(long, conflicts_with_all = ["out", "git"])]
    pub forecast: bool,
    /// The most that it may cost: at that limit it stops, and what it has made stands.
    #[arg(long, value_name = "CREDITS", allow_negative_numbers = true, value_parser = amount)]
    pub max_cost: Option<Credits>,
    /// What happens to a step that does not fit --max-cost: it fails, waits for a yes (`orchestrations approve`), or starts all the same.
    #[arg(long, value_name = "POLICY", value_parser = ["stop", "pause", "warn"], requires = "max_cost")]
    pub at_limit: Option<String>,
    /// Refuse it if its worst case costs more than it may, or cannot be told since a price is unknown.
    #[arg(long)]
    pub strict: bool,
}

/// An amount that something may cost.
fn amount(text: &str) -> Result<Credits, String> {
    let credits = exact(text)?;
    if credits < Credits::ZERO || credits > BUDGET_MAX {
        return Err(format!("it is 0 to {BUDGET_MAX} credits"));
    }
    Ok(credits)
}

fn exact(text: &str) -> Result<Credits, String> {
    text.parse()
        .map_err(|error: InvalidCredits| error.to_string())
}

/// How to serve.
#[derive(Debug, Args)]
pub struct ServeRequest {
    /// Where to listen. Default: 127.0.0.1:8080, or the port in PORT.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// The settings. Default: afterplan.toml in this folder, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Definitions to register at the start: a file, or a folder of .toml and .json files.
    #[arg(long, value_name = "PATH")]
    pub agents: Vec<PathBuf>,
    /// Where agents without an executor are asked: URL/api/agents/ID/invoke.
    #[arg(long, value_name = "URL")]
    pub agents_base_url: Option<String>,
    /// Private addresses that agents may have: a network (10.0.0.0/8), a host, or host:port.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub allow: Vec<String>,
    /// The certificate chain (PEM): with it the server speaks HTTPS.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

/// Handing out keys.
#[derive(Debug, Subcommand)]
pub enum KeysVerb {
    /// Make a key and print it: it is shown this once.
    Create {
        /// Whose it is.
        #[arg(long, default_value = "system")]
        account: AccountId,
        /// What it may do: admin, operator, submitter, worker or viewer.
        #[arg(long, default_value = "submitter")]
        role: Role,
        /// What it is for, for people.
        #[arg(long, value_name = "TEXT", default_value = "")]
        label: String,
        /// After how many days it ends. Default: never.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires: Option<u32>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the keys. Their secrets are not known.
    List {
        /// Only those of this account.
        #[arg(long)]
        account: Option<AccountId>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key: from now on it opens nothing.
    Revoke {
        /// The key's id, as `list` shows it.
        id: String,
    },
}

/// Looking at a plan.
#[derive(Debug, Subcommand)]
pub enum PlanVerb {
    /// Say what is in a plan, what is missing, and what could not be read.
    Inspect {
        /// The plan: a PlanExe run directory or its zip.
        path: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Looking at agents.
#[derive(Debug, Subcommand)]
pub enum AgentsVerb {
    /// List all agents.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print one agent's definition as JSON.
    Show {
        /// The agent's id.
        id: AgentId,
    },
    /// Check definition files (TOML, JSON, or Codebuff's .ts, .js and .json) without registering them.
    Validate {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema that definitions follow.
    Schema,
    /// Register definition files (TOML, JSON, or Codebuff's .ts, .js and .json). A version that is registered never changes.
    Register {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Retire an agent: nothing new begins with it.
    Retire {
        /// The agent's id.
        id: AgentId,
        /// Only this version. Default: all.
        #[arg(long = "agent-version", value_name = "VERSION")]
        version: Option<String>,
    },
    /// Ask an endpoint for its own definition (/.well-known/afterplan-agent.json) and register it.
    Discover {
        /// The endpoint's address.
        url: String,
    },
    /// Register the agents that the program brings along for a server.
    Seed,
}

/// Looking at orchestrations and steering them.
#[derive(Debug, Subcommand)]
pub enum OrchestrationsVerb {
    /// List the latest orchestrations.
    List {
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show an orchestration with its steps, and why each stands where it stands.
    Show {
        /// The orchestration's id.
        #[arg(value_parser = orchestration_id)]
        id: OrchestrationId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print an orchestration's events in order.
    Events {
        /// The orchestration's id.
        #[arg(value_parser = orchestration_id)]
        id: OrchestrationId,
        /// Wait for more until it ends.
        #[arg(long)]
        follow: bool,
        /// Only those after this cursor (the number before each).
        #[arg(long, value_name = "CURSOR", default_value_t = 0)]
        after: u64,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Cancel an orchestration, or one step of it. What is in flight may end within the grace.
    Cancel {
        /// The orchestration's id.
        #[arg(value_parser = orchestration_id)]
        id: OrchestrationId,
        /// Only this step.
        #[arg(long)]
        step: Option<StepId>,
        /// Why, for the log.
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "cancelled from the command line"
        )]
        reason: String,
        /// Milliseconds that attempts in flight may still take; 0 forces them.
        #[arg(long, value_name = "MS", default_value_t = 10_000)]
        grace: u64,
    },
    /// Pause an orchestration, or one step of it: what is in flight ends, nothing more starts.
    Pause {
        /// The orchestration's id.
        #[arg(value_parser = orchestration_id)]
        id: OrchestrationId,
        /// Only this step.
        #[arg(long)]
        step: Option<StepId>,
    },
    /// Resume what was paused.
    Resume {
        /// The orchestration's id.
        #[arg(value_parser = orchestration_id)]
        id: OrchestrationId,
        /// Only this step.
        #[arg(long)]
        step: Option<StepId>,
    },
    /// Approve a step that waits for a person's yes.
    Approve {
        /// The orchestration's id.
        #[arg(value_parser = orchestration_id)]
        id: OrchestrationId,
        /// The step.
        step: StepId,
    },
    /// Delete orchestrations that ended long ago, and what only they needed.
    Prune {
        /// Those that ended more than this many days ago.
        #[arg(long, value_name = "DAYS")]
        older_than: u32,
    },
}

fn orchestration_id(text: &str) -> Result<OrchestrationId, String> {
    text.parse().map_err(|_| {
        "this is no orchestration's id; `afterplan orchestrations list` shows them".to_owned()
    })
}
