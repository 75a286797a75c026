//! Properties: any answers lead to an end within bounds, no call loses its result, and a replay asks the same.

use super::*;
use crate::chance::{Chance, rounds};

const TOOLS: [&str; 6] = [
    "set_output",
    "end_turn",
    "think_deeply",
    "add_subgoal",
    "set_messages",
    "spawn_agents",
];

fn any_setup(chance: &mut Chance) -> Setup {
    let tools: Vec<&str> = TOOLS.into_iter().filter(|_| chance.once_in(2)).collect();
    let mut setup = agent(&tools);
    setup.spawnable = vec![spawnable("a"), spawnable("pub/b-c@1")];
    setup.spawnable[0].include_history = chance.once_in(2);
    setup.script = chance.once_in(3);
    if chance.once_in(4) {
        setup.tool_names.push("task_completed".to_owned());
    }
    setup.output = match chance.below(3) {
        0 => Output::LastMessage,
        1 => Output::AllMessages,
        _ => structured(json!({"type": "object", "required": ["score"]})),
    };
    setup.limits.turns = chance.below(12) as u32;
    setup.limits.script_steps = 20;
    setup.limits.children = chance.below(5) as u32;
    setup.limits.depth = chance.below(3) as u32;
    setup.limits.window = [None, Some(300), Some(2_000)][chance.below(3)];
    setup
}

fn any_input(chance: &mut Chance) -> Value {
    let options = [
        json!({}),
        json!(null),
        json!([1]),
        json!("{\"at\": \"1\"}"),
        json!({"at": chance.below(4).to_string()}),
        json!({"at": 1}),
        json!({"score": 1}),
        json!({"data": {"score": 2}}),
        json!({"id": "x", "objective": "y"}),
        json!({"thought": "Hm."}),
        json!({"prompt": "Go.", "params": {"a": 1}}),
        json!({"agents": [{"agent_type": "a"}, {"agent_type": "b_c", "prompt": "Go."}, {"agent_type": "?"}, 3]}),
        json!({"agents": []}),
        json!({"messages": [{"role": "user", "content": "Anew."}, {"role": "assistant", "content": [
            {"type": "tool-call", "toolCallId": "x", "toolName": "look", "input": {}}]}]}),
        json!({"role": "assistant", "content": "I said so."}),
    ];
    chance.pick(&options).clone()
}

fn any_name(chance: &mut Chance) -> &'static str {
    const MORE: [&str; 9] = [
        "look",
        "write",
        "fly",
        "",
        "a",
        "b_c",
        "add_message",
        "update_subgoal",
        "task_completed",
    ];
    if chance.once_in(2) {
        chance.pick::<&str>(&TOOLS)
    } else {
        chance.pick::<&str>(&MORE)
    }
}

fn any_answer(chance: &mut Chance) -> ModelAnswer {
    let pieces = (0..chance.below(5)).map(|_| match chance.below(6) {
        0 => text("Well."),
        1 => text(["", " ", "<think>", "[\"a\"]", "{\"score\": 3}"][chance.below(5)]),
        2 => thought("Hm."),
        3 => bad_call([None, Some("look")][chance.below(2)], "{"),
        _ => {
            let name = any_name(chance);
            call(name, any_input(chance))
        }
    });
    let pieces: Vec<Piece> = pieces.collect();
    let finish = [
        Finish::Stop,
        Finish::Calls,
        Finish::Stop,
        Finish::Length,
        Finish::Unknown,
        Finish::Filtered,
    ];
    let finish = if chance.once_in(3) {
        *chance.pick(&finish)
    } else {
        Finish::Stop
    };
    cut(finish, pieces)
}

fn any_yield(chance: &mut Chance) -> Result<Yield, String> {
    Ok(match chance.below(12) {
        0 => Yield::Done,
        1 if chance.once_in(4) => return Err("It broke.".to_owned()),
        1 | 2 => Yield::Step,
        3 => Yield::StepAll,
        4 => Yield::GenerateN(chance.below(3) as u32),
        5 => Yield::StepText(
            "So.\n<codebuff_tool_call>\n{\"cb_tool_name\": \"look\"}\n</codebuff_tool_call>"
                .to_owned(),
        ),
        _ => Yield::Tool {
            tool_name: any_name(chance).to_owned(),
            input: any_input(chance),
            include_tool_call: chance.once_in(2),
        },
    })
}

fn any_results(chance: &mut Chance, calls: &[ToolCall]) -> Vec<ToolResult> {
    let given = calls.iter().filter(|_| !chance.once_in(8));
    let mut results: Vec<ToolResult> = given
        .map(|call| ToolResult {
            call: call.id.clone(),
            name: call.name.clone(),
            output: json!("x".repeat(50)),
            failed: call.id.ends_with('1'),
        })
        .collect();
    if chance.once_in(2) {
        results.reverse();
    }
    results
}

/// What is answered to an ask, whatever it is; nothing at the end.
fn any_reply(chance: &mut Chance, ask: &Ask) -> Option<Answer> {
    Some(match ask {
        Ask::Model(_) => Answer::Model(Ok(any_answer(chance))),
        Ask::Tools(calls) => Answer::Tools(any_results(chance, calls)),
        Ask::Children(asks) => {
            let ends = (0..asks.len() + chance.below(2)).map(|_| match chance.below(3) {
                0 => ChildOutcome::Completed {
                    value: json!({"did": 1}),
                },
                1 => ChildOutcome::Partial {
                    value: json!(null),
                    message: "Half.".to_owned(),
                },
                _ => ChildOutcome::Failed {
                    message: "No.".to_owned(),
                },
            });
            Answer::Children(ends.collect())
        }
        Ask::Script(_) => Answer::Script(any_yield(chance)),
        Ask::End(_) => return None,
    })
}

#[test]
fn any_answers_lead_to_an_end_within_bounds_and_no_call_loses_its_result() {
    let mut completed = 0;
    for seed in 0..rounds(3_000) {
        let mut chance = Chance::of(seed);
        let setup = any_setup(&mut chance);
        let limits = setup.limits;
        let mut conversation = Conversation::new(setup.clone());
        let (mut questions, mut children, mut asks) = (0, 0, 0);
        let mut answers = Vec::new();
        let mut asked = Vec::new();
        loop {
            let ask = conversation.next();
            assert_eq!(ask, conversation.next(), "asked again it says the same");
            match &ask {
                Ask::Model(question) => {
                    questions += 1;
                    assert_whole(&question.messages);
                }
                Ask::Children(asks) => {
                    children += asks.len();
                    for ask in asks.iter().filter(|ask| !ask.history.is_empty()) {
                        assert_whole(&ask.history);
                    }
                }
                _ => {}
            }
            asks += 1;
            assert!(asks < 2_000, "seed {seed} does not end");
            let reply = any_reply(&mut chance, &ask);
            asked.push(ask);
            let Some(reply) = reply else { break };
            answers.push(reply.clone());
            conversation.answer(reply).unwrap();
        }
        assert!(
            questions <= limits.turns,
            "seed {seed}: {questions} questions"
        );
        assert!(children <= limits.children as usize && (limits.depth > 0 || children == 0));
        completed += usize::from(matches!(asked.last(), Some(Ask::End(End::Completed(_)))));

        // What was recorded leads a fresh one through the same asks.
        let recorded = serde_json::to_string(&answers).unwrap();
        let answers: Vec<Answer> = serde_json::from_str(&recorded).unwrap();
        let mut again = Conversation::new(setup);
        let mut replayed = Vec::new();
        for answer in answers {
            replayed.push(again.next());
            again.answer(answer).unwrap();
        }
        replayed.push(again.next());
        assert!(
            replayed == asked,
            "seed {seed} asks something else the second time"
        );
    }
    assert!(
        completed > 100,
        "only {completed} ended well: the chances are wrong"
    );
}

#[test]
fn what_was_not_asked_for_changes_nothing() {
    let mut conversation = Conversation::new(agent(&[]));
    let before = conversation.next();
    for answer in [
        Answer::Tools(Vec::new()),
        Answer::Children(Vec::new()),
        Answer::Script(Ok(Yield::Done)),
    ] {
        let refused = conversation.answer(answer).unwrap_err();
        assert_eq!(refused.asked, "a model's answer");
        assert_eq!(conversation.next(), before);
    }
    conversation
        .answer(Answer::Model(Ok(says([text("Done.")]))))
        .unwrap();
    let end = conversation.next();
    conversation
        .answer(Answer::Model(Ok(says([text("More.")]))))
        .unwrap_err();
    assert_eq!(conversation.next(), end);
}
