//! When a conversation ends: quiet turns, think-only turns, `task_completed`, `end_turn`, errors, cut answers.

use super::*;

fn turns(tool_names: &[&str], model: impl IntoIterator<Item = ModelAnswer>) -> usize {
    let mut stage = stage(agent(tool_names), model);
    stage.completes();
    stage.questions.len()
}

#[test]
fn a_turn_that_only_says_something_ends_the_conversation() {
    assert_eq!(turns(&[], [says([text("All is well.")])]), 1);
}

#[test]
fn a_call_keeps_it_going_until_its_result_was_heard() {
    let model = [says([text("I look."), call("look", json!({}))])];
    assert_eq!(turns(&[], model), 2);
}

#[test]
fn quiet_tools_do_not_keep_it_going() {
    let quiet = [
        ("think_deeply", json!({"thought": "Hm."})),
        ("create_plan", json!({"plan": "First."})),
        ("suggest_followups", json!({"followups": []})),
    ];
    for (name, input) in quiet {
        let model = [says([text("So."), call(name, input)])];
        assert_eq!(turns(&[name], model), 1, "{name}");
    }
    let model = [says([call(
        "add_subgoal",
        json!({"id": "a", "objective": "b"}),
    )])];
    assert_eq!(
        turns(&["add_subgoal"], model),
        2,
        "a new subgoal is worked on"
    );
}

#[test]
fn a_turn_of_thoughts_alone_does_not_end_it() {
    for only in [
        "<think>Hm.</think>",
        " <think>a</think>\n<think>b",
        "<think>",
    ] {
        assert_eq!(turns(&[], [says([text(only)])]), 2, "{only}");
    }
    assert_eq!(turns(&[], [says([thought("Hm.")])]), 2);
    assert_eq!(turns(&[], [says([text("<think>Hm.</think> Yes.")])]), 1);
}

#[test]
fn who_must_say_that_all_is_completed_goes_on_until_then() {
    let model = [
        says([text("I think I am done.")]),
        says([call("end_turn", json!({}))]),
        says([text("Now."), call("task_completed", json!({}))]),
    ];
    assert_eq!(turns(&["task_completed"], model.clone()), 3);
    let mut stage = stage(agent(&["task_completed"]), model);
    stage.completes();
    assert!(
        stage
            .last_heard()
            .iter()
            .any(|said| said.contains("end_turn failed")),
        "it may not call end_turn: {:?}",
        stage.last_heard()
    );
}

#[test]
fn end_turn_ends_it_whatever_else_is_called_and_what_follows_is_still_carried_out() {
    let both = says([
        call("end_turn", json!({})),
        call("write", json!({"at": "1"})),
    ]);
    let mut stage = stage(agent(&["end_turn"]), [both]);
    stage.completes();
    assert_eq!((stage.questions.len(), stage.tools.len()), (1, 1));
}

#[test]
fn a_tool_may_end_the_turn() {
    let mut setup = agent(&[]);
    setup.tools[1].ends_turn = true;
    let mut stage = stage(setup, [says([call("write", json!({}))])]);
    stage.completes();
    assert_eq!(stage.questions.len(), 1);
}

#[test]
fn an_error_always_keeps_it_going() {
    let ends = || call("end_turn", json!({}));
    for wrong in [
        call("fly", json!({})),
        call("write", json!({"at": 1})),
        call("write", json!([])),
        bad_call(Some("write"), "{\"at\": "),
        bad_call(None, "{"),
        call("set_output", json!({})),
    ] {
        let model = [says([wrong.clone(), ends()]), says([ends()])];
        assert_eq!(turns(&["end_turn"], model), 2, "{wrong:?}");
    }
    let mut stage = stage(
        agent(&["end_turn"]),
        [says([call("write", json!({})), ends()])],
    );
    stage.tool = Box::new(|_| (json!({"errorMessage": "The disk is full."}), true));
    stage.completes();
    assert_eq!(stage.questions.len(), 2, "what failed must be heard of");
}

#[test]
fn an_empty_answer_ends_it_and_is_no_output() {
    let told = stage(agent(&[]), [says([])]).fails();
    assert!(told.starts_with("no-answer"), "{told}");
    let model = [says([text("I look."), call("look", json!({}))]), says([])];
    let output = stage(agent(&[]), model).completes();
    assert_eq!(output["value"].as_array().unwrap().len(), 3, "{output}");
}

#[test]
fn the_limit_of_turns_is_a_failure_and_never_a_success() {
    let mut setup = agent(&[]);
    setup.limits.turns = 3;
    let looks = |at: &str| says([text("On."), call("look", json!({"at": at}))]);
    let mut stage = stage(setup, [looks("1"), looks("2"), looks("3")]);
    let told = stage.fails();
    assert!(told.starts_with("turn-limit"), "{told}");
    assert_eq!((stage.questions.len(), stage.tools.len()), (3, 3));
}

#[test]
fn an_answer_that_was_only_thought_is_asked_for_again_three_times() {
    let thinks = || cut(Finish::Length, [thought("Hm, hm.")]);
    let model = [thinks(), thinks(), thinks(), says([text("Well.")])];
    let mut heard = stage(agent(&[]), model);
    heard.completes();
    assert_eq!(heard.questions.len(), 4);
    assert!(heard.last_heard().last().unwrap().contains("Think less"));

    let mut stage = stage(agent(&[]), (0..9).map(|_| thinks()));
    let told = stage.fails();
    assert!(told.starts_with("output-limit"), "{told}");
    assert_eq!(stage.questions.len(), 4);
}

#[test]
fn an_answer_that_was_cut_goes_on_and_is_one_output() {
    let model = [
        cut(Finish::Length, [text("The first half, ")]),
        says([text("and the second.")]),
    ];
    let mut stage = stage(agent(&[]), model);
    let output = stage.completes();
    let texts: Vec<&str> = output["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["content"][0]["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["The first half, ", "and the second."]);
    assert!(stage.last_heard().last().unwrap().contains("Go on exactly"));
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_again_and_may_succeed_another_time() {
    let breaks = || cut(Finish::Unknown, [text("Well, ")]);
    let mut stage = stage(agent(&[]), (0..9).map(|_| breaks()));
    let End::Failed(failure) = stage.play() else {
        panic!("completed");
    };
    assert_eq!(failure.class, domain::agent::retry::ErrorClass::Transient);
    assert!(failure.message.starts_with("interrupted"), "{failure:?}");
    assert_eq!(stage.questions.len(), 4);
    let known = ModelAnswer {
        usage: Usage::of_tokens(3),
        ..breaks()
    };
    assert_eq!(
        turns(&[], [known]),
        1,
        "a provider that tells usage ended its answer"
    );
}

#[test]
fn a_call_that_was_cut_counts_as_a_cut_answer() {
    let cut_call = |at: usize| {
        cut(
            Finish::Length,
            [bad_call(Some("write"), &format!("{{\"at\": {at}"))],
        )
    };
    let mut stage = stage(agent(&[]), (0..9).map(cut_call));
    let told = stage.fails();
    assert!(told.starts_with("output-limit"), "{told}");
    assert_eq!(stage.questions.len(), 4);
}

#[test]
fn an_answer_that_the_provider_holds_back_is_no_output() {
    let told = stage(agent(&[]), [cut(Finish::Filtered, [text("Well")])]).fails();
    assert!(told.starts_with("filtered"), "{told}");
}
