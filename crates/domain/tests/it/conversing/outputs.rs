//! What a conversation ends with: the last message, all messages, or what was handed in.

use super::*;

fn scored() -> Setup {
    Setup {
        output: structured(json!({
            "type": "object",
            "required": ["score", "why"],
            "properties": {"score": {"type": "number"}, "why": {"type": "string"}}
        })),
        ..agent(&["set_output", "end_turn"])
    }
}

fn hands_in(input: Value) -> ModelAnswer {
    says([call("set_output", input)])
}

fn good() -> Value {
    json!({"score": 7, "why": "It is dated."})
}

#[test]
fn what_is_handed_in_is_the_output() {
    let mut played = stage(scored(), [hands_in(good())]);
    assert_eq!(played.completes(), good());
    assert_eq!(played.questions.len(), 1);
    let twice = [says([
        call("set_output", json!({"score": 1, "why": "?"})),
        call("set_output", good()),
    ])];
    assert_eq!(
        stage(scored(), twice).completes(),
        good(),
        "the last one counts"
    );
}

#[test]
fn an_output_may_lie_in_data() {
    assert_eq!(
        stage(scored(), [hands_in(json!({"data": good()}))]).completes(),
        good()
    );
    let mut open = scored();
    open.output = Output::Structured(None);
    let lone = [hands_in(json!({"data": {"any": 1}}))];
    assert_eq!(stage(open.clone(), lone).completes(), json!({"any": 1}));
    let beside = json!({"data": {"any": 1}, "more": 2});
    assert_eq!(stage(open, [hands_in(beside.clone())]).completes(), beside);
}

#[test]
fn a_misfit_is_told_with_the_fewer_faults_and_then_reminded_of_once() {
    let wrong = json!({"data": {"score": "high", "why": "It is dated."}});
    let mut played = stage(scored(), [hands_in(wrong.clone()), hands_in(good())]);
    assert_eq!(played.completes(), good());
    let heard = played.last_heard();
    assert!(
        heard[heard.len() - 2].contains("Output validation error: /score: \\\"high\\\" is not"),
        "{heard:?}"
    );
    assert!(
        heard.last().unwrap().contains("Call set_output now"),
        "{heard:?}"
    );

    let mut stage = stage(scored(), (0..9).map(|_| hands_in(wrong.clone())));
    let End::Failed(failure) = stage.play() else {
        panic!("completed");
    };
    assert_eq!(
        failure.class,
        domain::agent::retry::ErrorClass::InvalidOutput
    );
    assert!(failure.message.starts_with("invalid-output"), "{failure:?}");
    assert_eq!(stage.questions.len(), 2);
}

#[test]
fn a_misfit_leaves_the_output_that_there_is() {
    let both = says([
        call("set_output", good()),
        call("set_output", json!({"score": 1})),
    ]);
    assert_eq!(stage(scored(), [both]).completes(), good());
}

#[test]
fn no_output_is_reminded_of_once_and_is_then_a_failure() {
    let mut forgetful = stage(scored(), [says([text("Done.")]), hands_in(good())]);
    assert_eq!(forgetful.completes(), good());
    let mut never = stage(scored(), []);
    assert!(never.fails().starts_with("invalid-output"));
    assert_eq!(never.questions.len(), 2);
    let reminders = never.last_heard();
    let reminders = reminders
        .iter()
        .filter(|said| said.contains("set_output now"));
    assert_eq!(reminders.count(), 1);
}

#[test]
fn an_output_that_is_said_counts_where_it_fits() {
    let fenced = format!("```json\n{}\n```", good());
    for said in [good().to_string(), fenced] {
        let mut stage = stage(scored(), [says([text(&said)])]);
        assert_eq!(stage.completes(), good(), "{said}");
    }
    let mut without = scored();
    without.tool_names.clear();
    let mut stage = stage(
        without,
        [
            says([text("Seven, I think.")]),
            says([text(&good().to_string())]),
        ],
    );
    assert_eq!(stage.completes(), good());
    assert!(
        stage.questions[0].output_schema.is_some(),
        "the provider may hold it to that"
    );
    assert!(
        stage
            .last_heard()
            .last()
            .unwrap()
            .contains("Answer now with one JSON value")
    );
}

#[test]
fn what_is_wrong_with_an_output_that_is_said_is_told() {
    let mut without = scored();
    without.tool_names.clear();
    let wrong = json!({"score": "seven", "why": "It is dated."}).to_string();
    let mut stage = stage(
        without,
        [says([text(&wrong)]), says([text(&good().to_string())])],
    );
    assert_eq!(stage.completes(), good());
    let reminder = stage.last_heard().last().unwrap().clone();
    assert!(
        reminder.contains("Output validation error") && reminder.contains("score"),
        "{reminder}"
    );
}

#[test]
fn an_output_must_pass_the_agents_check_too() {
    let mut setup = scored();
    setup.check = Some(domain::agent::conversation::setup::OutputCheck(Arc::new(
        |output| match output["why"] == "It is dated." {
            true => Ok(()),
            false => Err("nothing is at /why".to_owned()),
        },
    )));
    let wrong = json!({"score": 7, "why": "So."});
    let mut stage = stage(setup, [hands_in(wrong), hands_in(good())]);
    assert_eq!(stage.completes(), good());
    let heard = stage.last_heard();
    assert!(
        heard[heard.len() - 2].contains("Output validation error: nothing is at /why"),
        "{heard:?}"
    );
}

#[test]
fn the_model_is_shown_its_outputs_schema_as_the_tools_own() {
    let mut stage = stage(scored(), [hands_in(good())]);
    stage.completes();
    let question = &stage.questions[0];
    let tool = question
        .tools
        .iter()
        .find(|tool| tool.name == "set_output")
        .unwrap();
    assert_eq!(tool.input_schema["required"], json!(["score", "why"]));
    let instructions = question.messages.last().unwrap().plain();
    assert!(instructions.contains("## Output Schema"), "{instructions}");
}

#[test]
fn the_last_message_is_the_last_block_with_its_calls() {
    let model = [
        says([text("I look."), call("look", json!({"at": "1"}))]),
        says([thought("Good."), text("All is well.")]),
    ];
    let output = stage(agent(&[]), model).completes();
    let expected = json!({"type": "lastMessage", "value": [
        {"role": "assistant", "content": [{"type": "text", "text": "I look."}]},
        {"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "call-1-0", "toolName": "look", "input": {"at": "1"}}]},
        {"role": "tool", "toolCallId": "call-1-0", "toolName": "look", "content": [{"type": "json", "value": {"ok": "look"}}]},
        {"role": "assistant", "content": [{"type": "text", "text": "All is well."}]},
    ]});
    assert_eq!(output, expected);
}

#[test]
fn all_messages_are_what_was_said_after_the_prompt() {
    let mut setup = agent(&[]);
    setup.output = Output::AllMessages;
    setup.instructions = Some("Be short.".to_owned());
    let parents = Message::text(Role::User, "The parent's prompt.");
    setup.history = vec![Arc::new(parents)];
    let output = stage(setup, [says([text("All is well.")])]).completes();
    assert_eq!(output["type"], "allMessages");
    let said: Vec<&str> = output["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["content"][0]["text"].as_str().unwrap())
        .collect();
    assert_eq!(said, ["Be short.", "All is well."]);
}

#[test]
fn what_is_worth_keeping_is_what_was_handed_in_or_said_so_far() {
    let mut structured = Conversation::new(scored());
    assert_eq!(structured.so_far(), None);
    let said = says([call("set_output", good()), call("look", json!({}))]);
    structured.answer(Answer::Model(Ok(said))).unwrap();
    assert_eq!(structured.so_far(), Some(good()));

    let mut said = Conversation::new(agent(&[]));
    assert_eq!(said.so_far(), None);
    let looks = says([text("I look."), call("look", json!({}))]);
    said.answer(Answer::Model(Ok(looks))).unwrap();
    said.answer(Answer::Tools(Vec::new())).unwrap();
    let kept = said.so_far().unwrap();
    assert_eq!(kept["value"][0]["content"][0]["text"], "I look.");
}

#[test]
fn calls_without_a_word_are_not_worth_keeping() {
    let looks = |pieces: Vec<Piece>| {
        let looking = call("look", json!({"at": format!("{pieces:?}")}));
        says(pieces.into_iter().chain([looking]))
    };
    let mut wordless = Conversation::new(agent(&["set_output"]));
    let silent = [
        looks(Vec::new()),
        looks(vec![thought("Where may it be?")]),
        looks(vec![text("<think>Here?</think>\n")]),
    ];
    for answer in silent {
        wordless.answer(Answer::Model(Ok(answer))).unwrap();
        wordless.answer(Answer::Tools(Vec::new())).unwrap();
        assert_eq!(wordless.so_far(), None);
    }
    let mut speaks = wordless.clone();
    let answer = looks(vec![text("Nowhere.")]);
    speaks.answer(Answer::Model(Ok(answer))).unwrap();
    speaks.answer(Answer::Tools(Vec::new())).unwrap();
    let kept = speaks.so_far().unwrap().to_string();
    assert!(kept.contains("Nowhere."), "{kept}");

    let hands_in = says([
        call("set_output", json!({"found": 1})),
        call("look", json!({})),
    ]);
    wordless.answer(Answer::Model(Ok(hands_in))).unwrap();
    wordless.answer(Answer::Tools(Vec::new())).unwrap();
    let kept = wordless.so_far().unwrap().to_string();
    assert!(kept.contains(r#"{"found":1}"#), "{kept}");
}
