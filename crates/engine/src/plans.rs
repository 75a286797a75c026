//! Plans in memory: put in when submitted, read back from blobs when an orchestration goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::plan::{PlanArtifactEntry, PlanManifest};
use domain::values::hash::ContentHash;
use domain::values::ids::AccountId;
use domain::values::time::Timestamp;
use planexe::plan::{Artifact, Plan};
use serde_json::Value;
use store::db::Store;
use store::error::StoreError;
use store::rows::PlanRow;
use store::write::{NewBlob, NewPlan};

/// How many plans are kept in memory: those of the orchestrations in hand.
const KEPT: usize = 4;

/// A plan with its manifest and summary.
#[derive(Debug)]
pub struct LoadedPlan {
    /// Its identity.
    pub hash: ContentHash,
    /// What it consists of.
    pub manifest: PlanManifest,
    /// Its artifacts.
    pub plan: Plan,
    /// What gates see of it.
    pub summary: Value,
}

impl LoadedPlan {
    /// Hashes the artifacts of `plan`.
    ///
    /// # Errors
    /// Never for a plan of named bytes.
    pub fn of(plan: Plan) -> Result<Self, domain::canonical::CanonicalError> {
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
        Ok(Self {
            hash: manifest.hash()?,
            summary: planexe::summary::plan_summary(&plan),
            manifest,
            plan,
        })
    }
}

/// The plans in memory, the latest last.
#[derive(Debug, Default)]
pub struct Plans(Mutex<Vec<Arc<LoadedPlan>>>);

impl Plans {
    /// Keeps `plan` in memory.
    pub fn keep(&self, plan: Arc<LoadedPlan>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| other.hash != plan.hash);
        kept.push(plan);
        if kept.len() > KEPT {
            kept.remove(0);
        }
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
        let kept = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|plan| plan.hash == hash)
            .cloned();
        if let Some(plan) = kept {
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
        let summary = planexe::summary::plan_summary(&plan);
        let plan = Arc::new(LoadedPlan {
            hash,
            manifest,
            plan,
            summary,
        });
        self.keep(plan.clone());
        Ok(plan)
    }
}

/// Stores the plan for `account`; when it has it already, notes that it is wanted still, so that retention spares it.
///
/// # Errors
/// When the database fails.
pub async fn put(
    store: &Store,
    account: &AccountId,
    title: &str,
    plan: &LoadedPlan,
    now: Timestamp,
) -> Result<(), StoreError> {
    let manifest = serde_json::to_vec(&plan.manifest)
        .map_err(|error| StoreError::Refused(error.to_string()))?;
    let artifacts = plan.plan.artifacts.iter().filter_map(|(name, artifact)| {
        let entry = plan.manifest.artifacts.get(name)?;
        Some(NewBlob {
            hash: *entry.hash.as_bytes(),
            bytes: artifact.bytes.clone(),
        })
    });
    let row = PlanRow {
        account: account.as_str().to_owned(),
        hash: *plan.hash.as_bytes(),
        manifest_hash: *ContentHash::of(&manifest).as_bytes(),
        title: title.to_owned(),
        bytes: plan
            .manifest
            .artifacts
            .values()
            .map(|entry| i64::try_from(entry.bytes).unwrap_or(0))
            .sum(),
        created_at: now.0,
    };
    store
        .put_plan(NewPlan {
            row,
            plan_id: None,
            manifest: manifest.into(),
            artifacts: artifacts.collect(),
        })
        .await?;
    Ok(())
}
