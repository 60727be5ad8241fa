use super::*;
/// The automatic call distribution of one company.
#[derive(Debug)]
pub struct Acd {
    seed: u64,
}
impl Acd {
    /// An empty one. The seed decides what groups that ring by chance do.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }
    /// Takes in a fact.
    #[must_use]
    pub fn handle(&mut self, now: Timestamp, fact: Fact) -> Vec<Output> {
        let _ = (now, fact, self.seed);
        Vec::new()
    }
    /// When [`Acd::on_time`] must be called at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        None
    }
    /// Fires the timers that are due.
    #[must_use]
    pub fn on_time(&mut self, now: Timestamp) -> Vec<Output> {
        let _ = now;
        Vec::new()
    }
    /// What boards show of an agent; `None` when he is unknown.
    #[must_use]
    pub fn agent_state(&self, agent: AgentId) -> Option<AgentState> {
        let _ = agent;
        None
    }
    /// Who waits in a group, longest first.
    #[must_use]
    pub fn waiting(&self, group: GroupId) -> Vec<CallId> {
        let _ = group;
        Vec::new()
    }
}
