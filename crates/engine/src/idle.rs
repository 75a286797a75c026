//! What a replica does that has nothing under way: it asks one question now and then.

use domain::values::time::{Millis, Timestamp};
use store::error::StoreError;

use crate::agents;
use crate::handle::Engine;
use crate::replica::{LOOK_BESIDE, LOOK_IDLE};

/// What a look has shown.
pub(crate) struct Looked {
    /// There is something to sweep.
    pub(crate) sweep: bool,
    /// Until the next look.
    pub(crate) pause: Millis,
}

/// Asks whether there is anything to do: to sweep, to claim, or agents that others have registered.
///
/// # Errors
/// When the database fails.
pub(crate) async fn look(engine: &Engine) -> Result<Looked, StoreError> {
    let now = engine.clock.now();
    let seen = engine.store.idle_look(now.0).await?;
    agents::refresh_to(engine, seen.agents_stamp).await?;
    if let Some(due) = seen.due_at {
        if due <= now.0 {
            engine.work.look();
        } else {
            engine.work.due(Timestamp(due));
        }
    }
    let beside = seen.holders > 1;
    let pause = if beside { LOOK_BESIDE } else { LOOK_IDLE };
    let wake = seen.wake_at.map(Timestamp);
    Ok(Looked {
        // Only the sweep can tell whether the others on an embedded file are alive.
        sweep: seen.lapsed
            || seen.expired_writes
            || wake.is_some_and(|wake| wake <= now)
            || (beside && engine.store.is_embedded()),
        pause: match wake {
            Some(wake) if wake > now => (wake - now).min(pause),
            _ => pause,
        },
    })
}
