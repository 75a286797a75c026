//! Price tables: how models are found in them, how one is laid over another, and what cannot be meant.

use domain::money::prices::{InvalidPrices, Prices};

#[test]
fn a_price_table_finds_models_by_their_usual_names() {
    let prices = Prices::built_in();
    assert!(
        !prices.models.is_empty() && !prices.version.is_empty(),
        "the built-in table is read"
    );
    let gpt = prices.of_model("gpt-4").copied().unwrap();
    assert_eq!((gpt.input, gpt.output), (30_000_000, 60_000_000));
    assert_eq!((gpt.cached_input, gpt.reasoning), (gpt.input, gpt.output));
    assert_eq!(prices.of_model("openai/gpt-4"), Some(&gpt));
    let mini = prices.of_model("gpt-4o-mini").unwrap();
    assert_eq!(prices.of_model("gpt-4o-mini-2024-07-18"), Some(mini));
    assert_ne!(prices.of_model("gpt-4o-2024-08-06"), Some(mini));
    let haiku = prices.of_model("claude-3-5-haiku").unwrap();
    for name in [
        "claude-3-5-haiku-latest",
        "claude-3-5-haiku-20241022",
        "anthropic/claude-3-5-haiku-20241022",
    ] {
        assert_eq!(prices.of_model(name), Some(haiku), "{name}");
    }
    for unknown in [
        "",
        "gpt-4-unheard-of",
        "gpt",
        "-latest",
        "20241022",
        "a-2024-08-06",
        "ä-2024-08-06",
        "/",
    ] {
        assert_eq!(prices.of_model(unknown), None, "{unknown}");
    }
}

#[test]
fn a_table_of_ones_own_is_laid_over_the_built_in_one() {
    let own = Prices::from_toml(
        "version = 'own-7'\ndate = '2026-01-01'\nsource = 'our contract'\ncreditUsd = 0.01\n[models]\n'gpt-4' = { input = 20, output = 40, reasoning = 41 }",
    )
    .unwrap();
    let prices = Prices::built_in().overlaid(own);
    assert_eq!(prices.version, "own-7");
    let gpt = prices.of_model("gpt-4").unwrap();
    assert_eq!(
        (gpt.input, gpt.output, gpt.reasoning),
        (2_000_000_000, 4_000_000_000, 4_100_000_000)
    );
    // What it does not name costs as many dollars as before: 2.5 a million tokens, of which a credit is 0.01 now.
    let other = prices.of_model("gpt-4o").unwrap();
    assert_eq!(
        (other.input, other.cached_input, other.output),
        (250_000_000, 125_000_000, 1_000_000_000)
    );
}

#[test]
fn a_price_table_that_cannot_be_meant_is_refused_with_the_place() {
    let table =
        |rest: &str| Prices::from_toml(&format!("version = '1'\ndate = 'd'\nsource = 's'\n{rest}"));
    let model = |line: &str| table(&format!("[models]\n'm' = {{ {line} }}")).unwrap_err();
    for (line, key) in [
        ("input = -1, output = 1", "input"),
        ("input = 1, output = 1000000.1", "output"),
        ("input = 1, output = 1, cachedInput = -0.1", "cachedInput"),
        ("input = 1, output = 1, reasoning = 9000000", "reasoning"),
        ("input = 0.0000001, output = 1", "input"),
    ] {
        let error = model(line);
        assert!(
            matches!(&error, InvalidPrices::Price { key: at, .. } if *at == key),
            "{line}: {error}"
        );
        assert!(error.to_string().contains("\"m\""), "{error}");
    }
    for line in [
        "input = 1",
        "input = 'x', output = 1",
        "input = 1, output = 1, outptu = 1",
        "input = 1e-12, output = 1",
    ] {
        assert!(matches!(model(line), InvalidPrices::Text(_)), "{line}");
    }
    for absurd in ["0", "-1", "0.0009", "1000.1", "9000000000"] {
        let table = table(&format!("creditUsd = {absurd}"));
        assert!(matches!(table, Err(InvalidPrices::Credit(_))), "{absurd}");
    }
    // A price that is there and would round to nothing.
    let dear = "creditUsd = 1000\n[models]\n'm' = { input = 0.0000001, output = 1 }";
    assert!(matches!(
        table(dear),
        Err(InvalidPrices::Price { key: "input", .. })
    ));
    for empty in ["version", "date", "source"] {
        let text = "version = '1'\ndate = 'd'\nsource = 's'";
        let letter = text.split(&format!("{empty} = '")).nth(1).unwrap();
        let text = text.replace(
            &format!("{empty} = '{}", &letter[..1]),
            &format!("{empty} = ' "),
        );
        assert_eq!(
            Prices::from_toml(&text),
            Err(InvalidPrices::Empty(empty)),
            "{text}"
        );
    }
}
