//! The agent's state over many steps: its messages are carried in once, and each state has those of its time. What a script logs
//! costs no more than what is kept of it.

use domain::agent::script::{News, Resume, Yield};
use script::error::ScriptError;
use serde_json::json;

use crate::play::{given, nothing, started};

/// A resume that tells these messages behind the first `kept` of those before, and how many they are as the output.
fn telling(kept: usize, messages: &[&str]) -> Resume {
    let state = json!({"output": messages.len()});
    let messages = messages
        .iter()
        .map(|text| json!({"text": text}).to_string());
    Resume {
        news: News {
            state: state.as_object().unwrap().clone(),
            kept,
            messages: messages.collect(),
        },
        ..nothing()
    }
}

/// What a script tells of what it has read.
fn read(yielded: Result<Yield, ScriptError>) -> String {
    match yielded {
        Ok(Yield::Tool { input, .. }) => input["read"].as_str().unwrap().to_owned(),
        other => panic!("no call: {other:?}"),
    }
}

/// Whether a state is looked at at once or only after many others, it holds the messages that there were in its time.
#[test]
fn each_state_has_the_messages_of_its_time() {
    let mut script = started(
        "const seen = [agentState]; let read = '';
         while (true) {
            const given = yield { toolName: 'tell', input: { read } };
            seen.push(given.agentState);
            const looked = { last: seen.slice(-1), all: seen }[given.toolResult[0]?.value] ?? [];
            read = looked.map(state => state.messageHistory.map(message => message.text).join('') + (state.output ?? '')).join(' ');
         }",
    );
    read(script.resume(&nothing()));
    for (look, told, says) in [
        ("", telling(0, &["a", "b"]), ""),
        ("", telling(2, &["c"]), ""),
        ("", telling(1, &["d", "e"]), ""),
        ("last", telling(3, &[]), "ade0"),
        ("last", telling(3, &["f"]), "adef1"),
        ("last", telling(0, &["g"]), "g1"),
        (
            "all",
            telling(1, &["h"]),
            " ab2 abc1 ade2 ade0 adef1 g1 gh1",
        ),
    ] {
        let resume = Resume {
            news: told.news,
            ..given(json!(look))
        };
        assert_eq!(read(script.resume(&resume)), says);
    }
}

/// A script may do to the list what it likes: the next state has all messages again.
#[test]
fn what_a_script_does_to_its_list_is_gone_with_the_next_state() {
    let mut script = started(
        "let given = yield 'STEP';
         const { messageHistory } = given.agentState; messageHistory.pop(); messageHistory.reverse(); messageHistory.length = 1;
         Array.prototype.slice = null; JSON.parse = null;
         given = yield 'STEP';
         yield { toolName: 'tell', input: { read: given.agentState.messageHistory.map(message => message.text).join() } }",
    );
    assert_eq!(script.resume(&nothing()), Ok(Yield::Step));
    assert_eq!(
        script.resume(&telling(0, &["a", "b", "c"])),
        Ok(Yield::Step)
    );
    assert_eq!(read(script.resume(&telling(3, &["d"]))), "a,b,c,d");
}

/// With 8 MB of memory: who keeps a thousand states of 2 MB, and looks at the last message of each, has every message once.
#[test]
fn a_long_history_is_carried_in_once() {
    let mut script = started(
        "const states = []; let chars = 0;
         while (true) {
            const { agentState } = yield { toolName: 'tell', input: { read: String(chars) } };
            states.push(agentState);
            if (states.length % 100 === 0) chars += agentState.messageHistory.at(-1).text.length;
         }",
    );
    script.resume(&nothing()).unwrap();
    let text = "x".repeat(2_000);
    for n in 0..1_000 {
        let chars = read(script.resume(&telling(n, &[&text])));
        assert_eq!(chars, (2_000 * ((n + 1) / 100)).to_string());
    }
}

/// To put a line into words is work that fuel does not see.
#[test]
fn what_nobody_will_read_of_a_log_is_not_put_into_words() {
    let mut script = started(
        "let shown = 0; const value = { toJSON() { shown++; return 'x'; } };
         yield 'STEP';
         for (let i = 0; i < 100_000; i++) logger.info(value);
         yield { toolName: 'tell', input: { read: String(shown) } };",
    );
    script.resume(&nothing()).unwrap();
    assert_eq!(read(script.resume(&nothing())), "200");
    let lines = script.take_lines();
    assert_eq!(
        (lines.len(), lines[200].text.as_str()),
        (201, "99800 more lines")
    );
}
