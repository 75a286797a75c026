//! A history that is too long for its model: the oldest is left out, never a prompt, never half of a pair.

use super::*;
use domain::agent::conversation::setup::Recorded;
use domain::agent::message::Purpose;

fn narrow(tokens: u64) -> Setup {
    let mut setup = agent(&[]);
    setup.limits.window = Some(tokens);
    setup.limits.turns = 100;
    setup.instructions = Some("Keep this in mind.".to_owned());
    setup
}

/// A turn with a call whose result is long.
fn looks(at: usize) -> ModelAnswer {
    says([
        text(&format!("Turn {at}.")),
        call("look", json!({"at": at.to_string()})),
    ])
}

fn long_results(mut stage: Stage) -> Stage {
    stage.tool = Box::new(|call| {
        (
            json!({"at": call.input["at"], "text": "x".repeat(400)}),
            false,
        )
    });
    stage
}

#[test]
fn the_oldest_turns_are_left_out_with_one_note_and_the_prompts_stay() {
    let mut stage = long_results(stage(narrow(1_500), (0..30).map(looks)));
    stage.completes();
    let heard = stage.last_heard();
    assert!(heard[0].contains("Review the plan."), "{heard:?}");
    assert!(heard[1].contains("Keep this in mind."));
    assert_eq!(
        heard[2],
        "user: <system>Previous message(s) omitted due to length.</system>"
    );
    assert!(heard[3].starts_with("assistant: Turn "), "{heard:?}");
    assert!(heard[heard.len() - 2].contains("Turn 29."));
    let notes = stage.questions.iter().map(|question| {
        let omitted = |each: &&Arc<Message>| each.purpose == Some(Purpose::Omitted);
        question.messages.iter().filter(omitted).count()
    });
    let notes: Vec<usize> = notes.collect();
    assert!(notes.iter().all(|notes| *notes <= 1), "{notes:?}");
    assert!(notes.contains(&0) && notes.contains(&1));
    for question in &stage.questions {
        let size = serde_json::to_string(&question.messages).unwrap().len();
        assert!(size < 6_500, "1,500 tokens are 4,500 bytes: {size}");
    }
}

#[test]
fn what_is_left_out_stays_so_for_several_turns() {
    let mut stage = long_results(stage(narrow(3_000), (0..60).map(looks)));
    stage.completes();
    let begins: Vec<String> = stage
        .questions
        .iter()
        .map(|question| short(&question.messages[question.messages.len().min(4) - 1]))
        .collect();
    let changes = begins.windows(2).filter(|two| two[0] != two[1]).count();
    assert!(
        changes < 25,
        "the beginning changed {changes} times in 60 turns"
    );
    assert!(changes > 2, "but it must change");
}

#[test]
fn what_is_left_out_for_the_model_is_still_part_of_what_was_said() {
    let mut setup = narrow(1_500);
    setup.output = Output::AllMessages;
    let mut stage = long_results(stage(setup, (0..30).map(looks)));
    let output = stage.completes();
    assert_eq!(output["value"].as_array().unwrap().len(), 1 + 30 * 3 + 1);
}

#[test]
fn recorded_messages_give_way_before_the_conversation_does() {
    let said = (0..50).map(|at| {
        Arc::new(Message::text(
            Role::Assistant,
            format!("{at} {}", "y".repeat(200)),
        ))
    });
    let mut setup = narrow(2_000);
    setup.recorded = vec![Recorded {
        agent: "risk-matrix".to_owned(),
        messages: said.collect(),
    }];
    let mut stage = stage(setup, [looks(1)]);
    stage.completes();
    let heard = stage.last_heard();
    assert!(heard[0].contains("omitted due to length"), "{heard:?}");
    assert!(heard[1].starts_with("user: <recorded agent=\"risk-matrix\" role=\"assistant\">"));
    assert!(
        heard.iter().any(|said| said.contains("49 yyy")),
        "the newest are kept"
    );
    assert!(heard.iter().any(|said| said.contains("Review the plan.")));
    assert!(heard.iter().any(|said| said.contains("look gave")));
}

#[test]
fn prompts_that_do_not_fit_are_a_failure_that_says_so() {
    let mut setup = narrow(100);
    setup.instructions = Some("z".repeat(2_000));
    let mut stage = stage(setup, []);
    let told = stage.fails();
    assert!(
        told.starts_with("context-window") && told.contains("takes in 100"),
        "{told}"
    );
    assert!(stage.questions.is_empty());
}

/// Several long results at one time: each is shown in part, and the conversation goes on.
#[test]
fn what_the_last_calls_gave_is_cut_where_it_alone_is_too_long() {
    let both = says([
        call("look", json!({"at": "a"})),
        call("look", json!({"at": "b"})),
        call("look", json!({"at": "c"})),
    ]);
    let mut stage = stage(narrow(2_000), [both]);
    stage.tool = Box::new(|call| match call.input["at"].as_str() {
        Some("b") => (json!("short"), false),
        _ => (json!({"text": "ä".repeat(8_000)}), false),
    });
    stage.completes();
    let question = stage.questions.last().unwrap();
    let size = serde_json::to_string(&question.messages).unwrap().len();
    assert!(size < 7_000, "2,000 tokens are 6,000 bytes: {size}");
    let results = question.messages.iter().flat_map(|message| &message.parts);
    let results: Vec<&Value> = results
        .filter_map(|part| match part {
            Part::ToolResult(result) => Some(&result.output),
            _ => None,
        })
        .collect();
    assert_eq!(*results[1], json!("short"));
    for long in [results[0], results[2]] {
        assert!(long["text"].as_str().unwrap().contains("ää"), "{long}");
        assert!(long["note"].as_str().unwrap().contains("of 16"), "{long}");
    }
    assert_whole(&question.messages);
}

#[test]
fn room_is_left_for_the_answer() {
    let mut setup = narrow(1_500);
    setup.max_tokens = Some(700);
    let mut stage = long_results(stage(setup, (0..10).map(looks)));
    stage.completes();
    for question in &stage.questions {
        let size = serde_json::to_string(&question.messages).unwrap().len();
        assert!(size < 4_500, "800 tokens are 3,200 bytes: {size}");
    }
}
