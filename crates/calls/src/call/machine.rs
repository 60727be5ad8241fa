use super::*;
/// One call.
#[derive(Debug)]
pub struct Call {
    new: NewCall,
}
impl Call {
    /// Takes a call that came in and follows a flow.
    #[must_use]
    pub fn incoming(new: NewCall, flow: Arc<Flow>, now: Timestamp) -> (Self, Vec<Output>) {
        let _ = (flow, now);
        (Self { new }, Vec::new())
    }
    /// Takes a call to a number of ours that leads nowhere: says so and ends.
    #[must_use]
    pub fn not_routed(new: NewCall, announcement: Prompt, now: Timestamp) -> (Self, Vec<Output>) {
        let _ = (announcement, now);
        (Self { new }, Vec::new())
    }
    /// Takes in something that happened.
    #[must_use]
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Output> {
        let _ = (now, input);
        Vec::new()
    }
    /// When [`Call::on_time`] must be called at the latest.
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
    /// Which call it is.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.new.id
    }
    /// Whether [`Output::Finished`] was given.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        false
    }
}
