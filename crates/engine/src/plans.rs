//! Plans in memory: put in when submitted, read back from blobs when an orchestration goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use domain::canonical::CanonicalError;
use domain::plan::{PlanArtifactEntry, PlanManifest};
use domain::values::hash::ContentHash;
use domain::values::ids::AccountId;
use domain::values::time::Timestamp;
use planexe::json_plan::{PLAN_JSON, Twice, plan_of_json};
use planexe::known::is_plan;
use planexe::plan::{Artifact, Plan};
use serde_json::Value;
use serde_json::value::RawValue;
use store::db::Store;
use store::error::StoreError;
use store::rows::PlanRow;
use store::write::{NewBlob, NewPlan};

use crate::inputs::Pieces;
use crate::recent::Recent;

/// Bytes of plans that are kept in memory: those of the orchestrations in hand.
const KEPT: usize = 12 << 20;

/// What an artifact takes in memory beside its bytes, about.
const ARTIFACT: usize = 512;

/// A JSON value that is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// An artifact comes twice.
    #[error(transparent)]
    Twice(#[from] Twice),
    /// Its manifest has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

/// A plan with its manifest.
#[derive(Debug)]
pub struct LoadedPlan {
    /// Its identity.
    pub hash: ContentHash,
    /// What it consists of.
    pub manifest: PlanManifest,
    /// Its artifacts.
    pub plan: Plan,
    /// What agents outside are told of it: prepared once.
    pub pieces: Pieces,
    summary: OnceLock<Value>,
    members: OnceLock<BTreeMap<String, Box<RawValue>>>,
    planexe: OnceLock<bool>,
}

impl LoadedPlan {
    /// Hashes the artifacts of `plan`.
    ///
    /// # Errors
    /// Never for a plan of named bytes.
    pub fn of(plan: Plan) -> Result<Self, CanonicalError> {
        let entry = |artifact: &Artifact| PlanArtifactEntry {
            path: artifact.path.clone(),
            hash: ContentHash::of(&artifact.bytes),
            bytes: artifact.bytes.len() as u64,
        };
        let artifacts = plan
            .artifacts
            .iter()
            .map(|(name, artifact)| (name.clone(), entry(artifact)))
            .collect();
        let manifest = PlanManifest { artifacts };
        Ok(Self::with_manifest(manifest.hash()?, manifest, plan))
    }

    /// The plan that a JSON value is (see [`plan_of_json`]). `text` must be JSON.
    ///
    /// # Errors
    /// When an artifact comes twice.
    pub fn of_json(text: &str) -> Result<Self, Unusable> {
        Ok(Self::of(plan_of_json(text)?)?)
    }

    fn with_manifest(hash: ContentHash, manifest: PlanManifest, plan: Plan) -> Self {
        Self {
            hash,
            manifest,
            plan,
            pieces: Pieces::default(),
            summary: OnceLock::new(),
            members: OnceLock::new(),
            planexe: OnceLock::new(),
        }
    }

    /// What gates see of it: made when it is first asked for.
    pub fn summary(&self) -> &Value {
        self.summary
            .get_or_init(|| planexe::summary::plan_summary(&self.plan))
    }

    /// Whether PlanExe wrote it: the built-in analyses say nothing about anything else.
    pub fn is_planexe(&self) -> bool {
        *self.planexe.get_or_init(|| {
            let files = self.plan.artifacts.values();
            is_plan(files.map(|file| (file.path.as_str(), file.bytes.as_ref())))
        })
    }

    /// A member of the object that a JSON plan is. None of a plan of files.
    pub fn member(&self, name: &str) -> Option<&RawValue> {
        let members = self.members.get_or_init(|| {
            let text = self.plan.text(PLAN_JSON).unwrap_or_default();
            serde_json::from_str(text).unwrap_or_default()
        });
        members.get(name).map(AsRef::as_ref)
    }

    /// About how many bytes it takes in memory, with the text that is prepared of it.
    fn size(&self) -> usize {
        let files = self.plan.artifacts.values();
        files.map(|file| 2 * file.bytes.len() + ARTIFACT).sum()
    }
}

/// The plans in memory.
#[derive(Debug)]
pub struct Plans(Recent<ContentHash, Arc<LoadedPlan>>);

impl Default for Plans {
    fn default() -> Self {
        Self(Recent::new(KEPT))
    }
}

impl Plans {
    /// Keeps `plan` in memory.
    pub fn keep(&self, plan: Arc<LoadedPlan>) {
        self.0.keep(plan.hash, plan.clone(), plan.size());
    }

    /// The plan, from memory or from its blobs.
    ///
    /// # Errors
    /// When the database fails, or lacks a part of the plan.
    pub async fn load(
        &self,
        store: &Store,
        account: &AccountId,
        hash: ContentHash,
    ) -> Result<Arc<LoadedPlan>, StoreError> {
        if let Some(plan) = self.0.get(hash) {
            return Ok(plan);
        }
        let lost = |detail: String| StoreError::Corrupt {
            database: store.name(),
            detail,
        };
        let row = store.plan(account.as_str(), *hash.as_bytes()).await?;
        let row = row.ok_or_else(|| lost(format!("the plan {hash} is not stored")))?;
        let manifest = store.blob(row.manifest_hash).await?;
        let manifest = manifest
            .ok_or_else(|| lost(format!("the manifest of the plan {hash} is not stored")))?;
        let manifest: PlanManifest = serde_json::from_slice(&manifest)
            .map_err(|error| lost(format!("the manifest of the plan {hash}: {error}")))?;
        let hashes: Vec<_> = manifest
            .artifacts
            .values()
            .map(|entry| *entry.hash.as_bytes())
            .collect();
        let blobs: BTreeMap<_, Arc<[u8]>> = store
            .blobs(&hashes)
            .await?
            .into_iter()
            .map(|(hash, bytes)| (hash, bytes.into()))
            .collect();
        let mut artifacts = BTreeMap::new();
        for (name, entry) in &manifest.artifacts {
            let bytes = blobs.get(entry.hash.as_bytes()).cloned();
            let bytes = bytes.ok_or_else(|| {
                lost(format!(
                    "the artifact {name} of the plan {hash} is not stored"
                ))
            })?;
            artifacts.insert(
                name.clone(),
                Artifact {
                    path: entry.path.clone(),
                    bytes,
                },
            );
        }
        let plan = Plan {
            artifacts,
            ..Plan::default()
        };
        let plan = Arc::new(LoadedPlan::with_manifest(hash, manifest, plan));
        self.keep(plan.clone());
        Ok(plan)
    }
}

/// The plan as it is stored for `account`: where it has it already, that it is wanted still, so that retention spares it.
/// `plan_id` is what the account calls it.
///
/// # Errors
/// Never for a plan of named bytes.
pub(crate) fn row(
    account: &AccountId,
    title: &str,
    plan: &LoadedPlan,
    plan_id: Option<String>,
    now: Timestamp,
) -> Result<NewPlan, StoreError> {
    let manifest = serde_json::to_vec(&plan.manifest)
        .map_err(|error| StoreError::Refused(error.to_string()))?;
    let artifacts = plan.plan.artifacts.iter().filter_map(|(name, artifact)| {
        let entry = plan.manifest.artifacts.get(name)?;
        Some(NewBlob {
            hash: *entry.hash.as_bytes(),
            bytes: artifact.bytes.clone(),
        })
    });
    let entries = plan.manifest.artifacts.values();
    let row = PlanRow {
        account: account.as_str().to_owned(),
        hash: *plan.hash.as_bytes(),
        manifest_hash: *ContentHash::of(&manifest).as_bytes(),
        title: title.to_owned(),
        bytes: entries
            .map(|entry| i64::try_from(entry.bytes).unwrap_or(0))
            .sum(),
        created_at: now.0,
    };
    Ok(NewPlan {
        row,
        plan_id,
        manifest: manifest.into(),
        artifacts: artifacts.collect(),
    })
}
