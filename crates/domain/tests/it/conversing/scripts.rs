//! Scripts: what each yield does, what the script is resumed with, and what bounds it.

use super::*;

fn scripted(tool_names: &[&str]) -> Setup {
    Setup {
        script: true,
        ..agent(tool_names)
    }
}

fn results(resume: &Resume) -> &[Value] {
    &resume.tool_result
}

/// The messages that the script knows at each resume, as its sandbox puts them together, with the first state that stays.
fn histories(setup: Setup, resumes: &[Resume]) -> Vec<Vec<Value>> {
    let begun = Conversation::new(setup).start();
    let news = std::iter::once(&begun.news).chain(resumes.iter().map(|resume| &resume.news));
    let mut known: Vec<Value> = Vec::new();
    let known = news.map(|news| {
        assert!(news.kept <= known.len());
        known.truncate(news.kept);
        let more = news.messages.iter();
        known.extend(more.map(|text| serde_json::from_str::<Value>(text).unwrap()));
        known.clone()
    });
    known.skip(1).collect()
}

fn roles(messages: &[Value]) -> Vec<&str> {
    let roles = messages.iter().map(|message| message["role"].as_str());
    roles.map(Option::unwrap).collect()
}

#[test]
fn a_step_is_one_turn_of_the_model_and_says_whether_it_would_have_ended() {
    let model = [says([call("look", json!({}))]), says([text("Done.")])];
    let mut stage = stage(scripted(&[]), model).script([Yield::Step, Yield::Step, Yield::Done]);
    stage.completes();
    let complete: Vec<bool> = stage
        .resumes
        .iter()
        .map(|resume| resume.steps_complete)
        .collect();
    assert_eq!(complete, [false, false, true]);
    assert!(
        stage
            .resumes
            .iter()
            .all(|resume| resume.tool_result.is_empty())
    );
    assert_eq!(stage.questions.len(), 2);
}

#[test]
fn a_script_keeps_the_conversation_alive_though_the_model_ends_its_turn() {
    let ends = || says([call("end_turn", json!({}))]);
    let mut stage =
        stage(scripted(&["end_turn"]), [ends(), ends()]).script([Yield::Step, Yield::Step]);
    stage.completes();
    assert_eq!(stage.questions.len(), 2);
}

#[test]
fn step_all_lets_the_model_go_on_until_it_ends_and_then_the_script() {
    let model = [
        says([call("look", json!({"at": "1"}))]),
        says([call("look", json!({"at": "2"}))]),
        says([text("Seen.")]),
        says([text("And again.")]),
    ];
    let mut stage = stage(scripted(&[]), model).script([Yield::StepAll, Yield::Step]);
    stage.completes();
    assert_eq!((stage.questions.len(), stage.resumes.len()), (4, 3));
    assert!(stage.resumes[1].steps_complete);
}

#[test]
fn a_script_that_returns_at_once_asks_no_model() {
    let mut setup = scripted(&[]);
    setup.output = Output::AllMessages;
    let mut stage = stage(setup, []).script([Yield::Done]);
    stage.completes();
    assert!(stage.questions.is_empty());
}

#[test]
fn a_script_calls_every_tool_and_sees_what_it_gave() {
    let mut setup = scripted(&[]);
    setup.tools[1].for_model = false;
    setup.spawnable = vec![spawnable("helper-a")];
    let spawn = json!({"agents": [{"agent_type": "helper-a", "prompt": "Go."}]});
    let mut stage = stage(setup, []).script([
        yields("write", json!({"at": "1"})),
        yields("spawn_agents", spawn),
        yields("helper_a", json!({"prompt": "By name."})),
        yields("think_deeply", json!({"thought": "Hm."})),
        Yield::Done,
    ]);
    let output = stage.completes();
    assert_eq!(
        results(&stage.resumes[1]),
        [json!({"type": "json", "value": {"ok": "write"}})]
    );
    assert_eq!(
        results(&stage.resumes[2])[0]["value"][0]["value"]["value"]["did"],
        "Go."
    );
    assert_eq!(
        results(&stage.resumes[3])[0]["value"][0]["value"]["value"]["did"],
        "By name."
    );
    assert_eq!(
        results(&stage.resumes[4])[0]["value"]["message"],
        "Thought logged."
    );
    assert_eq!(
        output["value"].as_array().unwrap().len(),
        8,
        "four calls, four results: {output}"
    );
    assert!(stage.questions.is_empty());
}

#[test]
fn a_call_may_stay_out_of_the_history() {
    let quiet = Yield::Tool {
        tool_name: "write".to_owned(),
        input: json!({}),
        include_tool_call: false,
    };
    let mut stage = stage(scripted(&[]), []).script([quiet, Yield::Step]);
    stage.completes();
    assert_eq!(
        stage.last_heard(),
        ["user: <user_message>Review the plan.</user_message>"]
    );
}

#[test]
fn what_a_script_cannot_call_it_is_told_and_the_pair_stays_whole() {
    let mut stage = stage(scripted(&[]), []).script([
        yields("fly", json!({})),
        yields("write", json!({"at": 1})),
        Yield::Step,
    ]);
    stage.completes();
    for resume in &stage.resumes[1..3] {
        let told = resume.tool_result[0]["value"]["errorMessage"]
            .as_str()
            .unwrap();
        assert!(
            told.contains("not currently available") || told.contains("Invalid parameters"),
            "{told}"
        );
    }
    assert_eq!(stage.last_heard().len(), 5, "{:?}", stage.last_heard());
}

#[test]
fn end_turn_ends_the_script() {
    let mut stage = stage(scripted(&[]), []).script([
        Yield::StepText("Bye.".to_owned()),
        yields("end_turn", json!({})),
        yields("write", json!({})),
    ]);
    stage.completes();
    assert!(stage.tools.is_empty());
}

#[test]
fn a_script_hands_in_the_output() {
    let mut setup = scripted(&[]);
    setup.output = structured(json!({"type": "object", "required": ["score"]}));
    let script = [
        yields("set_output", json!({"grade": 1})),
        yields("set_output", json!({"score": 1})),
        Yield::Done,
    ];
    let mut played = stage(setup.clone(), []).script(script);
    assert_eq!(played.completes(), json!({"score": 1}));
    let told = &results(&played.resumes[1])[0]["value"]["message"];
    assert!(
        told.as_str()
            .unwrap()
            .starts_with("Output validation error"),
        "{told}"
    );

    setup.models.clear();
    let told = stage(setup, []).script([Yield::Done]).fails();
    assert!(told.starts_with("invalid-output"), "{told}");
}

#[test]
fn text_is_said_and_the_calls_in_it_are_carried_out_in_order() {
    let said = "I look.\n<codebuff_tool_call>\n{\"cb_tool_name\": \"look\", \"at\": \"1\"}\n</codebuff_tool_call>\nThen:\n<codebuff_tool_call>\n{\"cb_tool_name\": \"think_deeply\", \"thought\": \"Hm.\"}\n</codebuff_tool_call>\n<codebuff_tool_call>\n{oops\n</codebuff_tool_call>\nSo.";
    let mut stage =
        stage(scripted(&[]), []).script([Yield::StepText(said.to_owned()), Yield::Step]);
    stage.completes();
    let values: Vec<String> = results(&stage.resumes[1])
        .iter()
        .map(|result| result["value"].to_string())
        .collect();
    assert_eq!(
        values[..2],
        ["{\"ok\":\"look\"}", "{\"message\":\"Thought logged.\"}"]
    );
    assert!(values[2].contains("it is no JSON"), "{values:?}");
    let said = &stage.last_heard()[1];
    assert!(
        said.starts_with("assistant: I look. | calls look({\"at\":\"1\"}) | Then: | calls think_deeply({\"thought\":\"Hm.\"}) | calls unknown("),
        "{said}"
    );
    assert!(said.ends_with("| So."), "{said}");
}

#[test]
fn alternatives_are_asked_for_apart_from_the_history() {
    let model = [says([text("[\"a\", \"b\"]")]), says([text("Just one.")])];
    let mut played = stage(scripted(&["end_turn"]), model).script([
        Yield::GenerateN(2),
        Yield::GenerateN(1),
        Yield::Step,
    ]);
    played.completes();
    let question = &played.questions[0];
    assert_eq!((question.alternatives, question.tools.len()), (Some(2), 0));
    assert!(
        question
            .messages
            .last()
            .unwrap()
            .plain()
            .contains("JSON array of 2 strings")
    );
    let alternatives = |at: usize| played.resumes[at].n_responses.clone();
    assert_eq!(alternatives(0), None);
    assert_eq!(alternatives(1).unwrap(), ["a", "b"]);
    assert_eq!(alternatives(2).unwrap(), ["Just one."]);
    assert_eq!(alternatives(3), None, "they are of one resume only");
    assert_eq!(played.last_heard().len(), 1, "{:?}", played.last_heard());

    let told = stage(scripted(&[]), [says([text("Two, then.")])])
        .script([Yield::GenerateN(2)])
        .fails();
    assert!(told.starts_with("alternatives"), "{told}");
    for n in [0, 1_000_000] {
        let told = stage(scripted(&[]), [])
            .script([Yield::GenerateN(n)])
            .fails();
        assert!(
            told.contains("Invalid yield value from handleSteps in agent reviewer"),
            "{told}"
        );
    }
}

#[test]
fn a_script_that_fails_fails_the_attempt() {
    let mut stage = stage(scripted(&[]), [])
        .script([yields("look", json!({}))])
        .script_fails("x is not defined");
    let End::Failed(failure) = stage.play() else {
        panic!("completed");
    };
    assert_eq!(failure.class, domain::agent::retry::ErrorClass::Fatal);
    assert!(
        failure
            .message
            .contains("Error executing handleSteps for agent reviewer: x is not defined"),
        "{failure:?}"
    );
}

#[test]
fn a_script_that_never_lets_the_model_speak_is_stopped() {
    let mut setup = scripted(&[]);
    setup.limits.script_steps = 50;
    let mut stage = stage(setup, []).script((0..1_000).map(|_| yields("look", json!({}))));
    let told = stage.fails();
    assert!(told.starts_with("script-limit"), "{told}");
    assert_eq!(stage.tools.len(), 50);
}

#[test]
fn a_script_is_bound_by_the_limit_of_turns() {
    let mut setup = scripted(&[]);
    setup.limits.turns = 2;
    let mut stage = stage(setup, []).script((0..1_000).map(|n| {
        if n % 2 == 0 {
            Yield::Step
        } else {
            Yield::GenerateN(1)
        }
    }));
    assert!(stage.fails().starts_with("turn-limit"));
    assert_eq!(stage.questions.len(), 2);
}

#[test]
fn a_script_rewrites_the_history() {
    let messages = json!([
        {"role": "user", "content": "Anew.", "tags": ["USER_PROMPT"]},
        {"role": "assistant", "content": [{"type": "text", "text": "Yes."}]},
        {"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "x", "toolName": "look", "input": {}}]},
        {"role": "tool", "toolCallId": "x", "toolName": "look", "content": [{"type": "json", "value": 3}]},
        {"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "y", "toolName": "look", "input": {}}]},
        {"role": "user", "content": "For now.", "timeToLive": "agentStep"},
    ]);
    let mut played = stage(scripted(&[]), []).script([
        yields("set_messages", json!({"messages": messages})),
        yields("add_message", json!({"role": "user", "content": "Added."})),
        Yield::Step,
        Yield::Step,
    ]);
    played.completes();
    let kept = [
        "user: Anew.",
        "assistant: Yes. | calls look({})",
        "tool: look gave 3",
    ];
    let first: Vec<String> = played.questions[0]
        .messages
        .iter()
        .map(|each| short(each))
        .collect();
    assert_eq!(first[..3], kept);
    assert_eq!(first[3..], ["user: For now.", "user: Added."]);
    let second = played.last_heard();
    assert_eq!(second[..3], kept);
    assert_eq!(
        second[3..],
        [
            "user: Added.",
            "assistant: Done.",
            "user: <system>Go on.</system>"
        ]
    );

    let mut wrong = stage(scripted(&[]), []).script([
        yields(
            "set_messages",
            json!({"messages": [{"role": "boss", "content": "?"}]}),
        ),
        Yield::Step,
    ]);
    wrong.completes();
    let told = results(&wrong.resumes[1])[0]["value"]["errorMessage"].clone();
    assert!(
        told.as_str().unwrap().contains("message 0: `role` must be"),
        "{told}"
    );
    assert_eq!(wrong.last_heard().len(), 1, "the history is as it was");
}

#[test]
fn a_script_sees_the_state_and_can_give_it_back() {
    let mut setup = scripted(&["end_turn"]);
    setup.parent = Some("parent/1".to_owned());
    setup.system = Some(Arc::from("You review."));
    let model = [says([
        thought("Hm."),
        text("I look."),
        call("look", json!({"at": "1"})),
    ])];
    let mut played = stage(setup.clone(), model.clone()).script([Yield::Step]);
    played.completes();
    let start = Conversation::new(setup.clone()).start();
    let state = &start.agent_state;
    assert_eq!(state["agentId"], "reviewer/1");
    assert_eq!(
        (&state["runId"], &state["parentId"]),
        (&json!("reviewer/1"), &json!("parent/1"))
    );
    assert_eq!(state["systemPrompt"], "You review.");
    assert!(state["toolDefinitions"]["look"]["inputSchema"].is_object());
    let news = &played.resumes[1].news;
    assert_eq!(news.state["output"], Value::Null);
    assert!(news.state["contextTokenCount"].as_u64().unwrap() > 10);
    let history = histories(setup.clone(), &played.resumes)[1].clone();
    assert_eq!(
        roles(&history),
        ["user", "assistant", "assistant", "assistant", "tool"]
    );

    let back = yields("set_messages", json!({"messages": history}));
    let mut again = stage(setup, model).script([Yield::Step, back, Yield::Step]);
    again.completes();
    assert_eq!(
        again.last_heard()[1..],
        [
            "assistant: thinks Hm. | I look. | calls look({\"at\":\"1\"})",
            "tool: look gave {\"ok\":\"look\"}"
        ]
    );
}

#[test]
fn what_a_script_starts_with_is_the_whole_state() {
    let setup = Setup {
        params: json!({"depth": 1}).as_object().unwrap().clone(),
        ..scripted(&[])
    };
    let start = Conversation::new(setup).start();
    assert_eq!(start.prompt.as_deref(), Some("Review the plan."));
    assert_eq!(start.params["depth"], 1);
    assert_eq!(start.model.as_deref(), Some("scripted"));
    assert_eq!(start.news.state["agentType"], "reviewer");
    assert_eq!(start.news.state["stepsRemaining"], 20);
    assert_eq!((start.news.kept, start.news.messages.len()), (0, 1));
}

/// However long a history grows, a step carries what is new in it and nothing else.
#[test]
fn each_message_is_told_a_script_once() {
    let mut setup = scripted(&[]);
    setup.limits.script_steps = 10_000;
    let mut played =
        stage(setup, []).script((0..1_000).map(|n| yields("look", json!({"at": n.to_string()}))));
    played.tool = Box::new(|_| (json!("x".repeat(1_000)), false));
    played.completes();
    for (n, resume) in played.resumes.iter().enumerate().skip(1) {
        let news = &resume.news;
        assert_eq!((news.kept, news.messages.len()), (2 * n - 1, 2));
        assert!(news.messages[1].contains("xxx"));
    }
}

/// What is told in pieces is what the model is shown, also where messages go, are cut or are replaced.
#[test]
fn a_script_that_was_told_in_pieces_knows_the_whole_history() {
    let mut setup = scripted(&["add_message", "set_messages"]);
    setup.limits.window = Some(1_500);
    let passing = json!({"role": "user", "content": "For now.", "timeToLive": "agentStep"});
    let anew = json!({"messages": [{"role": "user", "content": "Anew."}]});
    let script = [
        yields("add_message", passing.clone()),
        yields("look", json!({"at": "1"})),
        Yield::Step,
        yields("look", json!({"at": "2"})),
        Yield::Step,
        yields("set_messages", anew),
        yields("add_message", passing),
        Yield::Step,
    ];
    let mut played = stage(setup.clone(), []).script(script);
    played.tool = Box::new(|_| (json!("x".repeat(5_000)), false));
    played.completes();
    let known = histories(setup, &played.resumes);
    let said: Vec<Vec<&str>> = known.iter().map(|known| roles(known)).collect();
    let looked = ["user", "assistant", "tool"];
    assert_eq!(said[0], ["user"]);
    assert_eq!(said[1], ["user", "user"], "with what passes");
    assert_eq!(said[2], ["user", "user", "assistant", "tool"]);
    assert_eq!(said[3], [&looked[..], &["assistant"]].concat(), "it passed");
    assert_eq!(
        said[4],
        [&looked[..], &["assistant", "assistant", "tool"]].concat()
    );
    let long = |at: usize, message: usize| known[at][message].to_string().len() > 5_000;
    assert!(long(2, 3) && !long(3, 2), "what was cut is known as cut");
    assert!(long(4, 5) && !long(5, 5));
    assert_eq!(said[6], ["user"]);
    assert_eq!(known[6][0]["content"][0]["text"], "Anew.");
    assert_eq!(said[7], ["user", "user"]);
    assert_eq!(said[8], ["user", "assistant"]);
}
