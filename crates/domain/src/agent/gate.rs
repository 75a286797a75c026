//! Gates: CEL expressions that say whether a step is worth performing.
//!
//! CEL has no cost limit of its own, so a gate is bounded when it is registered: source length, nesting of
//! comprehensions, and what a comprehension does for each item: nothing there may itself cost a list's length. The values
//! offered to it are bounded when it is evaluated.

use std::collections::{BTreeMap, BTreeSet};

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::{Context, Program, Value};
use serde::{Deserialize, Serialize};

/// Longest source, in bytes.
pub const SOURCE_MAX: usize = 2_048;

/// Longest list that a gate can see: one comprehension over it costs about a millisecond. Longer lists are cut.
pub const LIST_MAX: usize = 1_000;

/// Comprehensions (`all`, `exists`, `map`, `filter`) that may stand inside one another. Three nested ones over 120
/// items took more than a second; one is linear.
pub const COMPREHENSION_DEPTH_MAX: usize = 1;

/// Comprehensions in all.
pub const COMPREHENSIONS_MAX: usize = 8;

/// Operators and functions inside comprehensions, those that `all` and its kin bring along included. Each may look at a
/// whole list for each item of another (`x in list`, `a == b`): 24 million looks at the most, a second or two.
pub const COMPREHENSION_CALLS_MAX: usize = 24;

/// Values (numbers, texts, lists, objects) that a gate can see in all; with more it fails, as a gate that is not sure.
pub const VALUES_MAX: usize = 100_000;

/// What a gate said, recorded in the events so that a fold never evaluates anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// The step may start.
    Open,
    /// The step is not wanted for this plan.
    Closed,
    /// The expression failed, which counts as closed.
    Error {
        /// What CEL said.
        message: String,
    },
}

/// What a gate may know: values as JSON.
#[derive(Clone, Debug, Default)]
pub struct GateFacts {
    /// `plan`: the plan summary.
    pub plan: serde_json::Value,
    /// `enrichments.<id>.{status,data}` of the step's direct dependencies.
    pub enrichments: BTreeMap<String, serde_json::Value>,
    /// `state`: `{counts: {<status>: n}, statuses: {<step>: <status>}}`.
    pub state: serde_json::Value,
}

/// A gate that cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// Longer than [`SOURCE_MAX`].
    #[error("the gate is {0} bytes long; at most {SOURCE_MAX} are allowed")]
    TooLong(usize),
    /// Not CEL.
    #[error("the gate is not valid CEL: {0}")]
    Syntax(String),
    /// Too costly in the worst case.
    #[error("the gate is too costly: {0}")]
    TooCostly(String),
    /// Names something that no gate can see.
    #[error("the gate names `{0}`; it can see only `plan`, `enrichments` and `state`")]
    UnknownName(String),
}

/// A compiled and bounded gate.
#[derive(Debug)]
pub struct Gate {
    program: Program,
    /// Whose enrichments it names.
    agents: BTreeSet<String>,
}

impl Gate {
    /// Compiles `source` and checks its bounds.
    ///
    /// # Errors
    /// Why it cannot be registered.
    pub fn compile(source: &str) -> Result<Self, GateError> {
        if source.len() > SOURCE_MAX {
            return Err(GateError::TooLong(source.len()));
        }
        let program =
            Program::compile(source).map_err(|errors| GateError::Syntax(errors.to_string()))?;
        let mut cost = Cost::default();
        cost.visit(program.expression(), 0)?;
        for name in program.references().variables() {
            if !["plan", "enrichments", "state"].contains(&name)
                && !cost.bound.iter().any(|bound| bound == name)
            {
                return Err(GateError::UnknownName(name.to_owned()));
            }
        }
        Ok(Self {
            program,
            agents: cost.agents,
        })
    }

    /// The agents that it names: `enrichments.a`, `enrichments['a']`, `'a' in enrichments`. It can see direct
    /// dependencies only, so that another one here would fail it, or make it always false.
    pub fn agents(&self) -> impl Iterator<Item = &str> {
        self.agents.iter().map(String::as_str)
    }

    /// Evaluates the gate. Anything but `true` and `false` is an error, and an error counts as closed.
    pub fn evaluate(&self, facts: &GateFacts) -> Verdict {
        let failed = |message: String| Verdict::Error {
            message: message.chars().take(500).collect(),
        };
        let enrichments =
            serde_json::Value::Object(facts.enrichments.clone().into_iter().collect());
        let mut context = Context::default();
        let mut left = VALUES_MAX;
        for (name, value) in [
            ("plan", &facts.plan),
            ("enrichments", &enrichments),
            ("state", &facts.state),
        ] {
            let Some(value) = bounded(value, &mut left) else {
                return failed(format!(
                    "a gate can see at most {VALUES_MAX} values; these are more"
                ));
            };
            match cel::to_value(value) {
                Ok(value) => context.add_variable_from_value(name, value),
                Err(error) => return failed(error.to_string()),
            }
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(true)) => Verdict::Open,
            Ok(Value::Bool(false)) => Verdict::Closed,
            Ok(_) => failed("the gate gave neither true nor false".to_owned()),
            Err(error) => failed(error.to_string()),
        }
    }
}

/// `value` with every list cut to [`LIST_MAX`]; nothing when it has more values than are `left`.
fn bounded(value: &serde_json::Value, left: &mut usize) -> Option<serde_json::Value> {
    use serde_json::Value::{Array, Object};
    *left = left.checked_sub(1)?;
    Some(match value {
        Array(items) => {
            let items = items.iter().take(LIST_MAX);
            Array(
                items
                    .map(|item| bounded(item, left))
                    .collect::<Option<_>>()?,
            )
        }
        Object(members) => {
            let member = |(key, member): (&String, _)| Some((key.clone(), bounded(member, left)?));
            Object(members.iter().map(member).collect::<Option<_>>()?)
        }
        plain => plain.clone(),
    })
}

/// What an expression may cost and whose enrichments it names, gathered while walking it.
#[derive(Default)]
struct Cost {
    comprehensions: usize,
    calls: usize,
    bound: Vec<String>,
    gathered: Vec<String>,
    agents: BTreeSet<String>,
}

fn is_enrichments(node: &IdedExpr) -> bool {
    matches!(&node.expr, Expr::Ident(name) if name == "enrichments")
}

/// The text that is looked up in `enrichments` by this operator, if that is what it does.
fn looked_up(call: &CallExpr) -> Option<&str> {
    let (name, within) = match (call.func_name.as_str(), &call.args[..]) {
        (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, [within, name])
        | (operators::IN, [name, within]) => (name, within),
        _ => return None,
    };
    match &name.expr {
        Expr::Literal(LiteralValue::String(name)) if is_enrichments(within) => Some(name.inner()),
        _ => None,
    }
}

impl Cost {
    fn visit(&mut self, node: &IdedExpr, depth: usize) -> Result<(), GateError> {
        match &node.expr {
            Expr::Comprehension(comprehension) => {
                if depth >= COMPREHENSION_DEPTH_MAX {
                    return Err(GateError::TooCostly(
                        "a comprehension stands inside another".to_owned(),
                    ));
                }
                self.comprehensions += 1;
                if self.comprehensions > COMPREHENSIONS_MAX {
                    return Err(GateError::TooCostly(format!(
                        "more than {COMPREHENSIONS_MAX} comprehensions"
                    )));
                }
                self.bound.push(comprehension.iter_var.clone());
                self.bound.extend(comprehension.iter_var2.clone());
                self.bound.push(comprehension.accu_var.clone());
                self.gathered.push(comprehension.accu_var.clone());
                // One behind the other is not one inside the other.
                self.visit(&comprehension.iter_range, depth)?;
                for part in [
                    &comprehension.accu_init,
                    &comprehension.loop_cond,
                    &comprehension.loop_step,
                    &comprehension.result,
                ] {
                    self.visit(part, depth + 1)?;
                }
                Ok(())
            }
            Expr::Call(call) => {
                self.agents.extend(looked_up(call).map(str::to_owned));
                if depth > 0 {
                    self.inside(call)?;
                }
                call.target
                    .iter()
                    .try_for_each(|target| self.visit(target, depth))?;
                call.args.iter().try_for_each(|arg| self.visit(arg, depth))
            }
            Expr::List(list) => list
                .elements
                .iter()
                .try_for_each(|element| self.visit(element, depth)),
            Expr::Map(map) => map
                .entries
                .iter()
                .try_for_each(|entry| self.visit_entry(&entry.expr, depth)),
            Expr::Struct(object) => object
                .entries
                .iter()
                .try_for_each(|entry| self.visit_entry(&entry.expr, depth)),
            Expr::Select(select) => {
                if is_enrichments(&select.operand) {
                    self.agents.insert(select.field.clone());
                }
                self.visit(&select.operand, depth)
            }
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Ok(()),
        }
    }

    /// An operator or function that is carried out for each item.
    fn inside(&mut self, call: &CallExpr) -> Result<(), GateError> {
        self.calls += 1;
        if self.calls > COMPREHENSION_CALLS_MAX {
            let most = COMPREHENSION_CALLS_MAX;
            let what = format!("more than {most} operators inside comprehensions");
            return Err(GateError::TooCostly(what));
        }
        // A sum of lists for each item is a product of lengths in memory. What `map` and `filter` gather is not: it is the
        // result itself, one item longer each time.
        let gathers =
            |arg: &IdedExpr| matches!(&arg.expr, Expr::Ident(name) if self.gathered.contains(name));
        let plain = |arg: &IdedExpr| matches!(arg.expr, Expr::Literal(_));
        if call.func_name == "_+_" && !call.args.iter().any(|arg| gathers(arg) || plain(arg)) {
            let what = "a sum inside a comprehension must have a literal on one side";
            return Err(GateError::TooCostly(what.to_owned()));
        }
        Ok(())
    }

    fn visit_entry(&mut self, entry: &EntryExpr, depth: usize) -> Result<(), GateError> {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value, depth),
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key, depth)?;
                self.visit(&entry.value, depth)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn verdict(source: &str) -> Verdict {
        let facts = GateFacts {
            plan: json!({"title": "Ferry", "counts": {"risks": 9}, "tags": ["harbour", "public"]}),
            enrichments: BTreeMap::from([(
                "plan-lint".to_owned(),
                json!({"status": "completed", "data": {"findings": [{"severity": "error"}]}}),
            )]),
            state: json!({"counts": {"completed": 2}}),
        };
        Gate::compile(source).unwrap().evaluate(&facts)
    }

    #[test]
    fn a_gate_sees_plan_enrichments_and_state() {
        assert_eq!(
            verdict("plan.counts.risks > 5 && state.counts.completed == 2"),
            Verdict::Open
        );
        assert_eq!(
            verdict("enrichments['plan-lint'].data.findings.exists(f, f.severity == 'error')"),
            Verdict::Open
        );
        assert_eq!(verdict("'private' in plan.tags"), Verdict::Closed);
    }

    #[test]
    fn a_gate_that_fails_is_closed_and_says_why() {
        for source in [
            "plan.missing.field > 1",
            "1 + 1",
            "plan.counts.risks / 0 > 1",
        ] {
            assert!(matches!(verdict(source), Verdict::Error { .. }), "{source}");
        }
    }

    #[test]
    fn costly_or_strange_gates_are_refused_when_registered() {
        let product = "size(plan.a.map(x, plan.a + plan.a)) > 0";
        assert!(matches!(
            Gate::compile(product),
            Err(GateError::TooCostly(_))
        ));
        let many = format!("plan.a.all(x, {})", vec!["x in plan.a"; 24].join(" || "));
        assert!(matches!(Gate::compile(&many), Err(GateError::TooCostly(_))));
        assert!(
            Gate::compile("plan.a.filter(x, x.n + 1 > 2).exists(x, x.name + '!' == 'a!')").is_ok()
        );
        let nested = "plan.a.all(x, plan.a.all(y, x == y))";
        assert!(matches!(
            Gate::compile(nested),
            Err(GateError::TooCostly(_))
        ));
        assert!(matches!(
            Gate::compile(&"1 == 1 && ".repeat(400)),
            Err(GateError::TooLong(_))
        ));
        assert!(matches!(
            Gate::compile("plan.x >"),
            Err(GateError::Syntax(_))
        ));
        assert_eq!(
            Gate::compile("budget > 3").unwrap_err(),
            GateError::UnknownName("budget".to_owned())
        );
        assert!(Gate::compile(&"(".repeat(1_000)).is_err());
    }

    #[test]
    fn a_gate_says_whose_enrichments_it_names() {
        let source =
            "enrichments.lint.data.n > 1 && has(enrichments.paths) && 'weather' in enrichments
            && enrichments['risk-exposure'].status == 'completed' && plan.enrichments.no == 1
            && state.statuses['other'] == 'completed' && enrichments.all(k, k != 'none')";
        let gate = Gate::compile(source).unwrap();
        let named: Vec<_> = gate.agents().collect();
        assert_eq!(named, ["lint", "paths", "risk-exposure", "weather"]);
    }

    #[test]
    fn a_gate_sees_only_so_much() {
        let many: Vec<_> = (0..LIST_MAX).map(|n| vec![n; 200]).collect();
        let facts = GateFacts {
            plan: json!({"a": many}),
            ..GateFacts::default()
        };
        let verdict = Gate::compile("size(plan.a) > 0").unwrap().evaluate(&facts);
        assert!(matches!(verdict, Verdict::Error { .. }));
    }
}
