//! The examples of `docs/billing.md`, with the numbers that stand there: what the page says is what an account is charged.

use std::collections::BTreeMap;

use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::orchestration::select::Wanted;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, AgentId};
use engine::credits::{Entry, Filter, history_from, of_orchestration};

use crate::house::{
    Setup, agent, begin, begin_as, clock, done, ended, ended_in_time, failure, id, performer,
    submission,
};
use crate::money::{credits as exactly, flat};
use crate::place::Place;

const PAGE: &str = include_str!("../../../../docs/billing.md");

/// What stands between `from` and the first `to` after it.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text
        .split_once(from)
        .unwrap_or_else(|| panic!("no `{from}`"));
    let (found, _) = rest
        .split_once(to)
        .unwrap_or_else(|| panic!("no `{to}` after `{from}`"));
    found
}

fn credits(text: &str) -> Credits {
    exactly(text.trim().trim_start_matches('+'))
}

/// The number before `what`, without its commas.
fn count_before(text: &str, what: &str) -> u64 {
    let (before, _) = text
        .split_once(what)
        .unwrap_or_else(|| panic!("no `{what}`"));
    let number = before.split_whitespace().last().unwrap();
    number.replace(',', "").parse().unwrap()
}

#[tokio::test]
async fn the_seeds_table_is_the_accounts_history() {
    let example = between(PAGE, "**The seed's two agents.**", "**Tokens.**");
    let price = |agent: &str| {
        let after = between(example, &format!("`{agent}`"), " `fixed`");
        let digits = |c: char| !(c.is_ascii_digit() || c == '.');
        let amounts = after
            .split(digits)
            .filter(|part| part.parse::<f64>().is_ok());
        amounts.map(str::to_owned).next().unwrap()
    };
    let agents = ["security-review", "performance-analysis"];
    let priced = agents.map(|name| flat(name, &price(name)));
    let setup = Setup {
        // One after the other, as the page tells it.
        slots: 1,
        ..Setup::new(&clock(), priced.to_vec(), performer(async |_| done()))
    };
    let place = Place::sqlite();
    let house = setup.open(&place).await;
    let named = agents.map(|name| AgentId::new(name).unwrap());
    let mut wanted = submission(&house.engine);
    wanted.wanted = Wanted::Named(named.into_iter().collect());
    begin_as(&house.engine, 1, wanted).await;
    let state = ended(&house.engine, id(1)).await;
    let (system, all) = (AccountId::system(), Filter::default());
    let moved = history_from(&house.engine, &system, &all, 0, 100);
    let moved = moved.await.unwrap();
    let rows: Vec<Vec<&str>> = example
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| #"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!((rows.len(), moved.len()), (5, 5));
    for (row, entry) in rows.iter().zip(&moved) {
        let [number, movement, amount, held, balance] = row[..] else {
            panic!("a row of other columns: {row:?}");
        };
        assert_eq!(number, entry.seq.to_string());
        let (kind, whom) = movement.split_once(' ').unwrap();
        assert_eq!(kind, entry.kind.name());
        let whom = whom.trim_start_matches("for ").trim_matches('`');
        let named = entry.agent.as_deref().or(entry.key.as_deref());
        assert_eq!(named, Some(whom), "row {number}");
        if !amount.is_empty() {
            assert_eq!(credits(amount), entry.amount, "row {number}");
        }
        assert_eq!(
            (credits(held), credits(balance)),
            (entry.held, entry.balance),
            "row {number}"
        );
    }
    let used = between(example, "`creditsUsed` is", ", and");
    let total = used.split('=').next_back().unwrap();
    assert_eq!(credits(total), state.head.unwrap().cost);
    house.close().await;
}

/// The attempt of the page's example of tokens, with so many calls of `search`.
fn told(searches: u64) -> Usage {
    let example = between(PAGE, "**Tokens.**", "**Hybrid");
    let input = count_before(example, " input tokens");
    let cached = count_before(example, " of them cached");
    let mut tools = BTreeMap::new();
    if searches > 0 {
        tools.insert("search".to_owned(), searches);
    }
    Usage {
        input: input - cached,
        cached_input: cached,
        output: count_before(example, " of output"),
        tools,
        ..Usage::default()
    }
}

/// What the first orchestration's only step is charged, attempt by attempt, where the first `failing` attempts fail.
async fn charged(definition: &str, usage: Usage, failing: u32) -> Vec<Entry> {
    let act = performer(move |assignment| {
        let usage = usage.clone();
        async move {
            assignment.kept.note(&usage);
            if assignment.attempt <= failing {
                failure(ErrorClass::Transient)
            } else {
                done()
            }
        }
    });
    let clock = clock();
    let setup = Setup::new(&clock, vec![agent("a", definition)], act);
    let place = Place::sqlite();
    let house = setup.open(&place).await;
    begin(&house.engine, 1).await;
    ended_in_time(&house.engine, &clock, id(1)).await;
    let charges = of_orchestration(&house.engine, id(1)).await.unwrap();
    house.close().await;
    charges
}

#[tokio::test]
async fn the_tokens_cost_what_the_page_reckons() {
    let example = between(PAGE, "**Tokens.**", "**Hybrid");
    // The sum, line by line: tokens x dollars / 1,000,000 = credits.
    let mut sum = Credits::ZERO;
    for line in example.lines().filter(|line| line.contains(" x ")) {
        let (product, amount) = line.split_once('=').unwrap();
        let (tokens, rate) = product.split_once(" x ").unwrap();
        let tokens: i64 = tokens.trim().replace(',', "").parse().unwrap();
        let rate = credits(rate.split('/').next().unwrap());
        assert_eq!(
            credits(amount).nano(),
            tokens * rate.nano() / 1_000_000,
            "{line}"
        );
        sum = sum.saturating_add(credits(amount));
    }
    let total = between(example, "llmTokens", " credits");
    assert_eq!(credits(total.trim_start_matches([' ', '='])), sum);
    let definition = "model = \"gpt-4o\"\ncostMode = \"token-based\"";
    let charges = charged(definition, told(0), 0).await;
    assert_eq!(charges.len(), 1);
    assert_eq!(charges[0].parts.unwrap().llm_tokens, sum);
    assert_eq!(charges[0].amount, Credits::from_nano(-sum.nano()));
}

#[tokio::test]
async fn a_hybrid_price_and_a_retry_cost_what_the_page_reckons() {
    let example = between(PAGE, "**Hybrid", "## Budgets");
    let declared = |key: &str| between(example, &format!("`{key} = "), "`");
    let definition = format!(
        "model = \"gpt-4o\"\ncostMode = {}\ncostPerRun = {}\ntoolRates = {}\nceiling = 1\nmaxRetries = 2",
        declared("costMode"),
        declared("costPerRun"),
        declared("toolRates")
    );
    let part = |name: &str| {
        let after = between(example, &format!("`{name}` "), "\n");
        let amount = after.split([',', ' ']).next().unwrap();
        credits(amount.trim_end_matches('.'))
    };
    let charges = charged(&definition, told(3), 0).await;
    let parts = charges[0].parts.unwrap();
    assert_eq!(
        (parts.llm_tokens, parts.tool_executions, parts.base),
        (
            part("llmTokens"),
            part("toolExecutions"),
            part("baseCharge")
        )
    );
    let whole = between(example, "three searches:", "In the seed's")
        .split('=')
        .next_back();
    let whole = credits(whole.unwrap().trim().trim_end_matches('.'));
    assert_eq!(charges[0].amount.nano(), -whole.nano());
    // The retry, with the same price: the failed attempt pays what it used and no base charge.
    let charges = charged(&definition, told(3), 1).await;
    assert_eq!(charges.len(), 2);
    let parts = [charges[0].parts.unwrap(), charges[1].parts.unwrap()];
    assert_eq!(parts[0].llm_tokens, part("llmTokens"));
    assert_eq!(
        (parts[0].base, parts[1].base),
        (Credits::ZERO, part("baseCharge"))
    );
}

/// The figures of the page's tables of limits stand in the program too.
#[test]
fn every_policy_of_the_page_is_one_and_has_the_default_that_it_names() {
    let table = between(PAGE, "| key | what for | default |", "## Prices");
    let shown: Vec<(&str, &str)> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            let default = between(cells[2], "`", "`");
            let keys = cells[0].split(',').map(|key| key.trim().trim_matches('`'));
            keys.map(move |key| (key, default)).collect::<Vec<_>>()
        })
        .collect();
    let defaults = serde_json::to_value(domain::money::price::Billing::default()).unwrap();
    let defaults = defaults.as_object().unwrap();
    assert_eq!(shown.len(), defaults.len(), "{defaults:?}");
    for (key, default) in shown {
        assert_eq!(defaults[key], default, "{key}");
    }
}
