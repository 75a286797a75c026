//! Variables of the environment that definitions name with `$NAME`: put in where they are said, taken out of what comes back.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::tools::Environment;

/// Shorter values are no secrets: taking them out would take out words.
const SECRET_MIN: usize = 6;

/// What definitions may name, and what of it was put in.
pub(crate) struct Variables {
    environment: Environment,
    allowed: Option<Vec<String>>,
    used: Mutex<Vec<String>>,
}

impl Variables {
    pub(crate) fn new(environment: Environment, allowed: Option<Vec<String>>) -> Self {
        Self {
            environment,
            allowed,
            used: Mutex::default(),
        }
    }

    /// A variable's value as it is, for what every program needs.
    #[cfg(feature = "mcp")]
    pub(crate) fn plain(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    /// The text with each `$NAME` and `${NAME}` replaced by the variable's value.
    ///
    /// # Errors
    /// The variable that may not be named, or is not set.
    pub(crate) fn put_in(&self, text: &str) -> Result<String, String> {
        let mut whole = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            whole.push_str(before);
            let (name, tail) = name(after);
            if name.is_empty() {
                whole.push('$');
            } else {
                whole.push_str(&self.value(name)?);
            }
            rest = tail;
        }
        whole.push_str(rest);
        Ok(whole)
    }

    fn value(&self, name: &str) -> Result<String, String> {
        let allowed = self.allowed.as_ref();
        if allowed.is_some_and(|names| !names.iter().any(|known| known == name)) {
            return Err(format!("the configuration does not let tools use ${name}"));
        }
        let value = (self.environment)(name).ok_or_else(|| format!("${name} is not set"))?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if value.len() >= SECRET_MIN && !used.contains(&value) {
            used.push(value.clone());
        }
        Ok(value)
    }

    /// What a tool gave, without the values that were put in: a peer may repeat what it was sent.
    pub(crate) fn out_of(&self, output: Value) -> Value {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.is_empty() {
            return output;
        }
        taken_out(output, &used)
    }

    /// A text without the values that were put in.
    pub(crate) fn out_of_text(&self, text: &str) -> String {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        without(text, &used)
    }
}

fn taken_out(output: Value, secrets: &[String]) -> Value {
    match output {
        Value::String(text) => without(&text, secrets).into(),
        Value::Array(items) => items
            .into_iter()
            .map(|item| taken_out(item, secrets))
            .collect(),
        Value::Object(members) => {
            let members = members.into_iter();
            let members =
                members.map(|(name, value)| (without(&name, secrets), taken_out(value, secrets)));
            Value::Object(members.collect())
        }
        other => other,
    }
}

fn without(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| {
        text.replace(secret, "[secret]")
    })
}

/// The name at the beginning of what stands behind a dollar, and the rest.
fn name(after: &str) -> (&str, &str) {
    if let Some(braced) = after.strip_prefix('{')
        && let Some((name, rest)) = braced.split_once('}')
        && length(name) == name.len()
    {
        return (name, rest);
    }
    after.split_at(length(after))
}

fn length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        .count()
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Variables({:?})", self.allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn variables_are_put_in_where_they_are_allowed_and_taken_out_again() {
        let environment: Environment = Arc::new(|name| match name {
            "TOKEN" => Some("hush-hush".to_owned()),
            "SHORT" => Some("ok".to_owned()),
            "PASSWORD" => Some("other".to_owned()),
            _ => None,
        });
        let allowed = ["TOKEN", "SHORT", "UNSET"].map(str::to_owned).to_vec();
        let variables = Variables::new(environment, Some(allowed));
        let put = |text: &str| variables.put_in(text);
        assert_eq!(put("Bearer $TOKEN").as_deref(), Ok("Bearer hush-hush"));
        assert_eq!(put("${TOKEN}x$SHORT/").as_deref(), Ok("hush-hushxok/"));
        assert_eq!(
            put("costs $5 or $ or ${").as_deref(),
            Ok("costs $5 or $ or ${")
        );
        assert!(put("$PASSWORD").is_err_and(|why| why.contains("does not let")));
        assert!(put("$UNSET").is_err_and(|why| why.contains("not set")));
        let output = variables.out_of(json!({"hush-hush": ["a hush-hush b", 1, "ok"]}));
        assert_eq!(output, json!({"[secret]": ["a [secret] b", 1, "ok"]}));
    }
}
