//! What an attempt is charged, by price, end and usage; and what a report is not believed.

use std::collections::BTreeMap;

use domain::agent::definition::from_toml;
use domain::agent::validate::problems;
use domain::money::charge::{
    CHARGE_MAX, Charge, Outcome, ceiling, charge, charge_taken_over, hold,
};
use domain::money::price::{Again, CostMode, Price, Share};
use domain::money::prices::{Prices, Rates};
use domain::money::usage::{COUNT_MAX, Usage};
use domain::orchestration::graph::StepRules;
use domain::values::credits::Credits;

use crate::costs::credits;
use crate::world::plain;

/// 2.5 credits a million tokens read, a tenth of it from the cache, 10 written, 20 of reasoning; 0.01 a search.
fn priced(mode: CostMode, flat: &str) -> StepRules {
    StepRules {
        cost: credits(flat),
        price: Some(Box::new(Price {
            mode,
            rates: Some(Rates {
                input: 2_500_000,
                cached_input: 250_000,
                output: 10_000_000,
                reasoning: 20_000_000,
            }),
            tool_rates: BTreeMap::from([("search".to_owned(), credits("0.01"))]),
            estimated_tokens: Some(2_000),
            ..Price::default()
        })),
        ..plain("a")
    }
}

fn used() -> Usage {
    Usage {
        input: 1_000,
        cached_input: 4_000,
        output: 300,
        reasoning: 50,
        tools: BTreeMap::from([("search".to_owned(), 3), ("clock".to_owned(), 9)]),
        ..Usage::default()
    }
}

fn parts(charge: &Charge) -> [String; 3] {
    [charge.llm_tokens, charge.tool_executions, charge.base].map(|part| part.to_string())
}

#[test]
fn each_mode_charges_its_parts() {
    let of = |mode| parts(&charge(&priced(mode, "0.35"), Outcome::Completed, &used()));
    // 1000 * 2.5 + 4000 * 0.25 + 300 * 10 + 50 * 20 = 7500 millionths.
    assert_eq!(of(CostMode::Fixed), ["0", "0.03", "0.35"]);
    assert_eq!(of(CostMode::TokenBased), ["0.0075", "0.03", "0"]);
    assert_eq!(of(CostMode::Hybrid), ["0.0075", "0.03", "0.35"]);
    let plain_price = StepRules {
        cost: credits("0.35"),
        ..plain("a")
    };
    let charged = charge(&plain_price, Outcome::Completed, &used());
    assert_eq!(parts(&charged), ["0", "0", "0.35"]);
    assert!(!charged.estimated);
}

#[test]
fn a_bare_number_of_tokens_counts_as_input_and_what_a_split_leaves_too() {
    let rules = priced(CostMode::TokenBased, "0");
    let of = |usage: &Usage| charge(&rules, Outcome::Completed, usage).llm_tokens;
    assert_eq!(of(&Usage::of_tokens(2_000)), credits("0.005"));
    let split = Usage {
        total: Some(2_000),
        output: 500,
        ..Usage::default()
    };
    assert_eq!(of(&split), credits("0.00875"), "1500 read and 500 written");
    let more_than_all = Usage {
        total: Some(100),
        output: 500,
        ..Usage::default()
    };
    assert_eq!(of(&more_than_all), credits("0.005"), "the kinds say more");
    assert_eq!(more_than_all.tokens(), Some(500));
    assert_eq!(of(&Usage::of_tokens(0)), Credits::ZERO, "told, and none");
}

#[test]
fn a_charge_is_rounded_once_half_up() {
    let mut rules = priced(CostMode::TokenBased, "0");
    rules.price.as_mut().unwrap().rates = Some(Rates {
        input: 100,
        cached_input: 399,
        output: 1,
        reasoning: 0,
    });
    let of = |input, cached_input, output| {
        let usage = Usage {
            input,
            cached_input,
            output,
            ..Usage::default()
        };
        charge(&rules, Outcome::Completed, &usage).llm_tokens.nano()
    };
    assert_eq!(of(4, 0, 0), 0);
    assert_eq!(of(5, 0, 0), 1);
    assert_eq!(of(1, 1, 0), 0, "499 pico-credits together");
    assert_eq!(of(1, 1, 1), 1, "500: no part was rounded before");
}

#[test]
fn without_a_number_of_tokens_the_fallback_stands_marked() {
    let of = |rules: &StepRules| {
        let charge = charge(rules, Outcome::Completed, &Usage::default());
        (parts(&charge), charge.estimated)
    };
    let strings = |parts: [&str; 3]| parts.map(str::to_owned);
    let by_token = of(&priced(CostMode::TokenBased, "0.35"));
    assert_eq!(by_token, (strings(["0.35", "0", "0"]), true));
    let by_estimate = of(&priced(CostMode::TokenBased, "0"));
    assert_eq!(
        by_estimate,
        (strings(["0.005", "0", "0"]), true),
        "2000 tokens read"
    );
    let mut unknown = priced(CostMode::TokenBased, "0.35");
    unknown.price.as_mut().unwrap().rates = None;
    assert_eq!(of(&unknown), (strings(["0.35", "0", "0"]), true));
    assert!(!unknown.price.as_ref().unwrap().known());
    let charged = charge(&unknown, Outcome::Completed, &used());
    assert!(charged.estimated && charged.llm_tokens == credits("0.35"));
    let fixed = of(&priced(CostMode::Fixed, "0.35"));
    assert_eq!(
        fixed,
        (strings(["0", "0", "0.35"]), false),
        "it needs no number"
    );
}

#[test]
fn what_is_no_whole_result_is_charged_as_declared() {
    let mut rules = priced(CostMode::Hybrid, "0.35");
    let of = |rules: &StepRules, outcome| charge(rules, outcome, &used()).total();
    let (full, tokens_and_tools) = (credits("0.3875"), credits("0.0375"));
    for (outcome, expected) in [
        (Outcome::Completed, full),
        (Outcome::Partial, full),
        (Outcome::Failed, tokens_and_tools),
        (Outcome::Cancelled, tokens_and_tools),
        (Outcome::Lapsed, tokens_and_tools),
        (Outcome::Lacking, tokens_and_tools),
    ] {
        assert_eq!(of(&rules, outcome), expected, "{outcome:?}");
    }
    let silent = charge(&rules, Outcome::Failed, &Usage::default());
    assert_eq!(silent.total(), Credits::ZERO, "a failure that told nothing");
    let billing = &mut rules.price.as_mut().unwrap().billing;
    (billing.failed, billing.partial) = (Share::Full, Share::None);
    (billing.cancelled, billing.lapsed) = (Share::None, Share::Full);
    assert_eq!(of(&rules, Outcome::Failed), full);
    assert_eq!(of(&rules, Outcome::Partial), Credits::ZERO);
    assert_eq!(of(&rules, Outcome::Cancelled), Credits::ZERO);
    assert_eq!(of(&rules, Outcome::Lapsed), full);
    assert_eq!(of(&rules, Outcome::Completed), full);
}

#[test]
fn the_ceiling_is_declared_or_what_the_estimates_give() {
    let mut rules = priced(CostMode::TokenBased, "0");
    assert_eq!(ceiling(&rules), credits("0.04"), "2000 of the dearest kind");
    rules.price.as_mut().unwrap().estimated_tokens = None;
    assert_eq!(ceiling(&rules), Credits::ZERO);
    rules.cost = credits("0.35");
    assert_eq!(
        ceiling(&rules),
        credits("0.35"),
        "what the fallback charges"
    );
    assert_eq!(ceiling(&priced(CostMode::Hybrid, "0.35")), credits("0.39"));
    assert_eq!(ceiling(&priced(CostMode::Fixed, "0.35")), credits("0.35"));
    rules.price.as_mut().unwrap().ceiling = Some(credits("7"));
    assert_eq!(ceiling(&rules), credits("7"));
}

#[test]
fn a_result_that_is_taken_over_is_charged_its_base_and_by_the_token_there_is_none() {
    for (mode, expected) in [
        (CostMode::Fixed, "0.35"),
        (CostMode::Hybrid, "0.35"),
        (CostMode::TokenBased, "0"),
    ] {
        let mut rules = priced(mode, "0.35");
        rules.price.as_mut().unwrap().billing.cached = Again::Full;
        assert_eq!(
            charge_taken_over(&rules).total(),
            credits(expected),
            "{mode:?}"
        );
    }
}

/// A model that no table knows is not free: it is charged as the dearest that the table knows, and marked.
#[test]
fn a_model_without_a_price_is_charged_at_the_dearest_known_rates_and_marked() {
    let prices = Prices::from_toml(
        "version = '9'\ndate = 'd'\nsource = 's'\n[models]\n'reads' = { input = 30, output = 60 }\n'writes' = { input = 15, cachedInput = 40, output = 75 }",
    )
    .unwrap();
    let of = |lines: &str| {
        let text = format!("id = 'a'\ndisplayName = 'A'\nmodel = 'unheard-of'\n{lines}");
        StepRules::of(&from_toml(&text).unwrap(), Vec::new(), &prices).unwrap()
    };
    let charged = |rules: &StepRules, outcome, usage: &Usage| {
        let charge = charge(rules, outcome, usage);
        (charge.llm_tokens.to_string(), charge.estimated)
    };
    let by_token = of("costMode = 'token-based'\nestimatedTokens = 2000");
    let price = by_token.price.as_ref().unwrap();
    assert!(!price.known() && price.prices.as_deref() == Some("9"));
    // 1000 * 30 + 4000 * 40 + 300 * 75 + 50 * 75 = 216250 millionths.
    let marked = |amount: &str| (amount.to_owned(), true);
    for outcome in [Outcome::Completed, Outcome::Failed] {
        assert_eq!(charged(&by_token, outcome, &used()), marked("0.21625"));
    }
    let silent = Usage::default();
    assert_eq!(
        charged(&by_token, Outcome::Completed, &silent),
        marked("0.06")
    );
    assert_eq!(
        ceiling(&by_token),
        credits("0.15"),
        "2000 of the dearest kind"
    );
    let hybrid = of("costMode = 'hybrid'\ncostPerRun = 1");
    assert_eq!(
        charged(&hybrid, Outcome::Completed, &used()),
        marked("0.21625")
    );
    let fallback = of("costMode = 'token-based'\ncostPerRun = 1");
    assert_eq!(charged(&fallback, Outcome::Completed, &used()), marked("1"));
}

/// An account, budget or quota that is used up starts nothing that can be charged, though nobody can say how much.
#[test]
fn what_can_be_charged_holds_at_least_the_least_there_is() {
    let least = Credits::from_nano(1);
    let mut open = priced(CostMode::TokenBased, "0");
    open.price.as_mut().unwrap().estimated_tokens = None;
    assert_eq!(hold(&open), least, "tokens that nobody estimates");
    assert_eq!(hold(&priced(CostMode::Fixed, "0")), least, "tools alone");
    let mut nothing = priced(CostMode::Fixed, "0.35");
    nothing.price.as_mut().unwrap().ceiling = Some(Credits::ZERO);
    assert_eq!(hold(&nothing), least, "a ceiling of nothing");
    assert_eq!(
        hold(&priced(CostMode::TokenBased, "0")),
        credits("0.04"),
        "its ceiling, where it has one"
    );
    let free = StepRules {
        price: Some(Box::new(Price::default())),
        ..plain("a")
    };
    assert_eq!(
        (hold(&free), hold(&plain("a"))),
        (Credits::ZERO, Credits::ZERO)
    );
}

#[test]
fn a_count_that_nobody_can_have_used_is_not_believed() {
    let rules = priced(CostMode::TokenBased, "0.35");
    for absurd in [1 << 63, u64::MAX, COUNT_MAX + 1] {
        for usage in [
            Usage::of_tokens(absurd),
            Usage {
                output: absurd,
                ..used()
            },
        ] {
            let charged = charge(&rules, Outcome::Completed, &usage);
            assert!(charged.estimated);
            assert_eq!(charged.llm_tokens, credits("0.35"), "{usage:?}");
            let failed = charge(&rules, Outcome::Failed, &usage);
            assert_eq!(failed.llm_tokens, Credits::ZERO);
        }
        let mut calls = used();
        calls.tools.insert("search".to_owned(), absurd);
        let charged = charge(&rules, Outcome::Completed, &calls);
        assert_eq!(
            (charged.tool_executions, charged.estimated),
            (Credits::ZERO, true)
        );
        assert_eq!(charged.llm_tokens, credits("0.0075"));
    }
    let most = Usage {
        total: Some(COUNT_MAX),
        ..Usage::default()
    };
    let charged = charge(&rules, Outcome::Completed, &most);
    assert_eq!(
        (charged.llm_tokens, charged.estimated),
        (credits("25000"), false)
    );
    let mut dear = priced(CostMode::TokenBased, "0");
    dear.price.as_mut().unwrap().rates = Some(Rates {
        input: i64::MAX,
        ..Rates::default()
    });
    let charged = charge(&dear, Outcome::Completed, &most);
    assert_eq!(charged.total(), CHARGE_MAX, "no sum overflows");
}

#[test]
fn usage_never_goes_backwards() {
    let mut usage = used();
    usage.merge(&Usage {
        input: 10,
        cached_input: 9_000,
        tools: BTreeMap::from([("search".to_owned(), 1), ("clock".to_owned(), 10)]),
        total: Some(12),
        ..Usage::default()
    });
    assert_eq!(
        (usage.input, usage.cached_input, usage.output),
        (1_000, 9_000, 300)
    );
    assert_eq!((usage.tools["search"], usage.tools["clock"]), (3, 10));
    assert_eq!(usage.tokens(), Some(10_350));
    let before = usage.clone();
    usage.merge(&Usage::default());
    assert_eq!(usage, before);
}

#[test]
fn a_definition_with_absurd_money_is_refused_by_key() {
    let keys = |lines: &str| -> Vec<String> {
        let text = format!("id = 'a'\ndisplayName = 'A'\n{lines}");
        let found = problems(&from_toml(&text).unwrap());
        found.into_iter().map(|problem| problem.key).collect()
    };
    let good = "costMode = 'hybrid'\nmodel = 'gpt-4'\ncostPerRun = 0.5\nceiling = 2\nestimatedTokens = 2000
        toolRates = { search = 0.01 }\nbilling = { failed = 'none', cached = 'full' }\nbudget = { max = 5, atLimit = 'pause' }";
    assert_eq!(keys(good), Vec::<String>::new());
    for (lines, key) in [
        ("costPerRun = -0.5", "costPerRun"),
        ("costPerRun = 1000000.5", "costPerRun"),
        ("toolRates = { search = -1 }", "toolRates.search"),
        ("toolRates = { search = 2000000 }", "toolRates.search"),
        ("ceiling = -1", "ceiling"),
        ("ceiling = 1000001", "ceiling"),
        ("budget = { max = -1 }", "budget.max"),
        ("budget = { max = 900000000 }", "budget.max"),
        ("estimatedTokens = 9223372036854775807", "estimatedTokens"),
    ] {
        assert_eq!(keys(lines), [key], "{lines}");
    }
    for typo in [
        "costMode = 'tokens'",
        "billing = { faild = 'none' }",
        "budget = { max = 1, atLimit = 'ask' }",
    ] {
        let text = format!("id = 'a'\ndisplayName = 'A'\n{typo}");
        assert!(from_toml(&text).is_err(), "{typo}");
    }
}

#[test]
fn a_definition_pins_a_price_only_where_it_is_more_than_flat() {
    let prices = Prices::built_in();
    let of = |lines: &str| {
        let text =
            format!("id = 'a'\ndisplayName = 'A'\ncostPerRun = 0.5\nmodel = 'gpt-4o'\n{lines}");
        StepRules::of(&from_toml(&text).unwrap(), Vec::new(), &prices).unwrap()
    };
    assert_eq!(of("estimatedTokens = 2000").price, None);
    let rules = of("costMode = 'token-based'\nestimatedTokens = 2000");
    let price = rules.price.clone().unwrap();
    assert_eq!(price.rates.as_ref(), prices.of_model("gpt-4o"));
    assert_eq!(price.prices, Some(prices.version.clone()));
    assert_eq!(
        ceiling(&rules),
        credits("0.5"),
        "the fallback is dearer than 2000 tokens"
    );
    let unknown = of("costMode = 'hybrid'").price.unwrap();
    assert!(unknown.known());
    let text = "id = 'a'\ndisplayName = 'A'\nmodel = 'unheard-of'\ncostMode = 'hybrid'";
    let rules = StepRules::of(&from_toml(text).unwrap(), Vec::new(), &prices).unwrap();
    assert!(!rules.price.unwrap().known());
}
