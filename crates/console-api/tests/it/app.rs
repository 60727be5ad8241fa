//! Two companies; the first has two agents, one number and three calls.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use accounts::{Accounts, CookiePolicy, NewPerson, Role};
use axum::{Router, body::Body};
use console_api::{Addresses, Console, IceServers};
use gateway::{Gateway, NewWorkspace};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use media::{MediaConfig, MediaEngine};
use model::{
    AgentId, Availability, CallFact, CallId, Direction, GroupId, HangupCause, LegId, PhoneNumber,
    RecordingId, RecordingKind, RingStrategy, TenantId, Timestamp,
};
use phone::{
    Devices, Folders, Phone, Prompts,
    recordings::{Keeping, Recordings},
};
use serde_json::Value;
use sip::{Listener, SipConfig, SipStack, Transport};
use store::{
    Db,
    company::NewTenant,
    directory::{AgentRole, NewAgent, NewGroup, NewNumber, Route, SipSecrets},
    ledger::{Ledger, Recording},
};
use tower::ServiceExt;

pub const OWNER: &str = "owner@example.test";
/// A recording of one frame in two channels.
pub fn sound() -> Vec<u8> {
    let mut wav = media::wav::header(2, 4).to_vec();
    wav.extend([1, 2, 3, 4]);
    wav
}
const PASSWORD: &str = "blue horse battery";

pub struct App {
    router: Router,
    /// Cookies of people who are signed in.
    pub owner: String,
    pub agent_one: String,
    /// The owner of another company.
    pub stranger: String,
    /// Oldest first: of agent one, of agent two, missed.
    pub calls: Vec<CallId>,
    _dir: tempfile::TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }
}

impl App {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let db = Db::open_file(&dir.path().join("t.db"))
            .await
            .expect("database");
        let (ledger, _task) = Ledger::start(db.clone()).await.expect("ledger");
        let gateway = gateway(&db, dir.path());
        let accounts = Accounts::new(db.clone(), CookiePolicy { secure: false });
        let recordings = dir.path().join("recordings");
        std::fs::create_dir_all(&recordings).expect("folder");

        let acme = company(&db, &gateway, "Acme").await;
        let other = company(&db, &gateway, "Other").await;
        let group = group(&db, acme).await;
        let agents = [
            agent(&db, acme, group, "One", 1001).await,
            agent(&db, acme, group, "Two", 1002).await,
        ];
        number(&db, acme, group).await;
        let mut calls = Vec::new();
        for (index, agent) in [Some(agents[0]), Some(agents[1]), None]
            .into_iter()
            .enumerate()
        {
            calls.push(
                call(
                    &db,
                    &ledger,
                    acme,
                    i64::try_from(index).expect("small"),
                    agent.map(|agent| (agent, group)),
                )
                .await,
            );
        }
        for recording in ["1.wav", "2.wav"] {
            std::fs::write(recordings.join(recording), sound()).expect("file");
        }

        let phone = phone(&db, ledger, &recordings).await;
        let owner = person(&accounts, acme, OWNER, Role::Owner).await;
        let agent_one = person(&accounts, acme, "agent.one@example.test", Role::Agent).await;
        let stranger = person(&accounts, other, "stranger@example.test", Role::Owner).await;
        let addresses = Addresses {
            membrane_api: "http://phone.example.test/membrane".into(),
            cloudtalk_api: "http://phone.example.test/api".into(),
            sip_host: "phone.example.test".into(),
            sip_port: 5060,
        };
        let console = Console {
            db,
            phone,
            gateway,
            accounts,
            addresses: Arc::new(addresses),
            ice: Arc::new(IceServers {
                urls: vec!["turn:turn.example.test:3478".into()],
                turn_secret: Some("a secret of the turn server".to_owned().into()),
            }),
            clock: Arc::new(store::now),
        };
        Self {
            router: console_api::router(console),
            owner,
            agent_one,
            stranger,
            calls,
            _dir: dir,
        }
    }

    /// The session's token, without which nothing is changed.
    pub async fn csrf(&self, cookie: &str) -> String {
        let me = self.get(cookie, "/console/api/me").await.json();
        me["csrf"].as_str().expect("a token").to_owned()
    }

    pub async fn change(
        &self,
        method: &str,
        cookie: String,
        csrf: String,
        path: &str,
        body: Value,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, cookie)
            .header("x-csrf-token", csrf)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request");
        self.serve(request).await
    }

    pub async fn get(&self, cookie: &str, path: &str) -> Answer {
        self.send(Request::get(path).header(header::COOKIE, cookie))
            .await
    }

    pub async fn get_range(&self, cookie: &str, path: &str, range: &str) -> Answer {
        self.send(
            Request::get(path)
                .header(header::COOKIE, cookie)
                .header(header::RANGE, range),
        )
        .await
    }

    /// The recording of one of the calls.
    pub async fn recording(&self, cookie: &str, call: usize) -> Answer {
        self.get(
            cookie,
            &format!("/console/api/calls/{}/recording", self.calls[call]),
        )
        .await
    }

    /// Changes something, as the app does: with the token that it got from `/me`.
    pub async fn act(
        &self,
        cookie: &str,
        method: http::Method,
        path: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let me = self.get(cookie, "/console/api/me").await.json();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, cookie)
            .header("x-csrf-token", me["csrf"].as_str().expect("a token"))
            .header(header::CONTENT_TYPE, "application/json");
        self.send_with(request, body).await
    }

    async fn send(&self, request: http::request::Builder) -> Answer {
        self.send_with(request, Body::empty()).await
    }

    pub async fn send_with(
        &self,
        request: http::request::Builder,
        body: impl Into<Body>,
    ) -> Answer {
        let request = request.body(body.into()).expect("a request");
        self.serve(request).await
    }

    async fn serve(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible")
            .into_parts();
        let body = body.collect().await.expect("a body").to_bytes().to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

fn gateway(db: &Db, folder: &std::path::Path) -> Gateway {
    Gateway::new(gateway::Parts {
        db: db.clone(),
        keys: Arc::new(vault::KeyRing::load_or_create(&folder.join("vault.key")).expect("a key")),
        outbound: outbound::Outbound::new(outbound::Policy::default()).expect("a client"),
        manifests: Vec::new(),
        base_url: "http://phone.example.test/membrane".parse().expect("url"),
        local_phone: None,
        grants: None,
    })
}

async fn phone(db: &Db, ledger: Ledger, recordings: &std::path::Path) -> Phone {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = SipConfig {
        listeners: vec![
            Listener::new(Transport::Udp, free),
            Listener::new(Transport::Tcp, free),
        ],
        ..SipConfig::default()
    };
    let (sip, sip_events) = SipStack::start(
        config,
        Arc::new(Devices::new(db.clone(), Vec::new(), "trunkline")),
    )
    .await
    .expect("signalling");
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let media = MediaConfig {
        bind: local,
        advertise: local,
        other_family: None,
        ports: (40_000, 40_100),
        threads: 1,
    };
    let keeping = Keeping {
        bucket: None,
        encrypt: true,
        keys: Arc::new(vault::KeyRing::load_or_create(&recordings.join("k")).expect("keys")),
    };
    let parts = phone::Parts {
        db: db.clone(),
        ledger,
        sip,
        sip_events,
        media: MediaEngine::start(media).expect("audio"),
        audio: phone::AudioPolicy::default(),
        listeners: Vec::new(),
        prompts: Prompts::new(db.clone(), &Folders::below(recordings), None),
        recordings: Recordings::new(db.clone(), recordings.to_owned(), keeping),
        node: "test".into(),
        seed: 1,
        keys: Arc::new(
            vault::KeyRing::load_or_create(&recordings.join("vault.key")).expect("a key"),
        ),
    };
    Phone::start(parts).await.expect("a phone system")
}

async fn company(db: &Db, gateway: &Gateway, name: &str) -> TenantId {
    let new = NewTenant {
        name: name.into(),
        time_zone: "Europe/Bratislava".into(),
        country_code: "SK".into(),
    };
    let tenant = db
        .create_tenant(new, store::now())
        .await
        .expect("tenant")
        .id;
    let workspace = NewWorkspace {
        tenant,
        name: name.into(),
        default_tenant_key: "company".into(),
    };
    gateway
        .create_workspace(workspace)
        .await
        .expect("workspace");
    tenant
}

async fn person(accounts: &Accounts, tenant: TenantId, email: &str, role: Role) -> String {
    let new = NewPerson {
        tenant,
        email: email.into(),
        name: "Somebody".into(),
        role,
        password: PASSWORD.into(),
    };
    let user = accounts.create_user(new, store::now()).await.expect("user");
    let token = accounts
        .open_session(&user, "test", store::now())
        .await
        .expect("session");
    format!("{}={}", accounts::SESSION_COOKIE, token.expose())
}

async fn group(db: &Db, tenant: TenantId) -> GroupId {
    let new = NewGroup {
        internal_name: "Sales".into(),
        extension: None,
        strategy: RingStrategy::LongestIdle,
        ring_seconds: 20,
        wrap_up_seconds: None,
        rings_idle: false,
    };
    db.add_group(tenant, new, store::now())
        .await
        .expect("group")
}

async fn agent(db: &Db, tenant: TenantId, group: GroupId, name: &str, extension: u16) -> AgentId {
    let new = NewAgent {
        first_name: "Agent".into(),
        last_name: name.into(),
        email: format!("agent.{}@example.test", name.to_lowercase()),
        extension,
        sip_username: extension.to_string(),
        password_hash: String::new(),
        sip: SipSecrets {
            ha1_md5: "0".repeat(32),
            ha1_sha256: "0".repeat(64),
        },
        language: "en".into(),
        role: AgentRole::Agent,
        availability: Availability::Online,
        status_outbound: true,
        daily_price_limit: None,
        default_number: None,
        wrap_up_seconds: 5,
    };
    let agent = db
        .add_agent(tenant, new, store::now())
        .await
        .expect("agent");
    db.add_member(tenant, group, agent).await.expect("member");
    agent
}

async fn number(db: &Db, tenant: TenantId, group: GroupId) {
    let new = NewNumber {
        number: PhoneNumber::parse("+421200000001").expect("number"),
        area_code: "2".into(),
        internal_name: "Main".into(),
        is_redirected: false,
        sms_enabled: true,
        route: Some(Route::Group(group)),
        trunk: None,
    };
    db.add_number(tenant, new, store::now())
        .await
        .expect("number");
}

/// A call an hour after the one before; thirty seconds of talking when an agent took it.
async fn call(
    db: &Db,
    ledger: &Ledger,
    tenant: TenantId,
    index: i64,
    taken: Option<(AgentId, GroupId)>,
) -> CallId {
    let id = ledger.new_call_id();
    let at = |second: i64| {
        Timestamp::from_second(1_790_000_000 + index * 3600 + second).expect("in range")
    };
    let append = async |second, facts| {
        ledger
            .append(tenant, id, at(second), facts)
            .await
            .expect("a fact");
    };
    let started = CallFact::Started {
        uuid: format!("call-{index}"),
        direction: Direction::Incoming,
        external: PhoneNumber::parse(&format!("+42190000000{}", index + 1)).ok(),
        internal: PhoneNumber::parse("+421200000001").ok(),
        number: None,
        contact: None,
        trunk: None,
        node: "test".into(),
    };
    append(0, vec![started, CallFact::CallerConnected]).await;
    if let Some((agent, group)) = taken {
        let leg = LegId(2);
        let recording = RecordingId(index + 1);
        let file = format!("{}.wav", index + 1);
        let row = Recording {
            id: recording,
            tenant,
            call: id,
            file,
            kind: RecordingKind::Conversation,
            created_at: at(5),
            deleted_at: None,
            archived: None,
            attempts: 0,
        };
        db.add_recording(&row).await.expect("recording");
        let queued = CallFact::QueueJoined {
            group,
            name: "Sales".into(),
            strategy: RingStrategy::LongestIdle,
        };
        let offer = CallFact::OfferMade {
            leg,
            agent,
            agent_name: "Agent".into(),
            group,
            why: "idle longest".into(),
            offer: 1,
        };
        append(2, vec![queued, offer, CallFact::LegRinging { leg }]).await;
        let kind = RecordingKind::Conversation;
        let bridged = CallFact::Bridged {
            a: LegId(1),
            b: leg,
        };
        append(
            5,
            vec![
                CallFact::OfferAnswered { leg, agent },
                bridged,
                CallFact::RecordingStarted { recording, kind },
            ],
        )
        .await;
        append(
            35,
            vec![CallFact::RecordingStopped {
                recording,
                duration_ms: 30_000,
                bytes: 12,
            }],
        )
        .await;
    }
    append(
        35,
        vec![CallFact::Ended {
            cause: HangupCause::CallerHangup,
        }],
    )
    .await;
    id
}
