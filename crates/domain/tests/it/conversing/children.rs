//! Children: which are meant, which are refused, and what their parent hears of them.

use super::*;

fn parent(agents: &[&str]) -> Setup {
    Setup {
        spawnable: agents.iter().map(|agent| spawnable(agent)).collect(),
        ..agent(&["spawn_agents", "end_turn"])
    }
}

fn spawns(agents: Value) -> Piece {
    call("spawn_agents", json!({"agents": agents}))
}

/// What the parent hears of its first call.
fn told(stage: &Stage) -> Value {
    let message = stage.questions.last().unwrap().messages.iter().rev();
    let results = message
        .flat_map(|message| &message.parts)
        .find_map(|part| match part {
            Part::ToolResult(result) => Some(result.output.clone()),
            _ => None,
        });
    results.unwrap()
}

#[test]
fn children_are_asked_for_together_and_told_in_the_order_asked() {
    let agents = json!([
        {"agent_type": "cost-check", "prompt": "Costs?", "params": {"depth": 2}},
        {"agent_type": "risk-check"},
    ]);
    let mut stage = stage(
        parent(&["risk-check", "cost-check"]),
        [says([spawns(agents)])],
    );
    stage.completes();
    let asked = &stage.children[0];
    assert_eq!(asked[0].agent, "cost-check");
    assert_eq!(
        (asked[0].prompt.as_str(), &asked[0].params["depth"]),
        ("Costs?", &json!(2))
    );
    assert_eq!(
        (asked[1].agent.as_str(), asked[1].prompt.as_str()),
        ("risk-check", "")
    );
    assert_eq!(
        told(&stage),
        json!([
            {"agentName": "COST-CHECK", "agentType": "cost-check", "status": "completed",
             "value": {"type": "structuredOutput", "value": {"did": "Costs?"}}},
            {"agentName": "RISK-CHECK", "agentType": "risk-check", "status": "completed",
             "value": {"type": "structuredOutput", "value": {"did": ""}}},
        ])
    );
}

#[test]
fn a_childs_failure_is_told_as_failure_and_a_part_as_a_part() {
    let agents = json!([{"agent_type": "a", "prompt": "1"}, {"agent_type": "a", "prompt": "2"}, {"agent_type": "a", "prompt": "3"}]);
    let mut played = stage(parent(&["a"]), [says([spawns(agents)])]);
    played.child = Box::new(|ask| match ask.prompt.as_str() {
        "1" => ChildOutcome::Failed {
            message: "It timed out.".to_owned(),
        },
        "2" => ChildOutcome::Partial {
            value: json!({"half": 1}),
            message: "It ran out of credits.".to_owned(),
        },
        _ => ChildOutcome::Completed { value: json!({}) },
    });
    played.completes();
    let told_all = told(&played);
    assert_eq!(told_all[0]["status"], "failed");
    assert_eq!(
        told_all[0]["value"],
        json!({"errorMessage": "It timed out."})
    );
    assert_eq!(told_all[1]["status"], "partial");
    assert_eq!(told_all[1]["value"]["value"], json!({"half": 1}));
    assert_eq!(
        told_all[1]["value"]["errorMessage"],
        "It ran out of credits."
    );
    assert_eq!(told_all[2]["status"], "completed");

    let one = says([spawns(json!([{"agent_type": "a"}]))]);
    let mut stage = stage(parent(&["a"]), [one]);
    stage.child = Box::new(|_| ChildOutcome::Failed {
        message: "No.".to_owned(),
    });
    stage.completes();
    let heard = stage.last_heard();
    assert!(
        heard.last().unwrap().contains("spawn_agents failed: "),
        "{heard:?}"
    );
}

#[test]
fn what_the_child_said_stays_in_its_own_form() {
    let mut setup = parent(&["talker"]);
    setup.spawnable[0].structured = false;
    let said = json!({"type": "lastMessage", "value": [{"role": "assistant", "content": []}]});
    let value = said.clone();
    let mut stage = stage(setup, [says([spawns(json!([{"agent_type": "talker"}]))])]);
    stage.child = Box::new(move |_| ChildOutcome::Completed {
        value: value.clone(),
    });
    stage.completes();
    assert_eq!(told(&stage)[0]["value"], said);
}

#[test]
fn refused_entries_are_answered_in_their_place() {
    let mut setup = parent(&["pub/a@2", "b"]);
    setup.spawnable[1].params = Some(Arc::new(Schema::new(
        json!({"type": "object", "required": ["depth"]}),
    )));
    let agents = json!([
        {"agent_type": "c"},
        {"agent_type": "a", "prompt": "go"},
        {"agent_type": "look"},
        "what",
        {"prompt": "nobody"},
        {"agent_type": "b"},
        {"agent_type": "b", "params": 3},
        {"agent_type": "b", "params": "{\"depth\": 1}"},
        {"agent_type": "p/b"},
    ]);
    let mut stage = stage(setup, [says([spawns(agents), call("end_turn", json!({}))])]);
    stage.completes();
    assert_eq!(
        stage.questions.len(),
        2,
        "the model must hear what was refused"
    );
    let asked: Vec<&str> = stage.children[0]
        .iter()
        .map(|ask| ask.agent.as_str())
        .collect();
    assert_eq!(asked, ["pub/a@2", "b"]);
    // The last result is end_turn's, so the call's own is looked up in the message.
    let messages = stage.questions[1].messages.clone();
    let Part::ToolResult(result) = &messages.last().unwrap().parts[0] else {
        panic!("{messages:?}");
    };
    let why: Vec<String> = result
        .output
        .as_array()
        .unwrap()
        .iter()
        .map(|told| {
            told["value"]["errorMessage"]
                .as_str()
                .unwrap_or("-")
                .to_owned()
        })
        .collect();
    assert_eq!(
        why,
        [
            "Agent \"c\" is not available to spawn",
            "-",
            "\"look\" is a tool, not an agent. Call it directly as a tool instead of wrapping it in spawn_agents.",
            "Invalid agent entry",
            "Agent entry missing agent_type",
            "Invalid params for agent b: \"depth\" is a required property",
            "Invalid params for agent b: they must be an object",
            "-",
            "Agent \"p/b\" is not available to spawn",
        ]
    );
}

#[test]
fn no_entries_are_no_children_and_no_list_is_an_error() {
    let mut empty = stage(parent(&["a"]), [says([spawns(json!([]))])]);
    empty.completes();
    assert!(empty.children.is_empty());
    assert_eq!(told(&empty), json!([]));
    for wrong in [json!({}), json!({"agents": 3}), json!({"agents": "a"})] {
        let mut stage = stage(parent(&["a"]), [says([call("spawn_agents", wrong)])]);
        stage.completes();
        let heard = stage.last_heard();
        assert!(
            heard.last().unwrap().contains("`agents` must be a list"),
            "{heard:?}"
        );
    }
    let forms = [
        json!({"agents": {"agent_type": "a"}}),
        json!({"agents": "[{\"agent_type\": \"a\"}]"}),
    ];
    for form in forms {
        let mut stage = stage(parent(&["a"]), [says([call("spawn_agents", form.clone())])]);
        stage.completes();
        assert_eq!(stage.children.len(), 1, "{form}");
    }
}

#[test]
fn an_agent_is_called_by_its_name_as_if_it_were_a_tool() {
    let setup = parent(&["pub/cost-check@3"]);
    let model = [says([
        call(
            "cost_check",
            json!({"prompt": "Costs?", "params": {"depth": 1}}),
        ),
        call("cost-check", json!({"prompt": "Again?", "depth": 2})),
    ])];
    let mut stage = stage(setup, model);
    stage.completes();
    let offered: Vec<&str> = stage.questions[0]
        .tools
        .iter()
        .map(|tool| tool.name.as_str())
        .collect();
    assert_eq!(
        offered,
        ["end_turn", "look", "write", "spawn_agents", "cost_check"]
    );
    let asked = &stage.children[0];
    assert_eq!(
        asked.len(),
        2,
        "calls that follow one another spawn together"
    );
    assert_eq!(asked[0].agent, "pub/cost-check@3");
    assert_eq!(asked[0].params, *json!({"depth": 1}).as_object().unwrap());
    assert_eq!(asked[1].params, *json!({"depth": 2}).as_object().unwrap());
    assert_ne!(asked[0].call, asked[1].call);
}

#[test]
fn who_may_not_spawn_cannot() {
    let mut setup = parent(&["a"]);
    setup.tool_names.clear();
    let model = [says([
        spawns(json!([{"agent_type": "a"}])),
        call("a", json!({})),
    ])];
    let mut stage = stage(setup, model);
    stage.completes();
    assert!(stage.children.is_empty());
    assert!(
        stage
            .last_heard()
            .last()
            .unwrap()
            .contains("spawn_agents failed")
    );
}

#[test]
fn number_and_depth_of_children_are_bounded() {
    let mut setup = parent(&["a"]);
    setup.limits.children = 3;
    let two = || {
        says([spawns(
            json!([{"agent_type": "a", "prompt": "1"}, {"agent_type": "a", "prompt": "2"}]),
        )])
    };
    let mut played = stage(setup.clone(), [two(), two()]);
    played.completes();
    let asked: Vec<usize> = played.children.iter().map(Vec::len).collect();
    assert_eq!(asked, [2, 1]);
    let why = told(&played)[1]["value"]["errorMessage"].clone();
    assert!(
        why.as_str().unwrap().contains("3 is the most here"),
        "{why}"
    );

    setup.limits.depth = 0;
    let mut stage = stage(setup, [two()]);
    stage.completes();
    assert!(stage.children.is_empty());
    assert!(
        told(&stage)[0]["value"]["errorMessage"]
            .as_str()
            .unwrap()
            .contains("too deep")
    );
}

#[test]
fn tools_before_a_spawn_are_carried_out_before_it_and_those_after_it_after() {
    let model = [says([
        call("write", json!({"at": "1"})),
        spawns(json!([{"agent_type": "a"}])),
        call("write", json!({"at": "2"})),
    ])];
    let mut conversation = Conversation::new(parent(&["a"]));
    conversation
        .answer(Answer::Model(Ok(model[0].clone())))
        .unwrap();
    let mut kinds = Vec::new();
    loop {
        let answer = match conversation.next() {
            Ask::Tools(calls) => {
                kinds.push(format!("tools {}", calls[0].input["at"]));
                Answer::Tools(Vec::new())
            }
            Ask::Children(asks) => {
                kinds.push(format!("children of {}", asks[0].call));
                Answer::Children(Vec::new())
            }
            _ => break,
        };
        conversation.answer(answer).unwrap();
    }
    assert_eq!(
        kinds,
        ["tools \"1\"", "children of call-1-1", "tools \"2\""]
    );
}

#[test]
fn a_child_that_begins_with_the_history_hears_all_before_its_call() {
    let mut setup = parent(&["a"]);
    setup.spawnable[0].include_history = true;
    let model = [
        says([text("I look."), call("look", json!({"at": "1"}))]),
        says([
            text("Now you."),
            call("look", json!({"at": "2"})),
            spawns(json!([{"agent_type": "a"}])),
            call("look", json!({"at": "3"})),
            text("Unheard."),
        ]),
    ];
    let mut stage = stage(setup, model);
    stage.completes();
    let history = &stage.children[0][0].history;
    let heard: Vec<String> = history.iter().map(|each| short(each)).collect();
    assert_eq!(
        heard[2..],
        [
            "assistant: I look. | calls look({\"at\":\"1\"})",
            "tool: look gave {\"ok\":\"look\"}",
            "assistant: Now you. | calls look({\"at\":\"2\"})",
            "tool: look gave {\"ok\":\"look\"}",
            "user: Subagent A has been spawned.",
        ]
    );
    assert_whole(history);
}
