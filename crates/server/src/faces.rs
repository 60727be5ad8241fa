//! The HTTP faces, each given what it asks for.

use std::sync::Arc;

use accounts::{Accounts, Role};
use async_trait::async_trait;
use axum::{Router, body::Body};
use cloudtalk_api::{
    ClickToCall, CloudTalk, CloudTalkConfig, PhoneFailed, PhoneHooks, RecordedAudio, RecordingFile,
    SmsOutcome, SmsRequest,
};
use console_api::Console;
use http::HeaderMap;
use membrane_api::{MembraneApi, Viewers};
use model::{AgentId, AgentState, CallId, PhoneNumber, TenantId};
use phone::{
    Phone,
    messaging::{LoopbackCarrier, Messaging, SendError, SendOutcome, SendSms},
    outgoing::NotPlaced,
    recordings::{Channels, Playable},
};
use store::recordings::Deleted;

use crate::http::Faces;

/// The CloudTalk-compatible API.
pub fn cloudtalk(faces: &Faces<'_>) -> CloudTalk {
    let carrier = Arc::new(LoopbackCarrier::new(faces.db.clone()));
    let hooks = Hooks {
        phone: faces.phone.clone(),
        messaging: Messaging::new(faces.db.clone(), carrier),
    };
    let config = CloudTalkConfig {
        requests_per_minute: faces.config.cloudtalk_rate_limit,
        public_url: faces.public_base.as_str().trim_end_matches('/').to_owned(),
        sip_realm: faces.realm.clone(),
        max_agents: None,
    };
    CloudTalk::new(faces.db.clone(), Arc::new(hooks), config)
}

/// The running phone, as the CloudTalk face asks for it.
struct Hooks {
    phone: Phone,
    messaging: Messaging,
}

#[async_trait]
impl PhoneHooks for Hooks {
    fn on_call(&self, _tenant: TenantId, agent: AgentId) -> bool {
        matches!(self.phone.agent_state(agent), Some(AgentState::OnCall))
    }

    fn directory_changed(&self, tenant: TenantId) {
        let phone = self.phone.clone();
        tokio::spawn(async move {
            if let Err(error) = phone.directory_changed(tenant).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the queues could not learn of a change; they go on as they were"
                );
            }
        });
    }

    async fn click_to_call(
        &self,
        tenant: TenantId,
        agent: AgentId,
        callee: PhoneNumber,
    ) -> Result<ClickToCall, PhoneFailed> {
        match self
            .phone
            .click_to_call(tenant, agent, callee.as_str())
            .await
        {
            Ok(_) => Ok(ClickToCall::Begun),
            Err(NotPlaced::UnknownAgent) => Ok(ClickToCall::UnknownAgent),
            Err(NotPlaced::AgentOffline) => Ok(ClickToCall::AgentNotOnline),
            Err(NotPlaced::AgentBusy) => Ok(ClickToCall::AgentCalling),
            Err(why @ (NotPlaced::BadNumber(_) | NotPlaced::Refused(_))) => {
                Ok(ClickToCall::Refused(why.to_string()))
            }
            Err(NotPlaced::Failed) => Err(PhoneFailed(NotPlaced::Failed.to_string())),
        }
    }

    async fn send_sms(
        &self,
        tenant: TenantId,
        message: SmsRequest,
    ) -> Result<SmsOutcome, PhoneFailed> {
        let sms = SendSms {
            sender: message.sender,
            recipient: message.recipient,
            text: message.text,
        };
        match self.messaging.send(tenant, sms, store::now()).await {
            Ok(SendOutcome::Accepted(_)) => Ok(SmsOutcome::Accepted),
            Ok(SendOutcome::Refused(_, why)) => Ok(SmsOutcome::Refused(why.to_string())),
            Err(SendError::SenderNotAllowed) => Ok(SmsOutcome::SenderNotAllowed),
            Err(error) => Err(PhoneFailed(error.to_string())),
        }
    }

    async fn recording(
        &self,
        tenant: TenantId,
        call: CallId,
        channels: cloudtalk_api::Channels,
    ) -> Result<RecordingFile, PhoneFailed> {
        let channels = match channels {
            cloudtalk_api::Channels::AsRecorded => Channels::AsRecorded,
            cloudtalk_api::Channels::Mono => Channels::Mono,
        };
        let playable = self.phone.recordings().playable(tenant, call, channels);
        match playable.await {
            Ok(Playable::Audio(audio)) => Ok(RecordingFile::Audio(RecordedAudio {
                length: audio.length(),
                read: Box::new(|part| Body::from_stream(audio.stream(part))),
            })),
            Ok(Playable::Erased) => Ok(RecordingFile::Erased),
            Ok(Playable::None) => Ok(RecordingFile::None),
            Err(error) => Err(PhoneFailed(error.to_string())),
        }
    }

    async fn erase_recording(&self, tenant: TenantId, call: CallId) -> Result<bool, PhoneFailed> {
        let deleted = Deleted {
            at: store::now(),
            rule: "asked for through the CloudTalk interface".to_owned(),
        };
        self.phone
            .recordings()
            .erase(tenant, call, &deleted)
            .await
            .map_err(|error| PhoneFailed(error.to_string()))
    }
}

/// The web app and what it reads.
pub fn console(faces: &Faces<'_>) -> Router {
    let base = faces.public_base.as_str().trim_end_matches('/');
    console_api::router(Console {
        db: faces.db.clone(),
        phone: faces.phone.clone(),
        gateway: faces.gateway.clone(),
        accounts: faces.accounts.clone(),
        addresses: Arc::new(console_api::Addresses {
            membrane_api: format!("{base}/membrane"),
            cloudtalk_api: format!("{base}/api"),
            sip_host: faces.sip.ip().to_string(),
            sip_port: faces.sip.port(),
        }),
        ice: Arc::new(console_api::IceServers {
            urls: faces.config.ice_servers.clone(),
            turn_secret: faces.config.turn_secret.clone(),
        }),
        clock: Arc::new(store::now),
    })
}

/// The Membrane-compatible API and the connect pages.
pub fn membrane(faces: &Faces<'_>) -> Router {
    membrane_api::router(MembraneApi::new(
        faces.gateway.clone(),
        Arc::new(Browsers {
            accounts: faces.accounts.clone(),
        }),
        sign_in::STYLE_SHEET,
    ))
}

/// Who looks at the connect pages, by the console's session cookie.
struct Browsers {
    accounts: Accounts,
}

#[async_trait]
impl Viewers for Browsers {
    async fn signed_in(&self, headers: &HeaderMap) -> Option<membrane_api::SignedIn> {
        let person = sign_in::signed_in(&self.accounts, headers, store::now()).await?;
        Some(membrane_api::SignedIn {
            name: person.user.name.clone(),
            tenant: person.user.tenant,
            may_issue_keys: matches!(person.user.role, Role::Owner | Role::Admin),
            csrf: person.csrf,
        })
    }

    fn sign_in_url(&self, return_to: &str) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", return_to)
            .finish();
        format!("/sign-in?{query}")
    }
}
