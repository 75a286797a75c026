//! Whether what an output asserts can be looked up: every assertion cites a place in the plan or in an earlier enrichment, and
//! every citation resolves.
//!
//! A citation is an object with `pointer` (a JSON pointer, empty for the whole) and either `artifact` (a logical name, or
//! `plan` for prompt and summary) or `agent` (whose enrichment). With `quote` it also says what stands there; one that points at
//! the whole must. An assertion is an object at the top of the output, an entry of a list there, or of the list that the output
//! is; it holds at least one citation, at whatever depth. Texts and numbers at the top sum the assertions up and need none.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

/// Most faults that are told: a model corrects them, and more would only cost.
const TOLD: usize = 12;

/// Longest quote that is repeated in a fault, in characters.
const QUOTE_TOLD: usize = 120;

/// What a citation points into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// An artifact of the plan, by its logical name; `plan` is prompt and summary.
    Artifact(String),
    /// An agent's enrichment.
    Agent(String),
}

/// What is wrong with the citations of `output`, each with its place in it. `find` gives what a source holds: an artifact
/// that is no JSON as a text.
pub fn faults(output: &Value, find: &dyn Fn(&Source) -> Option<Arc<Value>>) -> Vec<String> {
    let mut search = Search {
        find,
        found: BTreeMap::new(),
        faults: Vec::new(),
        more: 0,
    };
    match output {
        Value::Array(assertions) => search.assertions(assertions, ""),
        Value::Object(members) => {
            for (name, member) in members {
                let place = format!("/{}", escaped(name));
                match member {
                    Value::Array(assertions) if name != "citations" => {
                        search.assertions(assertions, &place);
                    }
                    Value::Object(_) => search.assertion(member, &place),
                    _ => {
                        search.walk(member, &place);
                    }
                }
            }
        }
        _ => {}
    }
    if search.more > 0 {
        let more = format!("and {} more", search.more);
        search.faults.push(more);
    }
    search.faults
}

struct Search<'a> {
    find: &'a dyn Fn(&Source) -> Option<Arc<Value>>,
    found: BTreeMap<Source, Option<Arc<Value>>>,
    faults: Vec<String>,
    more: usize,
}

impl Search<'_> {
    fn fault(&mut self, place: &str, what: &str) {
        if self.faults.len() < TOLD {
            self.faults.push(format!("{place}: {what}"));
        } else {
            self.more += 1;
        }
    }

    fn assertions(&mut self, assertions: &[Value], place: &str) {
        for (at, assertion) in assertions.iter().enumerate() {
            self.assertion(assertion, &format!("{place}/{at}"));
        }
    }

    fn assertion(&mut self, assertion: &Value, place: &str) {
        if self.walk(assertion, place) == 0 {
            self.fault(
                place,
                "cites nothing: it must hold an object with `pointer` and `artifact` or `agent`",
            );
        }
    }

    /// How many citations the value holds, each of which is looked up.
    fn walk(&mut self, value: &Value, place: &str) -> usize {
        match value {
            Value::Object(members) => {
                let own = usize::from(self.citation(members, place));
                let inner = members
                    .iter()
                    .map(|(name, member)| self.walk(member, &format!("{place}/{}", escaped(name))));
                own + inner.sum::<usize>()
            }
            Value::Array(entries) => {
                let entries = entries.iter().enumerate();
                let inner = entries.map(|(at, entry)| self.walk(entry, &format!("{place}/{at}")));
                inner.sum()
            }
            _ => 0,
        }
    }

    /// Whether these are a citation's members; if so it is looked up.
    fn citation(&mut self, members: &Map<String, Value>, place: &str) -> bool {
        let Some(pointer) = members.get("pointer") else {
            return false;
        };
        let (artifact, agent) = (members.get("artifact"), members.get("agent"));
        let source = match (artifact, agent) {
            (None, None) => return false,
            (Some(Value::String(name)), None) => Source::Artifact(name.clone()),
            (None, Some(Value::String(name))) => Source::Agent(name.clone()),
            (Some(_), Some(_)) => {
                self.fault(place, "names both an `artifact` and an `agent`");
                return true;
            }
            _ => {
                self.fault(place, "`artifact` and `agent` are texts");
                return true;
            }
        };
        let Value::String(pointer) = pointer else {
            self.fault(place, "`pointer` is a text");
            return true;
        };
        if let Err(fault) = self.resolve(source, pointer, members.get("quote")) {
            self.fault(place, &fault);
        }
        true
    }

    fn resolve(
        &mut self,
        source: Source,
        pointer: &str,
        quote: Option<&Value>,
    ) -> Result<(), String> {
        let whole = match self.found.get(&source) {
            Some(found) => found.clone(),
            None => {
                let found = (self.find)(&source);
                self.found.insert(source.clone(), found.clone());
                found
            }
        };
        let Some(whole) = whole else {
            return Err(match source {
                Source::Artifact(name) => format!("the plan has no artifact `{name}`"),
                Source::Agent(name) => format!("there is no enrichment by `{name}`"),
            });
        };
        let Some(cited) = whole.pointer(pointer) else {
            let (Source::Artifact(name) | Source::Agent(name)) = source;
            return Err(match whole.as_ref() {
                Value::String(_) => {
                    format!("`{name}` is a text: its pointer is empty, and a `quote` says where")
                }
                _ => format!("`{name}` holds nothing at `{pointer}`"),
            });
        };
        match quote {
            None | Some(Value::Null) if pointer.is_empty() => Err(
                "points at the whole: a longer `pointer`, or a `quote`, must say where".to_owned(),
            ),
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(quote)) if quote.trim().is_empty() => {
                Err("its `quote` is empty".to_owned())
            }
            Some(Value::String(quote)) if stands_in(quote, cited) => Ok(()),
            Some(Value::String(quote)) => {
                let quote: String = quote.chars().take(QUOTE_TOLD).collect();
                Err(format!("what is cited does not say `{quote}`"))
            }
            Some(_) => Err("`quote` is a text".to_owned()),
        }
    }
}

/// Whether the words stand in the value: in one of its texts, or as its number or JSON.
fn stands_in(quote: &str, value: &Value) -> bool {
    let wanted = squeezed(quote);
    match value {
        Value::String(text) => squeezed(text).contains(&wanted),
        Value::Array(entries) => entries.iter().any(|entry| stands_in(quote, entry)),
        Value::Object(members) => members.values().any(|member| stands_in(quote, member)),
        other => {
            let text = other.to_string();
            text == wanted
        }
    }
}

/// The words with one blank between them.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A member's name in a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(source: &Source) -> Option<Arc<Value>> {
        let value = match source {
            Source::Artifact(name) if name == "risks.json" => {
                json!({"risks": [{"title": "The pier\n  gives way", "rating": 9}]})
            }
            Source::Artifact(name) if name == "team.md" => json!("# Team\nAnn leads."),
            Source::Agent(name) if name == "plan-lint" => json!({"findings": [{"rule": "dates"}]}),
            _ => return None,
        };
        Some(Arc::new(value))
    }

    fn faults_of(output: Value) -> Vec<String> {
        faults(&output, &found)
    }

    #[test]
    fn what_is_cited_must_be_there_and_say_so() {
        let good = json!({
            "summary": "all is told",
            "issues": [
                {"claim": "it gives way", "citations": [
                    {"artifact": "risks.json", "pointer": "/risks/0", "quote": "pier gives way"},
                    {"artifact": "risks.json", "pointer": "/risks/0/rating", "quote": "9"}]},
                {"claim": "nobody leads", "because": {"artifact": "team.md", "pointer": "", "quote": "Ann leads."}},
                {"artifact": "risks.json", "pointer": "", "quote": "gives way"},
                {"claim": "dates", "citations": [{"agent": "plan-lint", "pointer": "/findings/0/rule"}]}
            ],
            "recommendation": {"verdict": "go", "citations": [{"agent": "plan-lint", "pointer": "/findings"}]},
            "empty": []
        });
        assert_eq!(faults_of(good), Vec::<String>::new());
    }

    #[test]
    fn what_does_not_resolve_is_told_with_its_place() {
        for (citation, fault) in [
            (
                json!({"artifact": "costs.json", "pointer": ""}),
                "no artifact `costs.json`",
            ),
            (
                json!({"agent": "weather", "pointer": ""}),
                "no enrichment by `weather`",
            ),
            (
                json!({"artifact": "risks.json", "pointer": "/risks/1"}),
                "nothing at `/risks/1`",
            ),
            (
                json!({"artifact": "risks.json", "pointer": "risks"}),
                "nothing at `risks`",
            ),
            (json!({"artifact": "team.md", "pointer": "/1"}), "is a text"),
            (
                json!({"artifact": "team.md", "pointer": "", "quote": "Bob leads"}),
                "does not say `Bob leads`",
            ),
            (
                json!({"artifact": "risks.json", "pointer": "/risks/0/rating", "quote": "8"}),
                "does not say",
            ),
            (
                json!({"artifact": "team.md", "pointer": 5}),
                "`pointer` is a text",
            ),
            (json!({"artifact": 5, "pointer": ""}), "are texts"),
            (
                json!({"artifact": "team.md", "agent": "a", "pointer": ""}),
                "both",
            ),
            (
                json!({"artifact": "risks.json", "pointer": ""}),
                "the whole",
            ),
            (
                json!({"agent": "plan-lint", "pointer": "", "quote": null}),
                "the whole",
            ),
            (
                json!({"artifact": "risks.json", "pointer": "/risks/0", "quote": " "}),
                "`quote` is empty",
            ),
            (json!({"artifact": "team.md"}), "cites nothing"),
            (json!("a claim in plain words"), "cites nothing"),
        ] {
            let told =
                faults_of(json!({"issues": [{"claim": "x", "citations": [citation.clone()]}]}));
            assert_eq!(told.len(), 1, "{citation}: {told:?}");
            assert!(
                told[0].starts_with("/issues/0") && told[0].contains(fault),
                "{told:?}"
            );
        }
    }

    #[test]
    fn what_stands_alone_cites_as_entries_of_lists_do() {
        let alone = faults_of(json!({"summary": "x", "recommendation": {"verdict": "go"}}));
        assert!(
            alone[0].starts_with("/recommendation: cites nothing"),
            "{alone:?}"
        );
        let cites = json!({"artifact": "risks.json", "pointer": "/risks/0"});
        let root = faults_of(json!([{"issue": "x", "because": cites}, {"issue": "y"}]));
        assert_eq!(root.len(), 1);
        assert!(root[0].starts_with("/1: cites nothing"), "{root:?}");
    }

    #[test]
    fn a_flood_of_faults_is_told_in_short() {
        let told = faults_of(json!({"issues": vec![json!({"claim": "x"}); 5_000]}));
        assert_eq!(told.len(), TOLD + 1);
        assert_eq!(told[TOLD], format!("and {} more", 5_000 - TOLD));
    }
}
