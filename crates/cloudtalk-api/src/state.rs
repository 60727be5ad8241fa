//! What the handlers are given, and what they ask of the running phone.

use std::{ops::Range, sync::Arc};

use axum::body::Body;

use model::{AgentId, CallId, PhoneNumber, TenantId};
use store::Db;

use crate::rate_limit::RateLimiter;

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct CloudTalkConfig {
    /// Requests a company may make in a minute; 0 for as many as it likes.
    pub requests_per_minute: u32,
    /// Where people reach us, without a slash at the end; recording links begin with it.
    pub public_url: String,
    /// The realm of the registrar's digest: an agent made here can register at once.
    pub sip_realm: String,
    /// Seats of a company; absent for no limit.
    pub max_agents: Option<u64>,
}

impl Default for CloudTalkConfig {
    fn default() -> Self {
        Self {
            requests_per_minute: 60,
            public_url: "http://127.0.0.1:8080".into(),
            sip_realm: "trunkline".into(),
            max_agents: None,
        }
    }
}

/// A text message to be sent.
#[derive(Clone, Debug)]
pub struct SmsRequest {
    pub sender: PhoneNumber,
    pub recipient: PhoneNumber,
    pub text: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmsOutcome {
    /// The carrier took it.
    Accepted,
    /// The carrier refused; the text is for the client.
    Refused(String),
    /// The sender is not one of the company's SMS numbers.
    SenderNotAllowed,
}

/// Which channels of a recording are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Each side in its own.
    AsRecorded,
    /// Both sides in one.
    Mono,
}

/// A WAV file that can be read in parts.
pub struct RecordedAudio {
    /// Bytes of the whole file.
    pub length: u64,
    /// Reads some of them.
    pub read: Box<dyn FnOnce(Range<u64>) -> Body + Send>,
}

/// What there is of a call's recording.
pub enum RecordingFile {
    /// Its audio.
    Audio(RecordedAudio),
    /// It was there once.
    Erased,
    /// The call was not recorded.
    None,
}

/// The phone could not do it; the cause goes to the log, not to the client.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PhoneFailed(pub String);

/// What became of a call that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClickToCall {
    /// The agent's phone is about to ring.
    Begun,
    /// The company has no such agent.
    UnknownAgent,
    /// His switch is off, or no device of his is registered.
    AgentNotOnline,
    /// He is in a call.
    AgentCalling,
    /// It may not be placed, and why not.
    Refused(String),
}

/// The running phone system, as far as this face needs it.
#[async_trait::async_trait]
pub trait PhoneHooks: Send + Sync {
    /// Whether the agent is in a call right now.
    fn on_call(&self, tenant: TenantId, agent: AgentId) -> bool;

    /// Agents, groups, memberships or numbers have changed: queues should read them again.
    fn directory_changed(&self, tenant: TenantId);

    /// Rings an agent's phone, then this number.
    async fn click_to_call(
        &self,
        tenant: TenantId,
        agent: AgentId,
        callee: PhoneNumber,
    ) -> Result<ClickToCall, PhoneFailed>;

    /// Sends a text message.
    async fn send_sms(
        &self,
        tenant: TenantId,
        message: SmsRequest,
    ) -> Result<SmsOutcome, PhoneFailed>;

    /// A call's recording.
    async fn recording(
        &self,
        tenant: TenantId,
        call: CallId,
        channels: Channels,
    ) -> Result<RecordingFile, PhoneFailed>;

    /// Erases a call's recording for good; `false` when there was none.
    async fn erase_recording(&self, tenant: TenantId, call: CallId) -> Result<bool, PhoneFailed>;
}

/// The state of this face. Cheap to clone.
#[derive(Clone)]
pub struct CloudTalk {
    pub(crate) db: Db,
    pub(crate) hooks: Arc<dyn PhoneHooks>,
    pub(crate) config: Arc<CloudTalkConfig>,
    pub(crate) limiter: Arc<RateLimiter>,
}

impl CloudTalk {
    /// A face over this data and this phone.
    #[must_use]
    pub fn new(db: Db, hooks: Arc<dyn PhoneHooks>, config: CloudTalkConfig) -> Self {
        let limiter = Arc::new(RateLimiter::new(config.requests_per_minute));
        Self {
            db,
            hooks,
            config: Arc::new(config),
            limiter,
        }
    }
}
