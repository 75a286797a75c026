//! What a conversation holds for its next question: the most that it may cost with all before it, or it is not asked.

use domain::agent::model::Counts;
use domain::agent::retry::ErrorClass;
use domain::money::budget::{AtLimit, Shortage};
use domain::money::charge::{self, Outcome};
use domain::money::usage::Usage;
use domain::orchestration::asking::{Asking, NoRoom};
use domain::values::credits::Credits;
use domain::values::time::Millis;

use super::Talk;
use super::admission::{Asker, Refused};
use crate::perform::{Performed, fatal};
use crate::throttle::expected_answer;

/// How long a step waits in the queue for what other attempts hold.
const LOOK_AGAIN: Millis = Millis(10_000);

impl Talk {
    pub(super) fn asker(&self) -> Asker {
        Asker {
            orchestration: self.assignment.orchestration,
            step: self.assignment.step.clone(),
            attempt: self.assignment.attempt,
            holder: self.brief.holder,
        }
    }

    /// Tokens that the next question and its answer are expected to use.
    pub(super) fn expected(&self, max_tokens: Option<u32>) -> u64 {
        let declared = self.assignment.agent.estimated_tokens;
        let told = self.conversation.tokens();
        declared.unwrap_or_else(|| told.saturating_add(expected_answer(max_tokens)))
    }

    /// What the next question counts as and holds, where it is one to a model whose limits or price ask for that.
    pub(super) fn ahead(&self) -> Option<Asking> {
        if !self.conversation.asks_model() || self.is_paused() {
            return None;
        }
        let first = self.conversation.first_model();
        let mut asking = self.asker().nothing();
        let max_tokens = self.assignment.agent.max_output_tokens;
        if let Some(first) = first {
            let tokens = self.expected(max_tokens);
            let asks = self.engine.sharing.asks(first, tokens, Counts::Question);
            asking.model = asks.is_counted().then(|| Box::new(asks));
        }
        let holds = self.brief.rules.price.is_some();
        if asking.model.is_none() && !holds {
            return None;
        }
        if holds {
            asking.hold = self.with(&self.next(max_tokens));
        }
        let more = asking.hold > self.held;
        (asking.model.is_some() || more).then_some(asking)
    }

    /// What the next question uses at most, as far as that is known.
    fn next(&self, max_tokens: Option<u32>) -> Usage {
        Usage {
            input: self.conversation.tokens(),
            output: expected_answer(max_tokens),
            ..Usage::default()
        }
    }

    /// What the attempt is charged at most that used this in addition.
    fn with(&self, next: &Usage) -> Credits {
        let mut usage = self.used.clone();
        usage.add(next);
        charge::charge(&self.brief.rules, Outcome::Completed, &usage).total()
    }

    /// Holds enough for the next question.
    ///
    /// # Errors
    /// How the attempt ends where its limits leave no room for that.
    pub(super) async fn hold_enough(&mut self, max_tokens: Option<u32>) -> Result<(), Performed> {
        if self.brief.rules.price.is_none() {
            return Ok(());
        }
        let next = self.next(max_tokens);
        let all = self.with(&next);
        if all <= self.held {
            return Ok(());
        }
        let asker = self.asker();
        let asking = Asking {
            model: self.drawn.clone().map(Box::new),
            hold: all,
            ..asker.nothing()
        };
        match asker.pass(&self.engine, &asking).await {
            Err(Refused::NoRoom(none)) => Err(self.out_of_room(all, &next, *none)),
            // Whether its provider lets it in is seen when it is asked.
            Err(Refused::Throttled(_)) => Ok(()),
            Ok(()) => {
                self.held = all;
                Ok(())
            }
        }
    }

    fn out_of_room(&self, all: Credits, next: &Usage, none: NoRoom) -> Performed {
        let needs = charge::charge(&self.brief.rules, Outcome::Completed, next).total();
        let reason = format!(
            "budget: its next turn may cost {all} credits in all; {}",
            none.shortage
        );
        match (none.then, self.conversation.so_far()) {
            (None, _) => Performed::Returned {
                class: ErrorClass::RateLimited,
                message: reason,
                until: self.engine.clock.now() + LOOK_AGAIN,
                needs,
            },
            (Some(AtLimit::Pause), _) => Performed::Short(Shortage {
                needed: needs,
                ..none.shortage
            }),
            (_, Some(data)) => Performed::Partial { data, reason },
            (_, None) => fatal(reason),
        }
    }
}
