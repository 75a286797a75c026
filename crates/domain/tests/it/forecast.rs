//! Forecasts against costs that they have not seen.

use domain::agent::definition::from_toml;
use domain::money::declared::{Unbounded, declared, unbounded, with_children};
use domain::money::forecast::{Ahead, Basis, Declared, Figures, Past, forecast, of_step};
use domain::money::prices::Prices;
use domain::orchestration::graph::StepRules;
use domain::values::credits::Credits;

use crate::chance::{Chance, rounds};

const CREDIT: f64 = 1e9;

/// A number strictly between 0 and 1.
fn uniform(chance: &mut Chance) -> f64 {
    ((chance.next() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

/// Box and Muller (1958).
fn normal(chance: &mut Chance) -> f64 {
    let (u, v) = (uniform(chance), uniform(chance));
    (-2.0 * libm::log(u)).sqrt() * libm::cos(std::f64::consts::TAU * v)
}

/// Synthetic costs: how dear a step is beside what its plan's size makes one expect.
type Generator = fn(&mut Chance) -> f64;

fn lognormal(chance: &mut Chance) -> f64 {
    libm::exp(1.2 * normal(chance))
}

/// With the exponent 1.5 its variance is infinite.
fn pareto(chance: &mut Chance) -> f64 {
    libm::pow(uniform(chance), -1.0 / 1.5)
}

/// Five of six steps are alike; the sixth goes round and round.
fn mixture(chance: &mut Chance) -> f64 {
    if chance.once_in(6) {
        20.0 * pareto(chance)
    } else {
        libm::exp(0.3 * normal(chance))
    }
}

const GENERATORS: [(&str, Generator); 3] = [
    ("lognormal", lognormal),
    ("Pareto", pareto),
    ("mixture", mixture),
];

/// A step over a plan of some size, dearer for a larger one.
fn step(chance: &mut Chance, generator: Generator) -> Past {
    let bytes = (200_000.0 * libm::exp(0.8 * normal(chance))) as u64;
    let usual = 0.02 * libm::pow(bytes as f64 / 200_000.0, 0.8);
    let charged = usual * generator(chance) * CREDIT;
    Past {
        bytes,
        charged: Credits::from_nano(charged as i64),
    }
}

fn steps(seed: u64, generator: Generator, count: usize) -> Vec<Past> {
    let mut chance = Chance::of(seed);
    (0..count).map(|_| step(&mut chance, generator)).collect()
}

fn ahead(bytes: u64, past: &[Past]) -> Ahead {
    let declared = Declared {
        estimate: Credits::from_nano(1),
        ceiling: Credits::from_nano(i64::MAX),
        worst: Credits::from_nano(i64::MAX),
        flat: false,
        may_be_idle: false,
    };
    Ahead {
        bytes,
        past: past.to_vec(),
        declared,
    }
}

/// The share of the held-out steps that cost no more than their p95.
fn coverage(history: &[Past], held_out: &[Past]) -> f64 {
    let mut step = ahead(0, history);
    let within = held_out.iter().filter(|held_out| {
        step.bytes = held_out.bytes;
        held_out.charged <= of_step(&step).figures.p95
    });
    within.count() as f64 / held_out.len() as f64
}

const HELD_OUT: usize = 1_000;

#[test]
fn p95_covers_as_much_as_it_says_of_steps_that_it_has_not_seen() {
    for (name, generator) in GENERATORS {
        let all = steps(2_026, generator, 2 * HELD_OUT);
        let (history, held_out) = all.split_at(HELD_OUT);
        let covered = coverage(history, held_out);
        println!("{name}: {:.1} %", 100.0 * covered);
        assert!((0.93..=0.97).contains(&covered), "{name}: {covered}");
        assert_eq!(covered, coverage(history, held_out), "again the same");
    }
}

#[test]
fn p95_covers_as_much_while_the_history_grows() {
    for (name, generator) in GENERATORS {
        let all = steps(7, generator, 200 + HELD_OUT);
        let within = (200..all.len()).filter(|&at| {
            let past = &all[at - 200..at];
            all[at].charged <= of_step(&ahead(all[at].bytes, past)).figures.p95
        });
        let covered = within.count() as f64 / HELD_OUT as f64;
        println!(
            "{name}, each by the 200 before it: {:.1} %",
            100.0 * covered
        );
        assert!((0.93..=0.97).contains(&covered), "{name}: {covered}");
    }
}

#[test]
fn p95_covers_as_much_with_the_shortest_history_that_it_speaks_of() {
    for (name, generator) in GENERATORS {
        for length in [19, 39, 100] {
            let tries = rounds(1_000);
            let covered = (0..tries).map(|seed| {
                let all = steps(seed, generator, length + 1);
                coverage(&all[..length], &all[length..])
            });
            let covered = covered.sum::<f64>() / tries as f64;
            println!("{name}, {length} steps: {:.1} %", 100.0 * covered);
            assert!(
                (0.93..=0.97).contains(&covered),
                "{name}, {length}: {covered}"
            );
        }
    }
}

#[test]
fn together_steps_seldom_cost_as_much_as_all_their_p95s() {
    let histories: Vec<Vec<Past>> = (0..6)
        .map(|agent| steps(agent, GENERATORS[agent as usize % 3].1, HELD_OUT))
        .collect();
    let bytes = 300_000;
    let ahead: Vec<Ahead> = histories.iter().map(|past| ahead(bytes, past)).collect();
    let made = forecast(&ahead, 1);
    let mut chance = Chance::of(99);
    let within = (0..HELD_OUT).filter(|_| {
        let sum: i64 = (0..6)
            .map(|agent| {
                let cost = 0.02 * libm::pow(1.5, 0.8) * GENERATORS[agent % 3].1(&mut chance);
                (cost * CREDIT) as i64
            })
            .sum();
        Credits::from_nano(sum) <= made.total.p95
    });
    let covered = within.count() as f64 / HELD_OUT as f64;
    println!("six together: {:.1} %", 100.0 * covered);
    assert!((0.93..=0.97).contains(&covered), "{covered}");
    let added: i64 = made.steps.iter().map(|step| step.figures.p95.nano()).sum();
    assert!(made.total.p95.nano() < added * 9 / 10, "{added}, {made:?}");
    let expected: i64 = made
        .steps
        .iter()
        .map(|step| step.figures.expected.nano())
        .sum();
    assert_eq!(made.total.expected.nano(), expected);
    assert_eq!(made, forecast(&ahead, 1));
    let other = forecast(&ahead, 2).total.p95.nano();
    assert!((other - made.total.p95.nano()).abs() < made.total.p95.nano() / 20);
}

#[test]
fn a_step_alone_costs_together_what_it_costs_alone() {
    for length in [19, 20, 39, 57, 200, 999] {
        let ahead = ahead(250_000, &steps(length, mixture, length as usize));
        let made = forecast(std::slice::from_ref(&ahead), 5);
        let Figures { low, p95, .. } = of_step(&ahead).figures;
        assert_eq!((made.total.low, made.total.p95), (low, p95), "{length}");
    }
}

fn nano(nano: i64) -> Credits {
    Credits::from_nano(nano)
}

const DECLARED: Declared = Declared {
    estimate: Credits::from_nano(100),
    ceiling: Credits::from_nano(300),
    worst: Credits::from_nano(900),
    flat: false,
    may_be_idle: false,
};

#[test]
fn without_a_history_what_is_declared_is_all_there_is() {
    let none = Ahead {
        bytes: 1,
        past: vec![],
        declared: DECLARED,
    };
    let made = of_step(&none);
    let Figures {
        low,
        expected,
        p95,
        worst,
    } = made.figures;
    assert_eq!(
        [low, expected, p95, worst],
        [nano(100), nano(100), nano(300), nano(900)]
    );
    assert_eq!(made.basis, Basis::Declared { seen: 0 });
    let (one, two) = (
        forecast(std::slice::from_ref(&none), 0),
        forecast(&[none.clone(), none], 0),
    );
    assert_eq!(one.total, made.figures);
    assert_eq!(two.total.p95, nano(600), "nothing says how they vary");
}

#[test]
fn a_few_steps_say_how_dear_it_may_be_and_no_percentile() {
    let past = |charged| Past {
        bytes: 1,
        charged: nano(charged),
    };
    let few = Ahead {
        bytes: 1,
        past: vec![past(50), past(2_000)],
        declared: DECLARED,
    };
    let Figures {
        low,
        expected,
        p95,
        worst,
    } = of_step(&few).figures;
    assert_eq!([low, expected, p95], [nano(50), nano(1_025), nano(2_000)]);
    assert_eq!(
        worst,
        nano(2_000),
        "it was dearer already than it should ever be"
    );
    assert_eq!(of_step(&few).basis, Basis::Declared { seen: 2 });
}

#[test]
fn a_flat_price_is_what_it_is_whatever_it_was() {
    let flat = Ahead {
        bytes: 1,
        past: steps(1, lognormal, 100),
        declared: Declared {
            estimate: nano(5),
            ceiling: nano(5),
            worst: nano(5),
            flat: true,
            may_be_idle: true,
        },
    };
    let made = of_step(&flat);
    let Figures {
        low,
        expected,
        p95,
        worst,
    } = made.figures;
    assert_eq!(
        [low, expected, p95, worst],
        [nano(0), nano(5), nano(5), nano(5)]
    );
    assert_eq!(made.basis, Basis::Flat);
}

fn rules(definition: &str) -> StepRules {
    let text = format!("id = 'reviewer'\ndisplayName = 'Reviewer'\n{definition}");
    let prices = "version = 't'\ndate = '2026-11-23'\nsource = 'a test'\n[models]\ncareful = { input = 2, output = 10 }\n";
    let prices = Prices::from_toml(prices).unwrap();
    StepRules::of(&from_toml(&text).unwrap(), vec![], &prices).unwrap()
}

/// Estimate, ceiling and worst case in thousandths of a credit.
fn thousandths(definition: &str) -> [i64; 3] {
    let declared = declared(&rules(definition), true);
    [declared.estimate, declared.ceiling, declared.worst].map(|credits| credits.nano() / 1_000_000)
}

#[test]
fn the_worst_case_has_every_retry_at_its_dearest() {
    let careful = "costMode = 'token-based'\nmodel = 'careful'\nestimatedTokens = 10000\n";
    // 10,000 tokens at 2 a million; at 10 a million; and thus three times.
    assert_eq!(thousandths(careful), [20, 100, 300]);
    assert_eq!(
        thousandths(&format!("{careful}maxRetries = 0")),
        [20, 100, 100]
    );
    assert_eq!(
        thousandths(&format!("{careful}ceiling = 0.5")),
        [20, 500, 1_500]
    );
    // A failed attempt pays its tokens and no base.
    let hybrid = careful.replace("token-based", "hybrid") + "costPerRun = 1\n";
    assert_eq!(thousandths(&hybrid), [1_020, 1_100, 1_300]);
    assert_eq!(
        thousandths(&format!("{hybrid}billing = {{ failed = 'full' }}")),
        [1_020, 1_100, 3_300]
    );
    assert_eq!(
        thousandths(&format!("{hybrid}billing = {{ failed = 'none' }}")),
        [1_020, 1_100, 1_100]
    );
    // Its own budget ends it before that.
    assert_eq!(
        thousandths(&format!("{careful}budget = {{ max = 0.15 }}")),
        [20, 100, 150]
    );
}

#[test]
fn a_flat_price_is_due_once_however_often_it_is_tried() {
    assert_eq!(thousandths("costPerRun = 0.5"), [500, 500, 500]);
    assert!(declared(&rules("costPerRun = 0.5"), true).flat);
    let failures_too = "costPerRun = 0.5\nbilling = { failed = 'full' }";
    assert_eq!(thousandths(failures_too), [500, 500, 1_500]);
    assert!(!declared(&rules(failures_too), true).flat);
}

#[test]
fn a_step_that_may_find_nothing_to_do_may_cost_nothing() {
    let idle = |definition: &str, fresh| declared(&rules(definition), fresh).may_be_idle;
    assert!(!idle("costPerRun = 1", false));
    assert!(idle("runCondition = 'true'", true));
    assert!(idle("reuse = 'account'", false) && !idle("reuse = 'account'", true));
}

#[test]
fn what_nothing_bounds_says_why() {
    let why = |definition: &str| unbounded(&rules(definition));
    assert_eq!(why("costPerRun = 1"), None);
    let tokens = "costMode = 'token-based'\ncostPerRun = 1\n";
    assert_eq!(
        why(&format!("{tokens}model = 'unheard-of'\nceiling = 1")),
        Some(Unbounded::Price)
    );
    assert_eq!(
        why(&format!("{tokens}model = 'careful'")),
        Some(Unbounded::Ceiling)
    );
    assert_eq!(
        why(&format!("{tokens}model = 'careful'\nestimatedTokens = 1")),
        None
    );
    assert_eq!(
        why(&format!("{tokens}model = 'careful'\nceiling = 1")),
        None
    );
    let tools = "toolRates = { search = 0.1 }\n";
    assert_eq!(why(tools), Some(Unbounded::Ceiling));
    assert_eq!(why(&format!("{tools}ceiling = 1")), None);
}

#[test]
fn who_may_spawn_others_is_bounded_by_a_budget_that_stops_and_by_nothing_else() {
    let told = |definition: &str| {
        let rules = rules(definition);
        let (declared, why) = with_children(&rules, declared(&rules, true));
        assert!(!declared.flat);
        (declared.worst.nano() / 1_000_000, why)
    };
    let open = Some(Unbounded::Children);
    assert_eq!(told("costPerRun = 0.5"), (500, open));
    let budget = |rest: &str| told(&format!("costPerRun = 0.5\nbudget = {{ max = 3{rest} }}"));
    assert_eq!(budget(""), (3_000, None));
    assert_eq!(budget(", atLimit = 'pause'"), (500, open));
    // What its own model costs is not known either.
    let unpriced =
        "costMode = 'token-based'\nmodel = 'unheard-of'\nceiling = 1\nbudget = { max = 3 }";
    assert_eq!(told(unpriced), (3_000, Some(Unbounded::Price)));
}

/// The worked example of `docs/billing.md`.
#[test]
fn the_example_in_the_manual_is_what_comes_out() {
    let reviewer = "costMode = 'token-based'\nmodel = 'careful'\nestimatedTokens = 12000";
    let declared = declared(&rules(reviewer), true);
    let step = |cent: i64| Past {
        bytes: 250_000,
        charged: nano(cent * 10_000_000),
    };
    let one = Ahead {
        bytes: 250_000,
        past: (1..=20).map(step).collect(),
        declared,
    };
    let told = |figures: &Figures| {
        let Figures {
            low,
            expected,
            p95,
            worst,
        } = figures;
        [low, expected, p95, worst].map(ToString::to_string)
    };
    let made = forecast(&[one.clone(), one], 1);
    assert_eq!(
        told(&made.steps[0].figures),
        ["0.02", "0.105", "0.2", "0.36"]
    );
    assert_eq!(told(&made.total), ["0.08", "0.21", "0.36", "0.72"]);
}

/// Neither the size of the plan nor what is declared makes a figure of it that never was.
#[test]
fn what_always_cost_the_same_is_expected_to() {
    let always = Credits::from_nano(150_000_000);
    let past = |steps: u64| {
        let past = |n| Past {
            bytes: 1_000 + n * n * 777,
            charged: always,
        };
        (0..steps).map(past).collect::<Vec<_>>()
    };
    for steps in [19, 20, 40, 1_000] {
        let mut ahead = ahead(5_000_000, &past(steps));
        ahead.declared.estimate = Credits::from_nano(147_900_000);
        let made = forecast(std::slice::from_ref(&ahead), 3);
        for figures in [made.steps[0].figures, made.total] {
            let Figures {
                low, expected, p95, ..
            } = figures;
            assert_eq!([low, expected, p95], [always; 3], "{steps} steps");
        }
    }
    let mut few = ahead(5_000_000, &past(3));
    few.declared.estimate = Credits::from_nano(147_900_000);
    let Figures { low, expected, .. } = of_step(&few).figures;
    assert_eq!([low, expected], [always; 2]);
}
