//! The manual of the settings says what they are.

use serde_json::Value;
use server::config::Settings;

const MANUAL: &str = include_str!("../../../../config.default.toml");

/// The manual as it would be with every key of it in use.
fn in_use() -> String {
    MANUAL
        .lines()
        .map(|line| line.strip_prefix("#= ").unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_manual_gives_the_defaults() {
    assert_eq!(
        toml::from_str::<Settings>(MANUAL).unwrap(),
        Settings::default()
    );
}

#[test]
fn the_manual_explains_every_key_and_no_other() {
    let full: toml::Table = toml::from_str(&in_use()).unwrap();
    let settings: Settings = full.clone().try_into().expect("every key is known");
    let known = serde_json::to_value(&settings).unwrap();
    let mut missing = Vec::new();
    keys(
        "",
        &known,
        &serde_json::to_value(&full).unwrap(),
        &mut missing,
    );
    assert_eq!(missing, Vec::<String>::new());
    let mut explained = false;
    for line in MANUAL.lines() {
        if line.trim().is_empty() || line.starts_with('[') {
            explained = false;
        } else if line.starts_with("# ") {
            explained = true;
        } else {
            assert!(explained, "nothing is said about `{line}`");
        }
    }
}

fn keys(path: &str, known: &Value, manual: &Value, missing: &mut Vec<String>) {
    for (key, value) in known.as_object().into_iter().flatten() {
        match manual.get(key) {
            None => missing.push(format!("{path}{key}")),
            Some(found) if path.is_empty() => keys(&format!("{key}."), value, found, missing),
            Some(_) => {}
        }
    }
}

/// What may be left out is not among the defaults: whoever reads the settings says himself which keys there are.
#[test]
fn the_manual_has_every_key_that_is_read() {
    let full: toml::Table = toml::from_str(&in_use()).unwrap();
    let mut found = Vec::new();
    compare("", &full, &mut found);
    assert!(found.len() > 8, "{found:?}");
}

/// Compares the section at `path` with the keys that are read there, and notes that it has.
fn compare(path: &str, manual: &toml::Table, found: &mut Vec<String>) {
    let head = if path.is_empty() {
        String::new()
    } else {
        format!("[{path}]\n")
    };
    let Err(error) = toml::from_str::<Settings>(&format!("{head}no-such-key = {{ x = 1 }}")) else {
        return; // names of the reader's own
    };
    let said = error.message().to_owned();
    let Some((_, known)) = said.split_once("expected ") else {
        return;
    };
    if said.starts_with("unknown field `x`") {
        // Names of the reader's own, each with a section.
        for (name, inner) in manual {
            let inner = inner.as_table().expect("a section");
            compare(&format!("{path}.{name}"), inner, found);
        }
        return;
    }
    if !said.starts_with("unknown field `no-such-key`") {
        return;
    }
    found.push(path.to_owned());
    for key in known.split('`').skip(1).step_by(2) {
        let there = manual.get(key);
        assert!(there.is_some(), "[{path}] {key} is not in the manual");
        if let Some(toml::Value::Table(inner)) = there {
            let dot = if path.is_empty() { "" } else { "." };
            compare(&format!("{path}{dot}{key}"), inner, found);
        }
    }
}

#[test]
fn an_unknown_key_is_refused_and_a_secret_is_never_shown() {
    assert!(toml::from_str::<Settings>("listne = '127.0.0.1:1'").is_err());
    assert!(toml::from_str::<Settings>("[limits]\njsonBtyes = 1").is_err());
    let settings: Settings =
        toml::from_str("[outgoing]\nsigningSecrets = { \"*\" = 'whsec_abc' }").unwrap();
    assert!(!format!("{settings:?}").contains("whsec_abc"));
}

// With `connections = 0` the server said that it listens, and answered nobody.
#[test]
fn a_setting_with_which_nobody_would_be_answered_is_named() {
    assert_eq!(Settings::default().unusable(), None);
    for (text, key) in [
        ("[limits]\nconnections = 0", "limits.connections"),
        ("[limits]\nconnections = 9000000000", "limits.connections"),
        ("[limits]\nrequestTimeout = 0", "limits.requestTimeout"),
        ("[streams]\nheartbeat = 0", "streams.heartbeat"),
        ("defaultBudget = '-1'", "defaultBudget"),
        ("[credits]\ninitialGrant = '-5'", "credits.initialGrant"),
    ] {
        let settings: Settings = toml::from_str(text).unwrap();
        assert_eq!(settings.unusable().map(|(key, _)| key), Some(key));
    }
}
