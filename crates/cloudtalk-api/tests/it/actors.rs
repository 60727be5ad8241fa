//! The app under test, and who talks to it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body};
use base64::{Engine, engine::general_purpose::STANDARD};
use cloudtalk_api::{
    Channels, ClickToCall, CloudTalk, CloudTalkConfig, PhoneFailed, PhoneHooks, RecordedAudio,
    RecordingFile, SmsOutcome, SmsRequest, router,
};
use http::{HeaderMap, Method, Request, StatusCode, header};
use model::{AgentId, CallId, PhoneNumber, RingStrategy, TenantId};
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::{
    Db,
    company::NewTenant,
    directory::{NewApiKey, NewGroup},
    ledger::Ledger,
    now,
};
use tower::ServiceExt;

/// The running phone: messages are noted, recordings lie in a folder, agent 1 may be in a call.
#[derive(Default)]
pub struct Phone {
    pub called: Mutex<Vec<(AgentId, PhoneNumber)>>,
    pub sms: Mutex<Vec<SmsRequest>>,
    pub busy: Mutex<Vec<AgentId>>,
    pub changes: Mutex<u32>,
    pub recordings: PathBuf,
}

#[async_trait::async_trait]
impl PhoneHooks for Phone {
    fn on_call(&self, _: TenantId, agent: AgentId) -> bool {
        self.busy.lock().expect("not poisoned").contains(&agent)
    }

    fn directory_changed(&self, _: TenantId) {
        *self.changes.lock().expect("not poisoned") += 1;
    }

    async fn click_to_call(
        &self,
        _: TenantId,
        agent: AgentId,
        callee: PhoneNumber,
    ) -> Result<ClickToCall, PhoneFailed> {
        if self.busy.lock().expect("not poisoned").contains(&agent) {
            return Ok(ClickToCall::AgentCalling);
        }
        self.called
            .lock()
            .expect("not poisoned")
            .push((agent, callee.clone()));
        Ok(match callee.as_str() {
            "+421900000001" => ClickToCall::AgentNotOnline,
            "+421900000002" => ClickToCall::UnknownAgent,
            "+421900000003" => ClickToCall::Refused("no trunk".into()),
            _ => ClickToCall::Begun,
        })
    }

    async fn send_sms(&self, _: TenantId, message: SmsRequest) -> Result<SmsOutcome, PhoneFailed> {
        let outcome = match message.sender.as_str() {
            "+421200000001" if message.recipient.as_str() == "+421900000000" => {
                SmsOutcome::Refused("Unknown number".into())
            }
            "+421200000001" => SmsOutcome::Accepted,
            _ => SmsOutcome::SenderNotAllowed,
        };
        self.sms.lock().expect("not poisoned").push(message);
        Ok(outcome)
    }

    async fn recording(
        &self,
        _: TenantId,
        call: CallId,
        channels: Channels,
    ) -> Result<RecordingFile, PhoneFailed> {
        let name = match channels {
            Channels::AsRecorded => format!("{call}.wav"),
            Channels::Mono => format!("{call}-mono.wav"),
        };
        Ok(match std::fs::read(self.recordings.join(name)) {
            Ok(bytes) => RecordingFile::Audio(RecordedAudio {
                length: bytes.len() as u64,
                read: Box::new(move |part| {
                    bytes[part.start as usize..part.end as usize]
                        .to_vec()
                        .into()
                }),
            }),
            Err(_) => RecordingFile::Erased,
        })
    }

    async fn erase_recording(&self, _: TenantId, call: CallId) -> Result<bool, PhoneFailed> {
        Ok(std::fs::remove_file(self.recordings.join(format!("{call}.wav"))).is_ok())
    }
}

pub struct App {
    pub db: Db,
    pub phone: Arc<Phone>,
    pub acme: TenantId,
    pub rival: TenantId,
    pub ledger: Ledger,
    pub dir: tempfile::TempDir,
    router: Router,
}

/// Who sends a request.
#[derive(Clone, Copy)]
pub enum Actor {
    Nobody,
    Acme,
    Rival,
}

const ACME: (&str, &str) = ("ACMEACMEACMEACMEACME01", "s%3A+c:r@t!?");
const RIVAL: (&str, &str) = ("RIVALRIVALRIVALRIVAL01", "other");

impl App {
    pub async fn new() -> Self {
        Self::limited(0).await
    }

    pub async fn limited(requests_per_minute: u32) -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let db = Db::open_file(&dir.path().join("t.db")).await.expect("open");
        let (ledger, _) = Ledger::start(db.clone()).await.expect("ledger");
        let company = |name: &str| NewTenant {
            name: name.into(),
            time_zone: "Europe/Bratislava".into(),
            country_code: "SK".into(),
        };
        let acme = db
            .create_tenant(company("Acme"), now())
            .await
            .expect("tenant")
            .id;
        let rival = db
            .create_tenant(company("Rival"), now())
            .await
            .expect("tenant")
            .id;
        for (tenant, (id, secret)) in [(acme, ACME), (rival, RIVAL)] {
            let key = NewApiKey {
                key_id: id.into(),
                secret_sha256: hex::encode(Sha256::digest(secret)),
                name: "test".into(),
            };
            db.add_api_key(tenant, key, now()).await.expect("key");
        }
        let phone = Arc::new(Phone {
            recordings: dir.path().to_owned(),
            ..Default::default()
        });
        let config = CloudTalkConfig {
            requests_per_minute,
            sip_realm: "test".into(),
            ..Default::default()
        };
        let router = router(CloudTalk::new(db.clone(), phone.clone(), config));
        Self {
            db,
            phone,
            acme,
            rival,
            ledger,
            dir,
            router,
        }
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX)
            .await
            .expect("a body")
            .to_vec();
        Reply {
            status: parts.status,
            headers: parts.headers,
            bytes,
        }
    }

    pub async fn ask(&self, actor: Actor, method: &str, path: &str, body: Value) -> Reply {
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let request = self
            .request(actor, method, path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        self.send(request.expect("a request")).await
    }

    pub async fn form(&self, actor: Actor, method: &str, path: &str, body: &str) -> Reply {
        let kind = "application/x-www-form-urlencoded";
        let request = self
            .request(actor, method, path)
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body.to_owned()));
        self.send(request.expect("a request")).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask(Actor::Acme, "GET", path, Value::Null).await
    }

    pub fn request(&self, actor: Actor, method: &str, path: &str) -> http::request::Builder {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).expect("a verb"))
            .uri(path);
        let (id, secret) = match actor {
            Actor::Nobody => return request,
            Actor::Acme => ACME,
            Actor::Rival => RIVAL,
        };
        request.header(
            header::AUTHORIZATION,
            format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))),
        )
    }

    pub async fn group(&self, name: &str) -> i64 {
        let new = NewGroup {
            internal_name: name.into(),
            extension: None,
            strategy: RingStrategy::LongestIdle,
            ring_seconds: 20,
            wrap_up_seconds: None,
            rings_idle: false,
        };
        self.db
            .add_group(self.acme, new, now())
            .await
            .expect("group")
            .0
    }
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("a JSON body")
    }

    /// What is in the envelope.
    pub fn data(&self) -> Value {
        self.json()["responseData"].take()
    }

    /// The id of what was made.
    pub fn created(&self) -> i64 {
        assert_eq!(self.status, 201, "{}", String::from_utf8_lossy(&self.bytes));
        assert_eq!(self.data()["status"], 201);
        self.data()["data"]["id"].as_i64().expect("an integer id")
    }

    pub fn is(&self, status: u16) -> &Self {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.bytes)
        );
        self
    }

    /// A refused input, and the text for a field.
    pub fn invalid(&self, field: &str) -> String {
        let data = self.is(406).data();
        assert_eq!(data["message"], "Invalid input data.");
        data["data"][field][0]
            .as_str()
            .unwrap_or_else(|| panic!("no text for {field} in {data}"))
            .to_owned()
    }
}
