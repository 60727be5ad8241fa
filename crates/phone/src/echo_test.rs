//! The echo test of a phone: it dials an extension, hears itself, and is told how well that went.

use std::collections::BTreeMap;

use calls::flow::{Echo, Flow, Prompt, Step};
use model::FlowId;

/// What a phone dials for it.
const EXTENSIONS: [&str; 2] = ["*43", "echo"];
/// How long one hears oneself.
const SECONDS: u32 = 20;

/// Whether a phone dialled the echo test.
pub(crate) fn is_dialled(to: &str) -> bool {
    EXTENSIONS.contains(&to)
}

/// What it consists of.
pub(crate) fn flow() -> Flow {
    let echo = Step::Echo(Echo {
        name: String::new(),
        prompt: Prompt::echo(),
        seconds: SECONDS,
        next: None,
    });
    Flow {
        id: FlowId(0),
        start: "echo".to_owned(),
        steps: BTreeMap::from([("echo".to_owned(), echo)]),
    }
}
