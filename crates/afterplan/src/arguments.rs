//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use domain::values::ids::{AgentId, OrchestrationId, StepId};

/// Takes a finished PlanExe plan, performs enrichment agents over it, and gives back an enriched, traceable plan.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
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
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Enrich a plan: a PlanExe run directory or its zip.
    Enrich(EnrichRequest),
    /// Look at a plan without enriching it.
    #[command(subcommand)]
    Plan(PlanVerb),
    /// The agents that this program knows.
    #[command(subcommand)]
    Agents(AgentsVerb),
    /// Orchestrations: look at them, and steer them from any shell.
    #[command(subcommand)]
    Orchestrations(OrchestrationsVerb),
    /// Prove the database: fold every log against its snapshot, verify hash chains and blob references.
    Check,
    /// Print shell completions.
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
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Only these agents and what they depend on. Default: all built-in analyses.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub agents: Vec<AgentId>,
    /// Seed of every random draw: equal seeds give equal bytes.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Print the outcome as JSON.
    #[arg(long)]
    pub json: bool,
    /// Start anew: neither go on with an unfinished enrichment of this plan nor take over earlier results.
    #[arg(long)]
    pub fresh: bool,
    /// Keep the output directory as a git repository, with one commit an enrichment.
    #[arg(long)]
    pub git: bool,
}

/// Looking at a plan.
#[derive(Debug, Subcommand)]
pub enum PlanVerb {
    /// What is in it, what is missing, and what could not be read.
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
    /// All agents.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// One agent's definition.
    Show {
        /// Its id.
        id: AgentId,
    },
    /// Check definition files (TOML) without registering them.
    Validate {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of definitions.
    Schema,
}

/// Looking at orchestrations and steering them.
#[derive(Debug, Subcommand)]
pub enum OrchestrationsVerb {
    /// The latest ones.
    List {
        /// How many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// One of them, with its steps.
    Show {
        /// Its id.
        #[arg(value_parser = orchestration_id)]
        id: OrchestrationId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Its events, in order.
    Events {
        /// Its id.
        #[arg(value_parser = orchestration_id)]
        id: OrchestrationId,
        /// Wait for more until it ends.
        #[arg(long)]
        follow: bool,
        /// Only those after this cursor.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Stop it, or one step of it: what is in flight may end within the grace.
    Cancel {
        /// Its id.
        #[arg(value_parser = orchestration_id)]
        id: OrchestrationId,
        /// Only this step.
        #[arg(long)]
        step: Option<StepId>,
        /// Why, for the log.
        #[arg(long, default_value = "cancelled from the command line")]
        reason: String,
        /// Milliseconds that attempts in flight may still take; 0 forces them.
        #[arg(long, default_value_t = 10_000)]
        grace: u64,
    },
    /// Start nothing more of it, or of one step.
    Pause {
        /// Its id.
        #[arg(value_parser = orchestration_id)]
        id: OrchestrationId,
        /// Only this step.
        #[arg(long)]
        step: Option<StepId>,
    },
    /// End a pause.
    Resume {
        /// Its id.
        #[arg(value_parser = orchestration_id)]
        id: OrchestrationId,
        /// Only this step.
        #[arg(long)]
        step: Option<StepId>,
    },
    /// Say yes to a step that waits for approval.
    Approve {
        /// Its id.
        #[arg(value_parser = orchestration_id)]
        id: OrchestrationId,
        /// The step.
        step: StepId,
    },
    /// Delete ended orchestrations, and what only they needed.
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
