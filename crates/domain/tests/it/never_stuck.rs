//! Nothing is stuck (what users of other engines complain of first: Conductor #208 #209 #245, DBOS #716 #804): whatever a step waits for, the command or the time that clears it is tried on a copy.

use domain::money::usage::Usage;
use domain::orchestration::command::{Command, Rejected, Report};
use domain::orchestration::standing::{Standing, Wait};
use domain::orchestration::state::StepState;
use domain::values::credits::Credits;
use domain::values::time::{Millis, Timestamp};

use crate::world::{World, holder, output};

impl World {
    /// Every unended step may be claimed, is held, or waits for something that can be cleared; and time does something
    /// at the moment foretold, and nothing before.
    pub fn assert_never_stuck(&self) {
        if self.state.status().ended() {
            return;
        }
        assert!(
            self.state.tally.unended > 0,
            "nothing is left and yet it has not ended"
        );
        for index in 0..self.state.steps.len() {
            match self.state.standing(index, self.now) {
                Standing::Ended(_) => {}
                Standing::Claimable => {
                    let mut copy = self.with_free_counters();
                    let start = Command::Start {
                        step: self.id(index),
                        holder: holder(9),
                    };
                    let started = match copy.ask(&start) {
                        Err(Rejected::NotStartable {
                            wait: Wait::Credits(_),
                            ..
                        }) => {
                            assert!(copy.state.head.as_ref().unwrap().held > Credits::ZERO);
                            copy.end_all_attempts();
                            copy.ask(&start)
                        }
                        other => other,
                    };
                    assert!(!started.unwrap().is_empty());
                }
                Standing::Held(_) => {
                    let attempt = self.state.steps[index].attempt;
                    let expire = Command::Expire {
                        step: self.id(index),
                        attempt,
                    };
                    assert!(!self.clone().ask(&expire).unwrap().is_empty());
                }
                Standing::Waits(wait) => self.assert_clears(index, &wait),
            }
        }
        self.assert_time_acts();
    }

    fn with_free_counters(&self) -> World {
        World {
            held: Default::default(),
            short: Default::default(),
            ..self.clone()
        }
    }

    fn assert_clears(&self, index: usize, wait: &Wait) {
        let mut copy = self.clone();
        match wait {
            Wait::Children(steps) | Wait::Dependencies(steps) => {
                assert!(!steps.is_empty(), "it waits for nobody");
                for step in steps {
                    assert!(self.state.step(step).unwrap().1.state.ended().is_none());
                }
                // Each of them is looked at in its own right, and a graph has no cycle.
                return;
            }
            Wait::Gate => {
                copy.ask(&Command::OpenGates).unwrap();
            }
            Wait::Approval | Wait::Budget(_) => {
                let approve = Command::Approve {
                    step: self.id(index),
                    by: "ann".to_owned(),
                };
                copy.ask(&approve).unwrap();
            }
            Wait::Resume => {
                copy.ask(&Command::Resume { step: None }).unwrap();
                copy.ask(&Command::Resume {
                    step: Some(self.id(index)),
                })
                .unwrap();
            }
            Wait::Due(due) => copy.now = *due,
            Wait::Exclusive | Wait::Alone => {
                assert!(
                    copy.state.tally.running > 0,
                    "it waits for attempts, and none is in flight"
                );
                copy.end_all_attempts();
            }
            Wait::Turn(first) => {
                assert_ne!(*first, self.id(index), "it waits for itself");
                let (first, _) = self.state.step(first).unwrap();
                match self.state.standing(first, self.now) {
                    Standing::Claimable | Standing::Waits(Wait::Alone) => return,
                    other => panic!("it lets one go first that is {other:?}"),
                }
            }
            Wait::Credits(_) => panic!("only a start knows of holds"),
            Wait::Cancelling => panic!("a step in the queue of a cancelled orchestration"),
            Wait::Provider(_) => panic!("only a start knows of providers"),
            Wait::Counter { .. } => panic!("counters are not this orchestration's alone"),
        }
        let after = copy.state.standing(index, copy.now);
        assert_ne!(after, Standing::Waits(wait.clone()), "nothing clears it");
    }

    fn end_all_attempts(&mut self) {
        for index in 0..self.state.steps.len() {
            let step = &self.state.steps[index];
            if let (StepState::Running, Some(holder)) = (step.state, step.holder) {
                let report = Report::Completed(output("whole"));
                let attempt = step.attempt;
                let finish = Command::Finish {
                    step: self.id(index),
                    attempt,
                    holder,
                    report,
                    usage: Usage::default(),
                };
                self.ask(&finish).unwrap();
            }
        }
    }

    /// When time will next do something.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        (0..self.state.steps.len())
            .filter_map(|index| self.state.wake_at(index))
            .min()
    }

    fn assert_time_acts(&self) {
        let Some(at) = self.wakes_at() else { return };
        let mut before = World {
            now: Timestamp(at.0 - 1),
            ..self.clone()
        };
        assert_eq!(
            before.ask(&Command::Tick).unwrap(),
            [],
            "time acts before it said it would"
        );
        let mut then = World {
            now: at,
            ..self.clone()
        };
        assert_ne!(
            then.ask(&Command::Tick).unwrap(),
            [],
            "the clock that it waits for does nothing"
        );
        then.assert_sound();
    }

    /// A world that means well: everything is resumed, approved, opened, started and succeeds, and time goes on.
    pub fn assert_can_end(&self) {
        let mut world = self.with_free_counters();
        for _ in 0..4 * world.state.steps.len() + 4 {
            if world.state.status().ended() {
                return;
            }
            world.now = world.now.max(self.now) + Millis(1);
            world.ask(&Command::Resume { step: None }).unwrap();
            world.ask(&Command::OpenGates).unwrap();
            for index in 0..world.state.steps.len() {
                let step = Some(world.id(index));
                let _ = world.ask(&Command::Resume { step });
                let _ = world.ask(&Command::Approve {
                    step: world.id(index),
                    by: "ann".to_owned(),
                });
                if let Standing::Waits(Wait::Due(due)) = world.state.standing(index, world.now) {
                    world.now = due;
                }
                let _ = world.ask(&Command::Start {
                    step: world.id(index),
                    holder: holder(9),
                });
                world.end_all_attempts();
                if world.state.status().ended() {
                    return;
                }
            }
        }
        panic!("it cannot be brought to an end: {:#?}", world.state.steps);
    }
}
