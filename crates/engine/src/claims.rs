//! Claims: finding steps that may be performed here. The claim itself is decided behind the door.

use std::collections::BTreeSet;

use domain::orchestration::command::Command;
use domain::values::ids::OrchestrationId;
use store::error::StoreError;

use crate::error::TransitionError;
use crate::handle::{Engine, Scope};
use crate::transition::transition;

/// Most due steps looked at in one pass.
const BATCH: i64 = 256;

/// One pass: lets every orchestration with due steps claim what there is room for.
///
/// # Errors
/// When the database fails.
pub async fn claim(engine: &Engine) -> Result<(), StoreError> {
    if engine.slots.available_permits() == 0 {
        engine.work.defer();
        return Ok(());
    }
    let ids: BTreeSet<OrchestrationId> = match engine.scope() {
        Scope::Nothing => return Ok(()),
        Scope::Only(ids) => ids.into_iter().collect(),
        Scope::Everything => {
            let due = engine.store.due_steps(engine.clock.now().0, BATCH).await?;
            due.into_iter()
                .map(|key| OrchestrationId(uuid::Uuid::from_bytes(key.orchestration)))
                .collect()
        }
    };
    for id in ids {
        // A tick asks for nothing but to look at the time; behind the door, what is due and fits is claimed.
        if let Err(TransitionError::Store(error)) =
            transition(engine, id, Command::Tick, Vec::new()).await
        {
            return Err(error);
        }
    }
    Ok(())
}
