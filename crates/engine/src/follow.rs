//! Waiting for an orchestration's end: where it ends here the state is handed over from memory, without a query.

use std::sync::Arc;

use domain::orchestration::state::Orchestration;
use domain::orchestration::submission::Pinned;
use domain::values::ids::OrchestrationId;

use crate::error::TransitionError;
use crate::handle::Engine;
use crate::lane::Hot;
use crate::live::{End, EndListener};
use crate::transition::load;

/// How an orchestration ended.
#[derive(Debug)]
pub struct Ended {
    /// Which.
    pub id: OrchestrationId,
    /// Its last state.
    pub state: Orchestration,
    /// Its pinned definitions, where they were in memory.
    pub pinned: Option<Arc<Pinned>>,
}

impl Ended {
    /// The end that `hot` shows.
    pub(crate) fn of(id: OrchestrationId, hot: Hot) -> Arc<Self> {
        Arc::new(Self {
            id,
            state: hot.state,
            pinned: hot.pinned,
        })
    }
}

/// Waits until the orchestration has ended.
///
/// # Errors
/// When there is none, when the database fails, or when it keeps reports from being stored.
pub async fn ended(engine: &Engine, id: OrchestrationId) -> Result<Arc<Ended>, TransitionError> {
    Waiting::for_end(engine, id).ended().await
}

/// Somebody who waits for an end. Begun before the orchestration is submitted, it never has to ask the store.
pub struct Waiting {
    engine: Engine,
    id: OrchestrationId,
    listener: EndListener,
}

impl Waiting {
    /// Begins to wait.
    pub fn for_end(engine: &Engine, id: OrchestrationId) -> Self {
        Self {
            engine: engine.clone(),
            id,
            listener: engine.live.listen_to_end(id),
        }
    }

    /// Waits until the orchestration has ended.
    ///
    /// # Errors
    /// When there is none, when the database fails, or when it keeps reports from being stored.
    pub async fn ended(mut self) -> Result<Arc<Ended>, TransitionError> {
        loop {
            // It may have been told before anybody asked.
            if let Some(ended) = self.listener.ended() {
                return Ok(ended);
            }
            if !self.engine.is_under_way(self.id)
                && let Some(ended) = self.look().await?
            {
                return Ok(ended);
            }
            if let Some(trouble) = self.engine.trouble() {
                return Err(trouble.into());
            }
            match self.listener.told().await {
                End::Ended(ended) => return Ok(ended),
                End::Look => self.listener = self.engine.live.listen_to_end(self.id),
            }
        }
    }

    /// The end as the rows tell it, if it has come.
    async fn look(&mut self) -> Result<Option<Arc<Ended>>, TransitionError> {
        let row = self
            .engine
            .store
            .orchestration(*self.id.0.as_bytes())
            .await?;
        let row = row.ok_or(TransitionError::Unknown(self.id))?;
        if row.ended_at.is_none() {
            return Ok(None);
        }
        let hot = load(&self.engine, self.id).await?;
        Ok(Some(Ended::of(self.id, hot)))
    }
}
