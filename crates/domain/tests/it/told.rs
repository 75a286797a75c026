//! What an attempt may tell, drawn by chance.

use domain::agent::retry::ErrorClass;
use domain::orchestration::command::{Command, Holder, Report};
use domain::values::ids::StepId;
use domain::values::time::Millis;

use crate::chance::Chance;
use crate::world::output;

/// How one attempt ends.
#[derive(Clone, Debug)]
pub enum Told {
    Whole,
    Part,
    /// By its holder, unasked.
    Stopped,
    Lapse,
    /// With a part worth keeping, or without.
    Failure(ErrorClass, bool),
}

const CLASSES: [ErrorClass; 5] = [
    ErrorClass::Transient,
    ErrorClass::RateLimited,
    ErrorClass::InvalidOutput,
    ErrorClass::Timeout,
    ErrorClass::Fatal,
];

impl Told {
    pub fn any(chance: &mut Chance) -> Self {
        match chance.below(12) {
            0..3 => Self::Whole,
            3 => Self::Part,
            4 => Self::Stopped,
            5 | 6 => Self::Lapse,
            _ => Self::Failure(*chance.pick(&CLASSES), chance.once_in(4)),
        }
    }

    pub fn command(&self, step: StepId, attempt: u32, holder: Holder) -> Command {
        let report = match self {
            Self::Lapse => return Command::Expire { step, attempt },
            Self::Whole => Report::Completed(output("whole")),
            Self::Part => Report::Partial {
                output: output("part"),
                reason: "the end is missing".to_owned(),
            },
            Self::Stopped => Report::Cancelled { kept: None },
            Self::Failure(class, kept) => Report::Failed {
                class: *class,
                message: "it did not work".to_owned(),
                retry_after: (*class == ErrorClass::RateLimited).then_some(Millis(500)),
                kept: kept.then(|| output("kept")),
            },
        };
        Command::Finish {
            step,
            attempt,
            holder,
            report,
        }
    }
}
