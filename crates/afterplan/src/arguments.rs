//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use domain::values::ids::{AgentId, OrchestrationId, StepId};

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

Killed or interrupted? The same command goes on where it stopped (with --fresh it starts anew).
Called again after it is complete, it takes over what has not changed.";

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
    /// Look at a plan without enriching it.
    #[command(subcommand)]
    Plan(PlanVerb),
    /// Look at the agents that can enrich, and check definitions of one's own.
    #[command(subcommand)]
    Agents(AgentsVerb),
    /// Look at enrichments under way or past, and steer them from any shell.
    #[command(subcommand)]
    Orchestrations(OrchestrationsVerb),
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
    /// Check definition files (TOML) without registering them.
    Validate {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema that definitions follow.
    Schema,
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
