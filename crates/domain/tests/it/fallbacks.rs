//! What is charged where another model than the first answered, and where nobody knows what the first one costs.

use domain::agent::definition::from_toml;
use domain::money::charge::{Outcome, ceiling, charge};
use domain::money::price::Price;
use domain::money::prices::Prices;
use domain::money::usage::Usage;
use domain::orchestration::graph::StepRules;
use domain::values::credits::Credits;

use crate::costs::credits;
use crate::world::plain;

const PRICES: &str = "version = \"t\"\ndate = \"2026-01-01\"\nsource = \"the test\"\n[models]\n\
                      small = { input = 10, output = 100 }\nlarge = { input = 100, output = 1000 }";

fn rules(rest: &str) -> StepRules {
    let text = format!(
        "id = 'a'\ndisplayName = 'A'\nexecutor = {{ kind = 'model' }}\ncostMode = 'token-based'\n{rest}"
    );
    let definition = from_toml(&text).unwrap();
    let mut prices = Prices::from_toml(PRICES).unwrap();
    prices.default_model = Some("small".to_owned());
    StepRules {
        cost: definition.cost_per_run,
        price: Price::of(&definition, &prices),
        ..plain("a")
    }
}

fn of(input: u64, output: u64) -> Usage {
    Usage {
        input,
        output,
        ..Usage::default()
    }
}

/// 1,000 read and 10 written by the first, 2,000 and 20 by `model`.
fn with(model: &str) -> Usage {
    let mut usage = of(1_000, 10);
    usage.add(&of(2_000, 20).by(model));
    usage
}

#[test]
fn what_a_fallback_answered_is_charged_at_its_own_rates() {
    let rules =
        rules("model = 'small'\nfallbackModels = ['large', 'stranger']\nestimatedTokens = 1000");
    let charged = |usage: &Usage| charge(&rules, Outcome::Completed, usage);
    assert_eq!(with("large").tokens(), Some(3_030));
    // 1000 x 10 + 10 x 100, and 2000 x 100 + 20 x 1000, of a million.
    assert_eq!(charged(&with("large")).llm_tokens, credits("0.231"));
    assert!(!charged(&with("large")).estimated);
    // One that nobody knows at the dearest that is known, marked.
    assert_eq!(charged(&with("stranger")).llm_tokens, credits("0.231"));
    assert!(charged(&with("stranger")).estimated);
    assert!(!rules.price.as_ref().unwrap().known());
    assert_eq!(ceiling(&rules), credits("1"), "1000 at the dearest of all");
    // The same in two parts, told out of order.
    let mut merged = with("large");
    merged.merge(&of(1_000, 10));
    assert_eq!(charged(&merged).llm_tokens, credits("0.231"));
}

#[test]
fn who_names_no_model_is_charged_at_the_rates_of_the_configured_one() {
    let rules = rules("");
    assert!(rules.price.as_ref().unwrap().known());
    let charged = charge(&rules, Outcome::Completed, &of(1_000, 10));
    assert_eq!(charged.llm_tokens, credits("0.011"));
}

#[test]
fn a_price_that_an_older_program_pinned_charges_all_at_its_one_rate() {
    let mut rules = rules("model = 'small'\nfallbackModels = ['large']");
    rules.price.as_mut().unwrap().fallbacks.clear();
    let charged = charge(&rules, Outcome::Completed, &with("large"));
    assert_eq!(charged.llm_tokens, credits("0.033"));
}

/// `costPerRun` stands in for the price of a model that nobody knows: what is no whole result is charged as declared, and no more.
#[test]
fn what_failed_of_an_unknown_model_is_not_free() {
    let rules_of =
        |billing: &str| rules(&format!("model = 'stranger'\ncostPerRun = 0.5\n{billing}"));
    let charged = |rules: &StepRules, usage: &Usage| {
        let charge = charge(rules, Outcome::Failed, usage);
        (charge.llm_tokens, charge.estimated)
    };
    // At the dearest known rates: 1000 x 100 + 10 x 1000 of a million.
    let used = rules_of("");
    assert_eq!(charged(&used, &of(1_000, 10)), (credits("0.11"), true));
    assert_eq!(charged(&used, &of(90_000, 0)), (credits("0.5"), true));
    assert_eq!(charged(&used, &Usage::default()), (Credits::ZERO, false));
    let free = rules_of("billing = { failed = 'none' }");
    assert_eq!(charged(&free, &of(1_000, 10)), (Credits::ZERO, false));
    let full = rules_of("billing = { failed = 'full' }");
    assert_eq!(charged(&full, &of(1_000, 10)), (credits("0.5"), true));
}
