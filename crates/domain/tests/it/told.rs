//! What an attempt may tell, drawn by chance.

use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::orchestration::command::{Command, Holder, Report};
use domain::values::ids::StepId;
use domain::values::time::Millis;

use crate::chance::Chance;
use crate::world::output;

/// How one attempt ends, or what it says on its way.
#[derive(Clone, Debug)]
pub enum Told {
    Whole,
    Part,
    /// By its holder, unasked, with a part worth keeping or without.
    Stopped(bool),
    /// Not yet: it has a part worth keeping.
    SoFar,
    /// Not yet: it says what it used.
    Used,
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
        match chance.below(14) {
            0..3 => Self::Whole,
            3 => Self::Part,
            4 => Self::Stopped(chance.once_in(3)),
            5 | 6 => Self::Lapse,
            7 => Self::SoFar,
            8 => Self::Used,
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
            Self::SoFar | Self::Used => {
                let output = || output(&format!("so far in attempt {attempt}"));
                return Command::Keep {
                    step,
                    attempt,
                    holder,
                    output: self.keeps().then(output),
                    usage: Usage::default(),
                };
            }
            Self::Stopped(kept) => Report::Cancelled {
                kept: kept.then(|| output("kept")),
            },
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
            usage: Usage::default(),
        }
    }

    /// Whether it leaves a part behind, should the step end without more.
    pub fn keeps(&self) -> bool {
        matches!(
            self,
            Self::SoFar | Self::Stopped(true) | Self::Failure(_, true)
        )
    }
}
