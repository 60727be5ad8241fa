//! Flows as people write them.

use super::*;

fn flow(steps: serde_json::Value) -> Flow {
    let json = serde_json::json!({"id": 1, "start": "a", "steps": steps});
    serde_json::from_value(json).expect("the flow can be read")
}

#[test]
fn json_comes_back_as_it_was_and_defaults_are_filled_in() {
    let flow = flow(serde_json::json!({
        "a": {"type": "menu", "prompt": {"type": "speech", "text": "Press 1."}, "keys": {"1": "b"}, "on_no_input": "b"},
        "b": {"type": "queue", "group": 3, "on_no_agents": "c", "on_timeout": "c"},
        "c": {"type": "voicemail", "prompt": {"type": "sound", "name": "greeting"}}
    }));
    let Step::Menu(menu) = &flow.steps["a"] else {
        panic!("not a menu")
    };
    assert_eq!(
        (menu.retries, menu.wait_seconds, menu.interruptible),
        (3, 5, true)
    );
    let Step::Queue(queue) = &flow.steps["b"] else {
        panic!("not a queue")
    };
    assert_eq!(
        (queue.max_wait_seconds, &queue.music),
        (60, &Prompt::music())
    );
    let Step::Voicemail(voicemail) = &flow.steps["c"] else {
        panic!("not a mailbox")
    };
    assert_eq!(voicemail.max_seconds, 120);
    let text = serde_json::to_string(&flow).expect("can be written");
    assert_eq!(
        serde_json::from_str::<Flow>(&text).expect("can be read again"),
        flow
    );
    assert_eq!(flow.validate(), []);
}

#[test]
fn unknown_settings_are_refused() {
    let json = serde_json::json!({"id": 1, "start": "a", "steps": {"a": {"type": "goto", "target": "a", "retires": 2}}});
    let error = serde_json::from_value::<Flow>(json).expect_err("a misspelt setting");
    assert!(error.to_string().contains("retires"), "{error}");
}

#[test]
fn all_problems_are_told_together() {
    let flow = flow(serde_json::json!({
        "a": {"type": "menu", "prompt": {"type": "speech", "text": " "}, "keys": {"x": "gone"}},
        "b": {"type": "voicemail", "prompt": {"type": "sound", "name": "g"}, "max_seconds": 0}
    }));
    let a = || "a".to_owned();
    assert_eq!(
        flow.validate(),
        [
            FlowProblem::DanglingTarget {
                step: a(),
                target: "gone".to_owned()
            },
            FlowProblem::EmptyPrompt { step: a() },
            FlowProblem::NotAKey {
                step: a(),
                key: 'x'
            },
            FlowProblem::NoTimeForMessage {
                step: "b".to_owned()
            },
            FlowProblem::EmptyBranch {
                step: a(),
                branch: "on_no_input"
            },
            FlowProblem::Unreachable {
                step: "b".to_owned()
            },
        ]
    );
}

#[test]
fn loops_need_a_pause() {
    let looped = flow(serde_json::json!({
        "a": {"type": "goto", "target": "b"},
        "b": {"type": "queue", "group": 1, "on_no_agents": "a", "on_timeout": "a"}
    }));
    let steps = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(
        looped.validate(),
        [FlowProblem::LoopWithoutWaiting { steps }]
    );
    let paused = flow(serde_json::json!({
        "a": {"type": "play", "prompt": {"type": "sound", "name": "sorry"}, "next": "b"},
        "b": {"type": "queue", "group": 1, "on_no_agents": "a", "on_timeout": "a"}
    }));
    assert_eq!(paused.validate(), []);
}
