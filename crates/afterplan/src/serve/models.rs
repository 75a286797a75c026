//! Language models and the tools of their agents, as the settings say.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use domain::values::time::Millis;
use engine::outside::Outside;
use providers::models::Models;
use providers::models::asked::AskLimits;
use providers::models::scripted::CueSheet;
use providers::models::settings::{Kind, ModelsSettings, ProviderSettings};
use providers::outgoing::OutgoingSettings;
use providers::tools::ToolSettings;
use server::config::Settings;
use server::config::models::{ModelKind, ModelProvider};

use crate::environment;
use crate::failure::Failure;
use crate::screen::shown;

/// Puts what the settings say of models and tools where attempts find it.
///
/// # Errors
/// A sentence that names the setting that cannot be used.
pub fn put(
    settings: &Settings,
    outgoing: OutgoingSettings,
    outside: &mut Outside,
) -> Result<(), Failure> {
    let own = &settings.models;
    let known = ModelsSettings {
        providers: own.providers.iter().map(provider).collect(),
        llm_config: own.llm_config.as_deref().map(llm_config).transpose()?,
        scripted: cue_sheets(&own.scripted)?,
    };
    let models = Models::new(known, outgoing, &environment::said).map_err(|error| {
        Failure::refused(format!(
            "the settings of [models] cannot be used: {error}; docs/models.md explains them"
        ))
    })?;
    outside.models = Some(models);
    outside.default_model.clone_from(&own.default);
    outside.ask_limits = AskLimits {
        first: Millis(own.first_token),
        between: Millis(own.between_tokens),
        whole: Millis(own.answer_timeout),
        bytes: own.answer_bytes,
        ..AskLimits::default()
    };
    let tools = &settings.tools;
    outside.tools = ToolSettings {
        commands: named(&tools.commands),
        variables: named(&tools.variables),
        open_timeout: Millis(tools.open_timeout),
        call_timeout: Millis(tools.call_timeout),
        answer_max: tools.answer_bytes,
        shown_max: tools.shown_bytes,
    };
    outside.environment = Arc::new(environment::said);
    Ok(())
}

/// Nothing where any will do.
fn named(names: &[String]) -> Option<Vec<String>> {
    let any = names.iter().any(|name| name == "*");
    (!any).then(|| names.to_vec())
}

fn provider((name, of): (&String, &ModelProvider)) -> (String, ProviderSettings) {
    let of = of.clone();
    let settings = ProviderSettings {
        base_url: of.base_url,
        api_key_env: of.api_key_env,
        kind: of.kind.map(|kind| match kind {
            ModelKind::Openai => Kind::Openai,
            ModelKind::Anthropic => Kind::Anthropic,
        }),
        structured_output: of.structured_output,
        tools: of.tools,
        context_tokens: of.context_tokens,
    };
    (name.clone(), settings)
}

fn llm_config(path: &Path) -> Result<serde_json::Value, Failure> {
    let unusable = |why: &dyn std::fmt::Display| {
        Failure::refused(format!(
            "PlanExe's configuration of models {} cannot be used: {why}; the setting models.llmConfig names it",
            shown(path)
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| unusable(&error))?;
    serde_json::from_str(&text).map_err(|error| unusable(&error))
}

fn cue_sheets(
    paths: &BTreeMap<String, std::path::PathBuf>,
) -> Result<BTreeMap<String, CueSheet>, Failure> {
    let sheet = |(name, path): (&String, &std::path::PathBuf)| {
        let unusable = |why: &dyn std::fmt::Display| {
            Failure::refused(format!(
                "the cue sheet {} cannot be used: {why}; docs/models.md shows one, the setting models.scripted names it",
                shown(path)
            ))
        };
        let text = std::fs::read_to_string(path).map_err(|error| unusable(&error))?;
        let sheet = CueSheet::read(&text).map_err(|error| unusable(&error))?;
        Ok((name.clone(), sheet))
    };
    paths.iter().map(sheet).collect()
}
