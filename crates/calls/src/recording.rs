//! Whether a conversation is kept, and who may change that while it runs.

use std::collections::BTreeMap;

use model::{AgentId, Direction, RecordingRule};

/// The company's switches: what is kept unless something closer to the call says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    /// Calls from outside.
    pub incoming: bool,
    /// Calls to the outside.
    pub outgoing: bool,
    /// Calls between agents.
    pub internal: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            incoming: true,
            outgoing: true,
            internal: false,
        }
    }
}

impl Switches {
    fn of(self, direction: Direction) -> bool {
        match direction {
            Direction::Incoming => self.incoming,
            Direction::Outgoing => self.outgoing,
            Direction::Internal => self.internal,
        }
    }
}

/// What is set for one agent; absent means as the company has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentRules {
    /// Whether his conversations are kept.
    pub record: Option<bool>,
    /// Whether he may switch recording on and off while he talks.
    pub may_switch: Option<bool>,
}

/// What a company has set about recording, as one of its calls sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The company's switches.
    pub company: Switches,
    /// What is set for the number the call came in on, or goes out with.
    pub number: Option<bool>,
    /// What is set for agents that differ from the company.
    pub agents: BTreeMap<AgentId, AgentRules>,
    /// Whether agents may switch recording, unless one's own rules say otherwise.
    pub agents_may_switch: bool,
}

/// Whether to record, and which rule said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Keep the conversation.
    pub record: bool,
    /// The rule that decided: the one closest to the call that says anything.
    pub rule: RecordingRule,
}

impl Policy {
    /// Decides for a conversation about to begin. The closest rule wins: a step of the call flow beats the agent's
    /// setting, that beats the number's, and that the company's switch. What somebody with the right to do so
    /// switches during the call beats them all.
    #[must_use]
    pub fn decide(
        &self,
        direction: Direction,
        agent: Option<AgentId>,
        flow: Option<bool>,
    ) -> Decision {
        let agent = agent
            .and_then(|agent| self.agents.get(&agent))
            .and_then(|rules| rules.record);
        let rules = [
            (flow, RecordingRule::Flow),
            (agent, RecordingRule::Agent),
            (self.number, RecordingRule::Number),
        ];
        rules
            .into_iter()
            .find_map(|(says, rule)| says.map(|record| Decision { record, rule }))
            .unwrap_or(Decision {
                record: self.company.of(direction),
                rule: RecordingRule::Company,
            })
    }

    /// Whether an agent may switch recording on and off in his own conversations.
    #[must_use]
    pub fn may_switch(&self, agent: AgentId) -> bool {
        self.agents
            .get(&agent)
            .and_then(|rules| rules.may_switch)
            .unwrap_or(self.agents_may_switch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_closest_to_the_call_wins() {
        let agent = AgentId(7);
        let mut policy = Policy {
            company: Switches {
                outgoing: false,
                ..Switches::default()
            },
            ..Policy::default()
        };
        let decide = |policy: &Policy, flow| {
            let decision = policy.decide(Direction::Outgoing, Some(agent), flow);
            (decision.record, decision.rule)
        };
        assert_eq!(decide(&policy, None), (false, RecordingRule::Company));
        assert!(policy.decide(Direction::Incoming, Some(agent), None).record);
        policy.number = Some(true);
        assert_eq!(decide(&policy, None), (true, RecordingRule::Number));
        let rules = AgentRules {
            record: Some(false),
            ..AgentRules::default()
        };
        policy.agents.insert(agent, rules);
        assert_eq!(decide(&policy, None), (false, RecordingRule::Agent));
        assert_eq!(decide(&policy, Some(true)), (true, RecordingRule::Flow));
    }

    #[test]
    fn an_agents_own_right_beats_the_general_one() {
        let mut policy = Policy {
            agents_may_switch: true,
            ..Policy::default()
        };
        let rules = AgentRules {
            may_switch: Some(false),
            ..AgentRules::default()
        };
        policy.agents.insert(AgentId(2), rules);
        assert!(policy.may_switch(AgentId(1)));
        assert!(!policy.may_switch(AgentId(2)));
    }
}
