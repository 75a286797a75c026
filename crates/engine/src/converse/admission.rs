//! Each question to a model waits for its provider's limits, and whoever says 429 is left alone by all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::agent::model::{Counts, ModelUse};
use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::orchestration::asking::{Asking, NoRoom};
use domain::orchestration::command::{Command, Holder, Rejected};
use domain::orchestration::standing::{Throttled, Wait};
use domain::orchestration::state::Orchestration;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, OrchestrationId, StepId};
use domain::values::time::{Millis, Timestamp};
use providers::failure::Failure;
use providers::models::asked::Admits;
use tracing::warn;

use super::Talk;
use super::recording::AGAIN;
use crate::error::TransitionError;
use crate::handle::Engine;
use crate::line::Place;
use crate::meter::CLOSED_MAX;
use crate::throttle::{CLOSED_FOR, first_open};
use crate::transition::transition;

/// The longest that a question waits in place, without a place at its provider. Then the step goes back to the queue.
const PATIENCE: Millis = Millis(5_000);

/// The pause between two looks where another question must end first.
const LOOK_EVERY: Millis = Millis(500);

/// No provider is left alone for less, whatever it says: a step must not come back at once, over and over.
const CLOSED_MIN: Millis = Millis(1_000);

/// Who asks, and under which fence.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) orchestration: OrchestrationId,
    pub(super) step: StepId,
    pub(super) attempt: u32,
    pub(super) holder: Holder,
}

/// Why a question is not asked.
#[derive(Debug)]
pub(super) enum Refused {
    /// Its provider lets none in.
    Throttled(Throttled),
    /// Its credits are not there.
    NoRoom(Box<NoRoom>),
}

impl Asker {
    /// Nothing that would change anything.
    pub(super) fn nothing(&self) -> Asking {
        Asking {
            step: self.step.clone(),
            attempt: self.attempt,
            model: None,
            unanswered: None,
            closed_until: None,
            hold: Credits::ZERO,
            over_budget: false,
        }
    }

    /// Passes it through the door, again and again while the database cannot be reached. Does not return where nobody wants the
    /// attempt any more.
    pub(super) async fn pass(&self, engine: &Engine, asking: &Asking) -> Result<(), Refused> {
        loop {
            let command = Command::Ask {
                holder: self.holder,
                asking: Box::new(asking.clone()),
            };
            match transition(engine, self.orchestration, command, Vec::new()).await {
                Ok(_) => return Ok(()),
                Err(TransitionError::Rejected(Rejected::NotStartable {
                    wait: Wait::Provider(throttled),
                    ..
                })) => return Err(Refused::Throttled(throttled)),
                Err(TransitionError::Rejected(Rejected::NoRoom(none))) => {
                    return Err(Refused::NoRoom(none));
                }
                Err(TransitionError::Rejected(_) | TransitionError::Unknown(_)) => {
                    std::future::pending::<()>().await;
                }
                Err(error) => {
                    warn!(orchestration.id = %self.orchestration, step.id = %self.step, "Whether a model may be asked could not be told, trying again: {error}");
                    engine.clock.sleep(AGAIN).await;
                }
            }
        }
    }
}

/// Lets the tries of one question through.
pub(super) struct Admission {
    engine: Engine,
    asker: Asker,
    /// Whose the orchestration is.
    account: Option<AccountId>,
    /// Whether its step is paused.
    paused: Arc<AtomicBool>,
    /// Tokens that the question is expected to use.
    tokens: u64,
    /// What is drawn already, for a model that is not asked yet.
    drawn: Option<ModelUse>,
    /// What the try under way counts as.
    asked: Option<ModelUse>,
    /// What tries used that failed.
    failed: Usage,
    /// When the first of those that let none in opens again.
    pub(super) until: Option<Timestamp>,
}

impl Admission {
    pub(super) fn of(talk: &mut Talk, tokens: u64) -> Self {
        Self {
            engine: talk.engine.clone(),
            asker: talk.asker(),
            account: talk.brief.account.clone(),
            paused: talk.assignment.paused.clone(),
            tokens,
            drawn: talk.drawn.take(),
            asked: None,
            failed: Usage::default(),
            until: None,
        }
    }

    /// What the try that was answered used, of what all tries `used`; nothing where no limit counts it.
    pub(super) fn counted(&self, used: &Usage) -> Option<u64> {
        let failed = self.failed.tokens().unwrap_or(0);
        let tokens = used.tokens()?.saturating_sub(failed);
        self.asked.as_ref().map(|_| tokens)
    }

    /// The limit that keeps the question waiting; where none does, it is counted.
    async fn draw(&mut self, asks: &ModelUse) -> Result<Option<Throttled>, Failure> {
        if !asks.is_counted() {
            let nobodys = Orchestration::default();
            let open = first_open(&self.engine, &nobodys, std::slice::from_ref(asks), None);
            let open = open.await.map_err(|error| Failure {
                class: ErrorClass::Transient,
                message: format!("whether it may be asked cannot be told: {error}"),
                retry_after: None,
                usage: Box::default(),
            })?;
            return Ok(open.1);
        }
        let unasked = |drawn: ModelUse| Box::new(ModelUse { tokens: 0, ..drawn });
        let asking = Asking {
            model: Some(Box::new(asks.clone())),
            unanswered: self.drawn.clone().map(unasked),
            ..self.asker.nothing()
        };
        match self.asker.pass(&self.engine, &asking).await {
            Ok(()) => {
                self.drawn = None;
                self.asked = Some(asks.clone());
                Ok(None)
            }
            Err(Refused::Throttled(throttled)) => Ok(Some(throttled)),
            // It holds no more than before.
            Err(Refused::NoRoom(_)) => Ok(None),
        }
    }

    /// Stands in line where it is kept waiting.
    fn stand<'a>(
        &self,
        asks: &ModelUse,
        throttled: &Throttled,
        place: &'a mut Option<Place>,
    ) -> Option<&'a Place> {
        let account = self.account.as_ref().filter(|_| asks.is_counted())?;
        if throttled.others_turn {
            self.engine.look_whose_turn();
        }
        if !place
            .as_ref()
            .is_some_and(|place| place.is_at(&throttled.whose))
        {
            *place = Some(self.engine.lines.stand(&throttled.whose, account));
        }
        place.as_ref()
    }

    fn opens(&mut self, at: Timestamp) {
        self.until = Some(self.until.map_or(at, |known| known.min(at)));
    }
}

async fn called(place: Option<&Place>) {
    match place {
        Some(place) => place.called().await,
        None => std::future::pending().await,
    }
}

impl Admits for Admission {
    async fn admit(&mut self, model: &str) -> Result<(), Failure> {
        let sharing = &self.engine.sharing;
        let asks = sharing.asks(model, self.tokens, Counts::Question);
        let patience = self.engine.clock.now() + PATIENCE;
        let mut place = None;
        loop {
            if self.paused.load(Ordering::Relaxed) {
                return Err(Failure {
                    class: ErrorClass::Transient,
                    message: "it is paused".to_owned(),
                    retry_after: None,
                    usage: Box::default(),
                });
            }
            if let Some(drawn) = self.drawn.take_if(|drawn| drawn.asks_as(&asks)) {
                self.asked = Some(drawn);
                return Ok(());
            }
            let Some(throttled) = self.draw(&asks).await? else {
                return Ok(());
            };
            let now = self.engine.clock.now();
            let again = throttled.until.unwrap_or(now + LOOK_EVERY);
            if again > patience {
                self.opens(again);
                return Err(Failure {
                    class: ErrorClass::RateLimited,
                    message: throttled.to_string(),
                    retry_after: Some(again - now),
                    usage: Box::default(),
                });
            }
            let pause = self.engine.clock.sleep((again - now).max(Millis(1)));
            let place = self.stand(&asks, &throttled, &mut place);
            tokio::select! { () = pause => {}, () = called(place) => {} }
        }
    }

    async fn failed(&mut self, model: &str, failure: &Failure) {
        self.failed.add(&failure.usage);
        let limited = failure.class == ErrorClass::RateLimited;
        let asked = self.asked.take();
        if asked.is_none() && !limited {
            return;
        }
        let sharing = &self.engine.sharing;
        let unanswered = asked.unwrap_or_else(|| sharing.asks(model, 0, Counts::Question));
        let closed_until = limited.then(|| {
            // Who goes on saying so without a time is asked ever more rarely.
            let times = self.asker.attempt.saturating_sub(1).min(5);
            let wait = failure.retry_after;
            let wait = wait.unwrap_or(Millis(CLOSED_FOR.0 << times));
            self.engine.clock.now() + wait.clamp(CLOSED_MIN, CLOSED_MAX)
        });
        if let Some(until) = closed_until {
            self.opens(until);
        }
        let tokens = failure.usage.tokens().unwrap_or(0);
        let asking = Asking {
            unanswered: Some(Box::new(ModelUse {
                tokens,
                ..unanswered
            })),
            closed_until,
            ..self.asker.nothing()
        };
        // It asks for nothing that could be refused.
        drop(self.asker.pass(&self.engine, &asking).await);
    }
}
