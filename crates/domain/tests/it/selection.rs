//! Which agents an orchestration gets, and which sets are refused with which words.

use std::collections::{BTreeMap, BTreeSet};

use domain::agent::definition::{AgentDefinition, from_toml};
use domain::agent::input::InputRef;
use domain::money::prices::Prices;
use domain::orchestration::command::Command;
use domain::orchestration::event::{BARE, Created};
use domain::orchestration::prior::Given;
use domain::orchestration::select::{MAX_STEPS, Refused, Selection, Wanted, select};
use domain::orchestration::state::Status;
use domain::values::ids::{AccountId, AgentId};
use domain::values::time::Timestamp;

use crate::world::{World, created, plain, prior};

fn agent(id: &str, more: &str) -> (AgentId, AgentDefinition) {
    let text =
        format!("id = '{id}'\ndisplayName = 'A'\nexecutor = {{ kind = 'analysis' }}\n{more}");
    let definition = from_toml(&text).unwrap();
    (definition.id.clone(), definition)
}

fn ids(names: &[&str]) -> Vec<AgentId> {
    names
        .iter()
        .map(|name| AgentId::new(name).unwrap())
        .collect()
}

/// The plan has everything but `risks.json`.
fn lacks(input: &InputRef) -> Option<String> {
    (input.artifact == "risks.json").then(|| "the plan has no such file".to_owned())
}

fn named(agents: &[(AgentId, AgentDefinition)], asked: &[&str]) -> Result<Selection, Refused> {
    let registered: BTreeMap<_, _> = agents.iter().cloned().collect();
    select(
        &registered,
        &Wanted::Named(ids(asked)),
        None,
        &Given::default(),
        &lacks,
        &Prices::built_in(),
    )
}

fn by_default(agents: &[(AgentId, AgentDefinition)]) -> Result<Selection, Refused> {
    let registered: BTreeMap<_, _> = agents.iter().cloned().collect();
    let all = registered.keys().cloned().collect();
    select(
        &registered,
        &Wanted::Default(all),
        None,
        &Given::default(),
        &lacks,
        &Prices::built_in(),
    )
}

fn steps(selection: &Selection) -> Vec<&str> {
    selection
        .steps
        .iter()
        .map(|step| step.id.as_str())
        .collect()
}

#[test]
fn the_chosen_bring_what_they_need_before_them() {
    let agents = [
        agent(
            "readiness",
            "dependencies = ['lint', { agent = 'paths', optional = true }]",
        ),
        agent("lint", "dependencies = ['inventory']"),
        agent("paths", "dependencies = ['inventory']"),
        agent("inventory", ""),
        agent("other", ""),
    ];
    let selection = named(&agents, &["readiness", "lint", "readiness"]).unwrap();
    assert_eq!(
        steps(&selection),
        ["inventory", "lint", "paths", "readiness"]
    );
    let definitions: Vec<_> = selection
        .definitions
        .iter()
        .map(|agent| agent.id.as_str())
        .collect();
    assert_eq!(definitions, steps(&selection));
}

#[test]
fn an_unknown_agent_is_named_with_the_nearest_that_there_is() {
    let agents = [agent("plan-lint", ""), agent("critical-path", "")];
    let refused = |asked| named(&agents, &[asked]).unwrap_err().to_string();
    assert_eq!(
        refused("plan-lnit"),
        "there is no agent `plan-lnit`; did you mean `plan-lint`?"
    );
    assert_eq!(
        refused("criticalpath"),
        "there is no agent `criticalpath`; did you mean `critical-path`?"
    );
    assert_eq!(refused("weather"), "there is no agent `weather`");
}

#[test]
fn an_unknown_dependency_is_named_with_who_needs_it() {
    let agents = [
        agent("a", "dependencies = ['gone']"),
        agent("b", "dependencies = [{ agent = 'gone', optional = true }]"),
    ];
    let refused = named(&agents, &["a"]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`a` depends on `gone`, which is not among the agents"
    );
    let selection = named(&agents, &["b"]).unwrap();
    assert!(
        selection.steps[0].dependencies.is_empty(),
        "an optional one may be absent"
    );
}

#[test]
fn a_cycle_is_named_whatever_its_members_lack() {
    let agents = [
        agent("a", "dependencies = ['c']"),
        agent(
            "b",
            "dependencies = ['a']\ninputSchema = { fields = ['risks.json'] }",
        ),
        agent("c", "dependencies = ['b']"),
        agent("d", "dependencies = ['c']"),
    ];
    let refused = named(&agents, &["d"]).unwrap_err().to_string();
    let (what, round) = refused.split_once(": ").unwrap();
    assert_eq!(what, "these agents wait for each other");
    let round: Vec<_> = round.split(" -> ").collect();
    assert_eq!((round.len(), round[0]), (4, round[3]), "{round:?}");
    assert!(
        !round.contains(&"d"),
        "`d` only waits for the cycle: {round:?}"
    );
}

// One definition with a slip in it, and nobody could submit a plan without naming agents.
#[test]
fn whose_dependencies_are_at_fault_is_left_out_of_the_default_set_and_the_others_work() {
    let agents = [
        agent("a", "dependencies = ['b']"),
        agent("b", "dependencies = ['a']"),
        agent("c", "dependencies = ['b']"),
        agent("d", "dependencies = ['gone']"),
        agent("e", "dependencies = ['d']"),
        agent("f", "dependencies = [{ agent = 'd', optional = true }]"),
        agent("g", ""),
    ];
    let selection = by_default(&agents).unwrap();
    assert_eq!(steps(&selection), ["f", "g"]);
    let mut told: Vec<_> = selection
        .excluded
        .iter()
        .map(|out| {
            format!(
                "{}: {}",
                out.agent,
                out.reason.replace("b -> a -> b", "a -> b -> a")
            )
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "a: these agents wait for each other: a -> b -> a",
            "b: these agents wait for each other: a -> b -> a",
            "c: it needs `b`, which is left out",
            "d: it needs `gone`, which is not registered",
            "e: it needs `d`, which is left out",
        ]
    );
}

#[test]
fn missing_inputs_skip_who_was_asked_for_and_exclude_who_was_not() {
    let risks = "inputSchema = { fields = ['risks.json#/all', 'team.md', 'plan'], context = ['risks.json'] }";
    let agents = [
        agent("exposure", risks),
        agent("score", "dependencies = ['exposure']"),
        agent("lint", ""),
    ];
    let asked = named(&agents, &["exposure", "lint"]).unwrap();
    assert_eq!(steps(&asked), ["exposure", "lint"]);
    assert_eq!(
        asked.steps[0].missing,
        ["risks.json#/all: the plan has no such file"]
    );
    assert!(asked.steps[1].missing.is_empty() && asked.excluded.is_empty());
    // `context` is for what is there: what is not is recorded, and refuses nothing. What it asks for as a `field` too counts as that.
    assert_eq!(asked.steps[0].absent, ["risks.json"]);

    let default = by_default(&agents).unwrap();
    assert_eq!(steps(&default), ["lint"]);
    let told: Vec<_> = default
        .excluded
        .iter()
        .map(|out| format!("{}: {}", out.agent, out.reason))
        .collect();
    assert_eq!(
        told,
        [
            "exposure: risks.json#/all: the plan has no such file",
            "score: it needs `exposure`, which is left out"
        ]
    );

    // Who was asked for stays as a step that says why, though what it needs was only brought in.
    let brought = named(&agents, &["score"]).unwrap();
    assert_eq!(steps(&brought), ["score"]);
    assert_eq!(
        brought.steps[0].missing,
        ["its dependency `exposure` is left out"]
    );
    assert_eq!(brought.excluded.len(), 1);
}

#[test]
fn what_is_optional_keeps_nobody_out() {
    let agents = [
        agent("exposure", "inputSchema = { fields = ['risks.json'] }"),
        agent(
            "score",
            "dependencies = [{ agent = 'exposure', optional = true }]\ninputSchema = { fields = ['risks.json?'] }",
        ),
    ];
    let selection = by_default(&agents).unwrap();
    assert_eq!(steps(&selection), ["score"]);
    assert!(selection.steps[0].missing.is_empty());
    assert_eq!(selection.steps[0].absent, ["risks.json"]);
}

#[test]
fn nothing_left_is_refused_with_the_reasons() {
    let agents = [agent(
        "exposure",
        "inputSchema = { fields = ['risks.json'] }",
    )];
    let refused = by_default(&agents).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no agent is left to perform; `exposure`: risks.json: the plan has no such file"
    );
    assert_eq!(
        named(&[], &[]).unwrap_err(),
        Refused::NoStepLeft(Vec::new())
    );
}

#[test]
fn more_steps_than_max_steps_are_refused() {
    let many: Vec<_> = (0..30).map(|at| agent(&format!("s{at}"), "")).collect();
    let registered: BTreeMap<_, _> = many.iter().cloned().collect();
    let all = Wanted::Default(registered.keys().cloned().collect());
    let with = |max| {
        select(
            &registered,
            &all,
            max,
            &Given::default(),
            &lacks,
            &Prices::built_in(),
        )
    };
    assert_eq!(
        with(None).unwrap().steps.len(),
        30,
        "as many as are registered"
    );
    assert_eq!(
        with(Some(29)).unwrap_err(),
        Refused::TooManySteps { steps: 30, max: 29 }
    );
    assert!(with(Some(30)).is_ok());
    assert_eq!(MAX_STEPS, 20);
}

/// Enrichments of these agents, made one after another.
fn given(version: u64, agents: &[&str]) -> Given {
    let enrichments = agents.iter().zip(1..).map(|(agent, at)| {
        let given = (prior("whole").enrichment, Timestamp(at));
        (AgentId::new(agent).unwrap(), given)
    });
    Given {
        version,
        enrichments: enrichments.collect(),
    }
}

#[test]
fn a_prior_needs_nothing_joins_unasked_and_does_not_count() {
    let agents = [
        agent("score", "dependencies = ['lint']"),
        agent(
            "lint",
            "dependencies = ['inventory']\ninputSchema = { fields = ['risks.json'] }",
        ),
        agent("inventory", ""),
        agent("other", ""),
    ];
    let registered: BTreeMap<_, _> = agents.into_iter().collect();
    let wanted = Wanted::Named(ids(&["score"]));
    let given = given(7, &["other", "lint", "weather"]);
    let selection = select(
        &registered,
        &wanted,
        Some(1),
        &given,
        &lacks,
        &Prices::built_in(),
    )
    .unwrap();
    assert_eq!(steps(&selection), ["lint", "other", "score"]);
    assert_eq!(selection.excluded[0].agent.as_str(), "weather");
    let lint = &selection.steps[0];
    assert!(lint.dependencies.is_empty() && lint.missing.is_empty());
    let versions = selection.steps.iter();
    let versions: Vec<_> = versions
        .map(|step| step.prior.as_ref().map(|prior| prior.version))
        .collect();
    assert_eq!(versions, [Some(7), Some(6), None], "the oldest first");
    assert_eq!(selection.version, 7);
}

#[test]
fn a_version_too_small_for_its_priors_is_raised() {
    let agents = [agent("a", ""), agent("b", "")];
    let registered: BTreeMap<_, _> = agents.into_iter().collect();
    let wanted = Wanted::Default(ids(&["a", "b"]));
    for (version, becomes) in [(0, 3), (1, 3), (2, 3), (3, 3), (9, 9)] {
        let given = given(version, &["b", "a"]);
        let selection = select(
            &registered,
            &wanted,
            None,
            &given,
            &lacks,
            &Prices::built_in(),
        )
        .unwrap();
        assert_eq!(selection.version, becomes);
        let Command::Create(mut create) = created(Vec::new()) else {
            panic!("a creation");
        };
        create.steps = selection.steps;
        create.version = selection.version;
        let mut world = World::new();
        world.ask(&Command::Create(create)).unwrap();
        assert_eq!(world.state.status(), Status::Complete);
    }
    let bare = select(
        &registered,
        &wanted,
        None,
        &Given::default(),
        &lacks,
        &Prices::built_in(),
    )
    .unwrap();
    assert_eq!(bare.version, BARE);
}

#[test]
fn what_came_beside_the_plan_tells_two_submissions_apart() {
    let key = |change: &dyn Fn(&mut Created)| {
        let Command::Create(mut create) = created(vec![plain("a"), plain("b")]) else {
            panic!("a creation");
        };
        change(&mut create);
        create.submission_key().unwrap()
    };
    let usual = key(&|_| {});
    assert_eq!(usual, key(&|created| created.name = "another".to_owned()));
    assert_eq!(usual, key(&|created| created.submission = Some(usual)));
    let others = [
        key(&|created| created.pinned = usual),
        key(&|created| created.plan = usual),
        key(&|created| created.account = AccountId::new("ann").unwrap()),
        key(&|created| created.request.user = Some("ann".to_owned())),
        key(&|created| created.version = 2),
        key(&|created| created.steps[0].prior = Some(prior("whole"))),
        key(&|created| created.steps[1].prior = Some(prior("whole"))),
        key(&|created| created.steps[0].prior = Some(prior("part"))),
    ];
    let different: BTreeSet<_> = others.iter().chain([&usual]).collect();
    assert_eq!(different.len(), 9);
}
