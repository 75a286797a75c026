//! Calls: in the order said, each answered once; what cannot be called is told, and repeated calls are stopped.

use super::*;

#[test]
fn text_and_calls_keep_their_order_and_results_follow_in_that_order() {
    let said = says([
        text("First. "),
        call("write", json!({"at": "1"})),
        text("Then. "),
        call("look", json!({"at": "2"})),
        text("Last."),
    ]);
    let mut stage = stage(agent(&[]), [said]);
    stage.completes();
    assert_eq!(
        stage.last_heard()[1..],
        [
            "assistant: First.  | calls write({\"at\":\"1\"}) | Then.  | calls look({\"at\":\"2\"}) | Last.",
            "tool: write gave {\"ok\":\"write\"} | look gave {\"ok\":\"look\"}",
        ]
    );
    assert_eq!(stage.tools.len(), 1, "they are asked for together");
}

#[test]
fn results_are_matched_by_call_and_a_missing_one_is_a_failure() {
    let said = says([
        call("write", json!({"at": "1"})),
        call("look", json!({"at": "2"})),
    ]);
    let mut conversation = Conversation::new(agent(&[]));
    conversation.answer(Answer::Model(Ok(said))).unwrap();
    let Ask::Tools(calls) = conversation.next() else {
        panic!("{:?}", conversation.next());
    };
    let result = |call: &str, output: Value| ToolResult {
        call: call.to_owned(),
        name: "?".to_owned(),
        output,
        failed: false,
    };
    let results = vec![
        result("stray", json!(0)),
        result(&calls[1].id, json!("seen")),
    ];
    conversation.answer(Answer::Tools(results)).unwrap();
    let last = conversation.messages().pop().unwrap();
    assert_eq!(
        short(&last),
        "tool: write failed: {\"errorMessage\":\"The tool gave no result.\"} | look gave \"seen\""
    );
}

#[test]
fn calls_behind_the_results_that_came_are_asked_for_again() {
    let said = says([
        call("write", json!({"at": "1"})),
        call("write", json!({"at": "2"})),
    ]);
    let mut conversation = Conversation::new(agent(&[]));
    conversation.answer(Answer::Model(Ok(said))).unwrap();
    for place in ["1", "2"] {
        let Ask::Tools(calls) = conversation.next() else {
            panic!("{:?}", conversation.next());
        };
        assert_eq!(calls[0].input, json!({"at": place}), "{calls:?}");
        let result = ToolResult {
            call: calls[0].id.clone(),
            name: calls[0].name.clone(),
            output: json!(place),
            failed: false,
        };
        conversation.answer(Answer::Tools(vec![result])).unwrap();
    }
    let last = conversation.messages().pop().unwrap();
    assert_eq!(short(&last), "tool: write gave \"1\" | write gave \"2\"");
    assert!(matches!(conversation.next(), Ask::Model(_)));
}

#[test]
fn what_cannot_be_called_is_told_beside_what_can() {
    let said = says([
        call("fly", json!({"to": "the moon"})),
        call("look", json!({"at": "1"})),
        call("write", json!({"at": 7})),
        call("", json!({})),
        bad_call(Some("write"), "{\"at\": \"un"),
        bad_call(None, "what?"),
    ]);
    let mut stage = stage(agent(&[]), [said]);
    stage.completes();
    assert_eq!(stage.tools[0].len(), 1, "only one can be carried out");
    let results = &stage.last_heard()[2];
    for told in [
        "fly failed: {\"errorMessage\":\"Tool `fly` is not currently available.",
        "look gave {\"ok\":\"look\"}",
        "write failed: {\"errorMessage\":\"Invalid parameters for write: /at: 7 is not of type \\\"string\\\"\"}",
        "unknown failed: {\"errorMessage\":\"Tool `` is not currently available.",
        "write failed: {\"errorMessage\":\"Invalid call of write: expected value",
        "unknown failed: {\"errorMessage\":\"Invalid call of unknown: expected value",
    ] {
        assert!(results.contains(told), "{told}\nin {results}");
    }
    let made = &stage.last_heard()[1];
    assert!(
        made.contains("calls write({\"unreadable\":\"{\\\"at\\\": \\\"un\"})"),
        "{made}"
    );
}

#[test]
fn a_tool_that_only_scripts_may_call_is_not_there_for_the_model() {
    let mut setup = agent(&["end_turn"]);
    setup.tools[1].for_model = false;
    let mut stage = stage(setup, [says([call("write", json!({}))])]);
    stage.completes();
    assert!(stage.tools.is_empty());
    let offered: Vec<&str> = stage.questions[0]
        .tools
        .iter()
        .map(|tool| tool.name.as_str())
        .collect();
    assert_eq!(offered, ["end_turn", "look"]);
}

#[test]
fn input_that_comes_as_text_is_read() {
    let input = json!(json!(json!({"at": "1"}).to_string()).to_string());
    let mut played = stage(agent(&[]), [says([call("look", input)])]);
    played.completes();
    assert_eq!(played.tools[0][0].input, json!({"at": "1"}));

    let mut stage = stage(agent(&[]), [says([call("look", Value::Null)])]);
    stage.completes();
    assert_eq!(stage.tools[0][0].input, json!({}));
}

#[test]
fn a_servers_tool_is_reached_by_both_its_names() {
    let mut setup = agent(&[]);
    setup.tools.push(tool("files__read"));
    let said = [says([
        call("files/read", json!({})),
        call("files__read", json!({"at": "1"})),
    ])];
    let mut stage = stage(setup, said);
    stage.completes();
    let names: Vec<&str> = stage.tools[0]
        .iter()
        .map(|call| call.name.as_str())
        .collect();
    assert_eq!(names, ["files__read", "files__read"]);
}

#[test]
fn a_call_that_changes_nothing_may_be_carried_out_while_the_answer_streams() {
    let mut conversation = Conversation::new(agent(&["end_turn"]));
    let early = conversation.early(1, "look", &json!({"at": "1"})).unwrap();
    for (name, input) in [
        ("write", json!({})),
        ("look", json!({"at": 1})),
        ("fly", json!({})),
        ("end_turn", json!({})),
    ] {
        assert_eq!(conversation.early(0, name, &input), None, "{name}");
    }
    let said = says([bad_call(None, "?"), call("look", json!({"at": "1"}))]);
    conversation.answer(Answer::Model(Ok(said))).unwrap();
    assert_eq!(conversation.next(), Ask::Tools(vec![early]));
}

#[test]
fn of_more_calls_than_an_answer_may_make_the_first_are_carried_out_and_the_rest_is_told_once() {
    let looks = (0..600).map(|at| call("look", json!({"at": at.to_string()})));
    let mut conversation = Conversation::new(agent(&[]));
    assert!(conversation.early(255, "look", &json!({})).is_some());
    assert_eq!(conversation.early(256, "look", &json!({})), None);
    let pieces = looks.chain([text("That is a lot.")]);
    let said = says(pieces);
    conversation.answer(Answer::Model(Ok(said))).unwrap();
    let Ask::Tools(asked) = conversation.next() else {
        panic!("{:?}", conversation.next());
    };
    assert_eq!((asked.len(), &asked[255].input["at"]), (256, &json!("255")));
    conversation.answer(Answer::Tools(Vec::new())).unwrap();
    let heard = conversation.messages();
    let [.., made, results] = &heard[..] else {
        panic!("{heard:?}");
    };
    assert_eq!(results.parts.len(), 257);
    assert_eq!(made.parts.len(), 258, "what was said behind them is kept");
    let told = short(results);
    assert_eq!(told.matches("at most 256 calls").count(), 1, "{told}");
}

#[test]
fn subgoals_are_kept() {
    let model = [
        says([call(
            "add_subgoal",
            json!({"id": "a", "objective": "Read."}),
        )]),
        says([
            call(
                "update_subgoal",
                json!({"id": "a", "status": "COMPLETE", "log": "Read it."}),
            ),
            call("update_subgoal", json!({"id": "b"})),
        ]),
    ];
    let mut stage = stage(agent(&["add_subgoal", "update_subgoal"]), model);
    stage.completes();
    let state = stage.conversation.start().news.state;
    assert_eq!(
        state["agentContext"],
        json!({"a": {"objective": "Read.", "status": "COMPLETE", "plan": null, "logs": ["Read it."]}})
    );
}

#[test]
fn the_same_call_over_and_over_is_told_once_and_then_ends_the_attempt() {
    let mut setup = agent(&[]);
    setup.limits.repeats = 3;
    setup.limits.turns = 100;
    let looks = || says([call("look", json!({"at": "1", "deep": {"a": 1, "b": 2}}))]);
    let mut again = stage(setup.clone(), (0..50).map(|_| looks()));
    let told = again.fails();
    assert!(
        told.starts_with("repeated-call") && told.contains("`look`"),
        "{told}"
    );
    assert_eq!((again.questions.len(), again.tools.len()), (4, 2));
    let heard = again.last_heard();
    assert!(
        heard.last().unwrap().contains("3 times in a row"),
        "{heard:?}"
    );

    let at_once = says((0..9).map(|_| call("look", json!({}))));
    assert!(
        stage(setup.clone(), [at_once])
            .fails()
            .starts_with("repeated-call")
    );

    let changing = (0..20).map(|n| says([call("look", json!({"at": n.to_string()}))]));
    stage(setup, changing).completes();
}

#[test]
fn a_model_that_never_writes_json_is_stopped() {
    let mut setup = agent(&["set_output"]);
    setup.output = structured(json!({"type": "object"}));
    let wrong = |n: usize| says([bad_call(Some("set_output"), &format!("{{score: {n}"))]);
    let mut other = stage(setup.clone(), (0..50).map(wrong));
    assert!(other.fails().starts_with("turn-limit"));
    let mut same = stage(setup, (0..50).map(|_| wrong(1)));
    let told = same.fails();
    assert!(
        told.starts_with("repeated-call") && told.contains("`set_output`"),
        "{told}"
    );
}
