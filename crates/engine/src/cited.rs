//! What the citations in an output are looked up in: the plan's artifacts and the enrichments that its agent was given.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::agent::citations::{Source, faults};
use domain::agent::conversation::setup::OutputCheck;
use serde_json::Value;

use crate::inputs;
use crate::plans::LoadedPlan;

/// The check of an agent's output on this plan with these enrichments, by agent.
pub fn check(plan: Arc<LoadedPlan>, enrichments: BTreeMap<String, Arc<Value>>) -> OutputCheck {
    OutputCheck(Arc::new(move |output| {
        let found = faults(output, &|source| match source {
            Source::Artifact(name) => inputs::value(&plan, name).map(Arc::new),
            Source::Agent(name) => enrichments.get(name).cloned(),
        });
        if found.is_empty() {
            return Ok(());
        }
        Err(format!("citations do not resolve: {}", found.join("; ")))
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use planexe::plan::Plan;
    use serde_json::json;

    fn plan() -> Arc<LoadedPlan> {
        let files = [
            ("001-2-plan.txt", "Build a ferry."),
            (
                "005-2-identify_risks_raw.json",
                r#"{"risks": [{"risk_area": "Ice"}]}"#,
            ),
            ("010-team.md", "# Team\n\nAnn leads."),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes().into()));
        Arc::new(LoadedPlan::of(Plan::from_named_bytes(files)).unwrap())
    }

    #[test]
    fn citations_are_looked_up_in_the_plan_and_in_what_was_given() {
        let lint = Arc::new(json!({"findings": [{"rule": "dates"}]}));
        let check = check(plan(), BTreeMap::from([("plan-lint".to_owned(), lint)])).0;
        let output = |citation: Value| json!({"issues": [{"claim": "x", "citations": [citation]}]});
        for good in [
            json!({"artifact": "identify_risks_raw.json", "pointer": "/risks/0/risk_area", "quote": "Ice"}),
            json!({"artifact": "team.md", "pointer": "", "quote": "Ann leads."}),
            json!({"artifact": "plan", "pointer": "/prompt", "quote": "Build a ferry."}),
            json!({"agent": "plan-lint", "pointer": "/findings/0"}),
        ] {
            assert_eq!(check(&output(good.clone())), Ok(()), "{good}");
        }
        for (bad, why) in [
            (
                json!({"artifact": "identify_risks_raw.json", "pointer": "/risks/1"}),
                "/risks/1",
            ),
            (
                json!({"artifact": "costs.json", "pointer": ""}),
                "costs.json",
            ),
            (
                json!({"agent": "risk-exposure", "pointer": ""}),
                "risk-exposure",
            ),
        ] {
            let told = check(&output(bad)).unwrap_err();
            assert!(
                told.starts_with("citations do not resolve: /issues/0") && told.contains(why),
                "{told}"
            );
        }
    }

    #[test]
    fn a_plan_that_is_one_json_is_cited_by_its_members() {
        let plan = LoadedPlan::of_json(r#"{"title": "T", "architecture": {"db": "one"}}"#).unwrap();
        let check = check(Arc::new(plan), BTreeMap::new()).0;
        let cited =
            json!({"issues": [{"artifact": "architecture", "pointer": "/db", "quote": "one"}]});
        assert_eq!(check(&cited), Ok(()));
    }
}
