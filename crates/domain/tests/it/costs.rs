//! The words of the line language that are about money.

use domain::money::budget::{AtLimit, Budget, Scope, Shortage};
use domain::money::price::{CostMode, Price, Share};
use domain::money::prices::Rates;
use domain::money::usage::Usage;
use domain::orchestration::command::{Command, Short};
use domain::orchestration::event::Event;
use domain::orchestration::graph::StepRules;
use domain::values::credits::Credits;

use crate::script::number;
use crate::world::{World, step};

pub fn credits(text: &str) -> Credits {
    text.parse().unwrap()
}

/// `5 stop`.
fn budget(max: &str, at_limit: &str) -> Budget {
    Budget {
        max: credits(max),
        at_limit: AtLimit::named(at_limit).unwrap(),
    }
}

/// Sets what the world gives or lacks; false where `verb` is none of this kind.
pub fn set(world: &mut World, verb: &str, first: &str, more: &str) -> bool {
    let words: Vec<&str> = more.split_whitespace().collect();
    match verb {
        "budget" => world.budget = Some(budget(first, more)),
        "short" => {
            let short = Short {
                shortage: Shortage {
                    scope: Scope::Account,
                    needed: credits(words[0]),
                    left: credits(words[1]),
                    what: String::new(),
                },
                at_limit: AtLimit::named(words[2]).unwrap(),
                held: credits(words[4]),
            };
            world.short.insert(step(first), short);
        }
        "enough" => drop(world.short.remove(&step(first))),
        _ => return false,
    }
    true
}

/// The submission with the budget that was set.
pub fn within(world: &World, mut command: Command) -> Command {
    if let Command::Create(created) = &mut command {
        created.budget = world.budget;
    }
    command
}

/// `used 100` tokens in all, `input 5`, `output 7`, `calls 2` of the tool `search`.
pub fn usage(how: &str) -> Usage {
    let mut usage = Usage {
        input: number(how, "input", 0),
        cached_input: number(how, "cached", 0),
        output: number(how, "output", 0),
        reasoning: number(how, "reasoning", 0),
        ..Usage::default()
    };
    if how.contains("used") {
        usage.total = Some(number(how, "used", 0));
    }
    if how.contains("calls") {
        let calls = number(how, "calls", 0);
        usage.tools.insert("search".to_owned(), calls);
    }
    usage
}

pub fn share(name: &str) -> Share {
    match name {
        "full" => Share::Full,
        "used" => Share::Used,
        "none" => Share::None,
        _ => panic!("no such share: {name}"),
    }
}

pub fn apply(rules: &mut StepRules, name: &str, value: &str) {
    if name == "cost" {
        rules.cost = credits(value);
        return;
    }
    let price = rules.price.get_or_insert_with(Box::<Price>::default);
    match name {
        "mode" => {
            price.mode = match value {
                "fixed" => CostMode::Fixed,
                "token" => CostMode::TokenBased,
                "hybrid" => CostMode::Hybrid,
                _ => panic!("no such mode: {value}"),
            };
        }
        // Credits for a million tokens of each kind: input, cached, output, reasoning.
        "rates" => {
            let rates: Vec<i64> = value
                .split('/')
                .map(|rate| credits(rate).nano() / 1_000)
                .collect();
            price.rates = Some(Rates {
                input: rates[0],
                cached_input: rates[1],
                output: rates[2],
                reasoning: rates[3],
            });
        }
        "search" => drop(price.tool_rates.insert("search".to_owned(), credits(value))),
        "tokens" => price.estimated_tokens = Some(value.parse().unwrap()),
        "ceiling" => price.ceiling = Some(credits(value)),
        "budget" => {
            let (max, at_limit) = value.split_once('/').unwrap();
            price.budget = Some(budget(max, at_limit));
        }
        "failed" => price.billing.failed = share(value),
        "part" => price.billing.partial = share(value),
        "cancelled" => price.billing.cancelled = share(value),
        "lapsed" => price.billing.lapsed = share(value),
        "taken-over" => price.billing.cached = domain::money::price::Again::Full,
        _ => panic!("no such rule: {name}={value}"),
    }
}

/// What an event says of money, behind its other words; nothing where there is none in it.
pub fn told(event: &Event) -> String {
    let charge = event.charge().map(|charge| {
        let estimated = if charge.estimated { " estimated" } else { "" };
        format!(" for {}{estimated}", charge.total())
    });
    match event {
        Event::AttemptStarted {
            hold, over_budget, ..
        } if *hold > Credits::ZERO || *over_budget => {
            let over = if *over_budget { " over budget" } else { "" };
            format!(" holds {hold}{over}")
        }
        Event::StepReady {
            raised: Some(raised),
            ..
        } => format!(" up to {} of the {}", raised.max, raised.scope.name()),
        Event::StepParked {
            short: Some(short), ..
        } => format!(" for the {}", short.scope.name()),
        _ => charge.unwrap_or_default(),
    }
}

/// What the step and the whole were charged and hold.
pub fn of(world: &World, index: usize) -> String {
    let (found, head) = (
        &world.state.steps[index],
        world.state.head.as_ref().unwrap(),
    );
    format!(
        "charged {}, holds {}; all charged {}, hold {}",
        found.charged, found.hold, head.cost, head.held
    )
}
