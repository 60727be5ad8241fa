//! What is wrong with a flow, all of it at once.

use std::collections::{BTreeMap, BTreeSet};

use super::{Flow, Prompt, Step};

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Calls work, though likely not as meant.
    Warning,
    /// The flow can't be used.
    Error,
}

/// Something wrong with a flow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowProblem {
    /// The first step doesn't exist.
    #[error("the flow starts at step {target:?}, which does not exist")]
    StartMissing {
        /// The key that leads nowhere.
        target: String,
    },
    /// A branch leads nowhere.
    #[error("step {step:?} leads to step {target:?}, which does not exist")]
    DanglingTarget {
        /// The step with the branch.
        step: String,
        /// The key that leads nowhere.
        target: String,
    },
    /// Callers can go round without ever hearing or waiting for anything.
    #[error("steps {} lead into each other without a pause", steps.join(", "))]
    LoopWithoutWaiting {
        /// The steps of the loop.
        steps: Vec<String>,
    },
    /// A menu's key isn't one a phone has.
    #[error("menu {step:?} has the key {key:?}; phones have 0-9, * and #")]
    NotAKey {
        /// The menu.
        step: String,
        /// The key.
        key: char,
    },
    /// A text to be said is empty, or a sound has no name.
    #[error("step {step:?} has a prompt with nothing in it")]
    EmptyPrompt {
        /// The step.
        step: String,
    },
    /// A message of no length.
    #[error("voicemail {step:?} leaves no time for a message")]
    NoTimeForMessage {
        /// The step.
        step: String,
    },
    /// A menu without any key.
    #[error("menu {step:?} has no keys")]
    MenuWithoutKeys {
        /// The menu.
        step: String,
    },
    /// Nothing leads to a step.
    #[error("nothing leads to step {step:?}")]
    Unreachable {
        /// The step.
        step: String,
    },
    /// A branch was left empty, so the call just ends there.
    #[error("step {step:?} has nothing after {branch:?}: the call ends there")]
    EmptyBranch {
        /// The step.
        step: String,
        /// The branch.
        branch: &'static str,
    },
}

impl FlowProblem {
    /// How much it matters.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::StartMissing { .. }
            | Self::DanglingTarget { .. }
            | Self::LoopWithoutWaiting { .. }
            | Self::NotAKey { .. }
            | Self::EmptyPrompt { .. }
            | Self::NoTimeForMessage { .. } => Severity::Error,
            Self::MenuWithoutKeys { .. } | Self::Unreachable { .. } | Self::EmptyBranch { .. } => {
                Severity::Warning
            }
        }
    }
}

impl Flow {
    /// Everything that is wrong, errors first. A flow without errors never gets a caller stuck; a flow
    /// with errors still ends every call, only earlier than meant.
    #[must_use]
    pub fn validate(&self) -> Vec<FlowProblem> {
        let mut problems = Vec::new();
        if !self.steps.contains_key(&self.start) {
            problems.push(FlowProblem::StartMissing {
                target: self.start.clone(),
            });
        }
        for (key, step) in &self.steps {
            self.check_step(key, step, &mut problems);
        }
        self.check_loops(&mut problems);
        self.check_reach(&mut problems);
        problems.sort_by_key(|problem| std::cmp::Reverse(problem.severity()));
        problems
    }

    fn check_step(&self, key: &str, step: &Step, problems: &mut Vec<FlowProblem>) {
        for (branch, target) in branches(step) {
            match target {
                Some(target) if !self.steps.contains_key(target) => {
                    problems.push(FlowProblem::DanglingTarget {
                        step: key.to_owned(),
                        target: target.to_owned(),
                    });
                }
                Some(_) => {}
                None => problems.push(FlowProblem::EmptyBranch {
                    step: key.to_owned(),
                    branch,
                }),
            }
        }
        let empty = step.prompts().into_iter().any(|prompt| match prompt {
            Prompt::Speech { text, .. } => text.trim().is_empty(),
            Prompt::Sound { name } => name.trim().is_empty(),
        });
        if empty {
            problems.push(FlowProblem::EmptyPrompt {
                step: key.to_owned(),
            });
        }
        match step {
            Step::Menu(menu) => {
                if menu.keys.is_empty() {
                    problems.push(FlowProblem::MenuWithoutKeys {
                        step: key.to_owned(),
                    });
                }
                let strange = menu
                    .keys
                    .keys()
                    .filter(|key| !matches!(key, '0'..='9' | '*' | '#'));
                problems.extend(strange.map(|&wrong| FlowProblem::NotAKey {
                    step: key.to_owned(),
                    key: wrong,
                }));
            }
            Step::Voicemail(voicemail) if voicemail.max_seconds == 0 => {
                problems.push(FlowProblem::NoTimeForMessage {
                    step: key.to_owned(),
                });
            }
            _ => {}
        }
    }

    /// Loops of steps that can all be left in no time. Whoever closes such a loop is reported with
    /// the way round it.
    fn check_loops(&self, problems: &mut Vec<FlowProblem>) {
        let mut clean = BTreeSet::new();
        for key in self.steps.keys() {
            let mut path = Vec::new();
            if let Some(steps) = self.find_loop(key, &mut path, &mut clean) {
                clean.extend(
                    self.steps
                        .keys()
                        .filter(|key| steps.contains(key))
                        .map(String::as_str),
                );
                problems.push(FlowProblem::LoopWithoutWaiting { steps });
            }
        }
    }

    fn find_loop<'a>(
        &'a self,
        key: &'a str,
        path: &mut Vec<&'a str>,
        clean: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<String>> {
        if let Some(from) = path.iter().position(|seen| *seen == key) {
            return Some(path[from..].iter().map(|&key| key.to_owned()).collect());
        }
        // An edited flow may be of any depth; the loop guard of the call makes longer ways moot.
        if clean.contains(key) || path.len() > 200 {
            return None;
        }
        let step = self.steps.get(key)?;
        path.push(key);
        let found = instant_exits(step)
            .into_iter()
            .find_map(|target| self.find_loop(target, path, clean));
        path.pop();
        if found.is_none() {
            clean.insert(key);
        }
        found
    }

    fn check_reach(&self, problems: &mut Vec<FlowProblem>) {
        let mut reached: BTreeMap<&str, ()> = BTreeMap::new();
        let mut open = vec![self.start.as_str()];
        while let Some(key) = open.pop() {
            let Some(step) = self.steps.get(key) else {
                continue;
            };
            if reached.insert(key, ()).is_none() {
                open.extend(branches(step).into_iter().filter_map(|(_, target)| target));
            }
        }
        let lost = self
            .steps
            .keys()
            .filter(|key| !reached.contains_key(key.as_str()));
        problems.extend(lost.map(|step| FlowProblem::Unreachable { step: step.clone() }));
    }
}

/// Where a step can lead, and what each way is called.
fn branches(step: &Step) -> Vec<(&'static str, Option<&str>)> {
    match step {
        Step::Play(step) => vec![("next", step.next.as_deref())],
        Step::Menu(step) => {
            let keys = step
                .keys
                .values()
                .map(|target| ("key", Some(target.as_str())));
            keys.chain([("on_no_input", step.on_no_input.as_deref())])
                .collect()
        }
        Step::Queue(step) => {
            vec![
                ("on_no_agents", step.on_no_agents.as_deref()),
                ("on_timeout", step.on_timeout.as_deref()),
            ]
        }
        Step::Goto(step) => vec![("target", Some(&step.target))],
        Step::Recording(step) => vec![("next", step.next.as_deref())],
        Step::Echo(step) => vec![("next", step.next.as_deref())],
        Step::Voicemail(_) | Step::End(_) | Step::Conference(_) => Vec::new(),
    }
}

/// The ways out that can be taken without the caller hearing or waiting for anything.
fn instant_exits(step: &Step) -> Vec<&str> {
    match step {
        Step::Goto(step) => vec![&step.target],
        Step::Recording(step) => step.next.as_deref().into_iter().collect(),
        Step::Queue(step) if step.max_wait_seconds == 0 => {
            step.on_timeout.as_deref().into_iter().collect()
        }
        Step::Queue(step) => step.on_no_agents.as_deref().into_iter().collect(),
        Step::Play(_)
        | Step::Menu(_)
        | Step::Voicemail(_)
        | Step::End(_)
        | Step::Echo(_)
        | Step::Conference(_) => Vec::new(),
    }
}
