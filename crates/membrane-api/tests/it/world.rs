//! A gateway with two companies, and an app for it to speak to.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use gateway::{
    Gateway, Grants, LocalKeyError, LocalPhone, NewWorkspace, Parts, TokenSpec, Workspace,
};
use http::{HeaderMap, Method, StatusCode, header};
use membrane_api::{MembraneApi, SignedIn, Viewers, router};
use model::TenantId;
use outbound::{Allow, Outbound, Policy};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use store::{Db, company::NewTenant};
use tower::ServiceExt;
use url::Url;
use vault::KeyRing;

pub const KEY_ID: &str = "CANARYKEYID7731";
pub const KEY_SECRET: &str = "canary-secret-5d1f0c";

/// What the app saw and how it behaves.
#[derive(Default)]
pub struct App {
    pub seen: Mutex<Vec<Seen>>,
    pub refuses: AtomicBool,
}

#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

async fn app(State(app): State<Arc<App>>, request: Request) -> Response {
    use base64::Engine;
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("body");
    let target = parts
        .uri
        .path_and_query()
        .map(ToString::to_string)
        .unwrap_or_default();
    let expected = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{KEY_ID}:{KEY_SECRET}"))
    );
    let sent = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let seen = Seen {
        method: parts.method.to_string(),
        target: target.clone(),
        headers: parts.headers,
        body: body.to_vec(),
    };
    app.seen.lock().expect("lock").push(seen);
    if app.refuses.load(Ordering::SeqCst) || sent != expected {
        return (
            StatusCode::UNAUTHORIZED,
            Json(json!({ "responseData": { "status": 401, "message": "Bad credentials" } })),
        )
            .into_response();
    }
    if target.starts_with("/api/echo") {
        // An app that repeats what it was sent, the credential included.
        let echoed = json!({ "authorization": sent, "note": format!("you are {KEY_ID} with {KEY_SECRET}"), "body": String::from_utf8_lossy(&body) });
        return (
            StatusCode::IM_A_TEAPOT,
            [("x-app", "kept"), ("set-cookie", "a=b")],
            Json(echoed),
        )
            .into_response();
    }
    if target.contains("/recording/") {
        return (
            [(header::CONTENT_TYPE, "audio/x-wav")],
            Body::from(vec![b'R', b'I', b'F', b'F', 0, 255, 1]),
        )
            .into_response();
    }
    let note = format!("debug: {KEY_SECRET}");
    Json(json!({ "responseData": { "itemsCount": 0, "pageCount": 1, "pageNumber": 1, "limit": 10, "data": [], "note": note } })).into_response()
}

struct Phone {
    base: Url,
    revoked: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl LocalPhone for Phone {
    async fn issue_key(
        &self,
        _: TenantId,
        _: &str,
    ) -> Result<(String, SecretString), LocalKeyError> {
        Ok((KEY_ID.to_owned(), KEY_SECRET.to_owned().into()))
    }

    async fn revoke_key(&self, _: TenantId, key_id: &str) -> Result<(), LocalKeyError> {
        self.revoked.lock().expect("lock").push(key_id.to_owned());
        Ok(())
    }

    async fn owns_key(&self, key_id: &str) -> bool {
        key_id == KEY_ID
    }

    fn base_url(&self) -> Url {
        self.base.clone()
    }
}

/// The grant "live" holds, others don't.
struct OnlyLive;

#[async_trait]
impl Grants for OnlyLive {
    async fn is_live(&self, grant: &str) -> bool {
        grant == "live"
    }
}

/// Signed in is whoever sends the header `x-person: <company>:<role>`.
struct People;

#[async_trait]
impl Viewers for People {
    async fn signed_in(&self, headers: &HeaderMap) -> Option<SignedIn> {
        let (tenant, role) = headers.get("x-person")?.to_str().ok()?.split_once(':')?;
        let tenant = TenantId(tenant.parse().ok()?);
        Some(SignedIn {
            name: "Owner".into(),
            tenant,
            may_issue_keys: role == "owner",
            csrf: "right".into(),
        })
    }

    fn sign_in_url(&self, return_to: &str) -> String {
        format!("/sign-in?return_to={return_to}")
    }
}

pub struct World {
    pub dir: tempfile::TempDir,
    pub db: Db,
    pub gateway: Gateway,
    pub router: Router,
    pub acme: Workspace,
    pub other: Workspace,
    pub app: Arc<App>,
    pub app_base: Url,
    pub revoked: Arc<Mutex<Vec<String>>>,
}

/// An answer, read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The JSON of an answer that must be a success.
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text());
        self.json()
    }

    /// Status, type and key of an error.
    pub fn error(&self) -> (u16, String, String) {
        let body = self.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (self.status.as_u16(), text("type"), text("key"))
    }
}

impl World {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let db = Db::open_file(&dir.path().join("t.db"))
            .await
            .expect("database");
        let app_state = Arc::new(App::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("port");
        let address = listener.local_addr().expect("address");
        let site = Router::new().fallback(app).with_state(app_state.clone());
        tokio::spawn(async move { axum::serve(listener, site).await });
        let app_base: Url = format!("http://{address}/api").parse().expect("url");
        let manifests = connector::builtin::manifests()
            .iter()
            .map(|(_, text)| connector::Manifest::parse(text).expect("manifest"));
        let revoked = Arc::new(Mutex::new(Vec::new()));
        let gateway = Gateway::new(Parts {
            db: db.clone(),
            keys: Arc::new(KeyRing::load_or_create(&dir.path().join("keys")).expect("keys")),
            outbound: Outbound::new(Policy {
                allow: Allow::nothing(),
                ..Policy::default()
            })
            .expect("outbound"),
            manifests: manifests.collect(),
            base_url: "https://phone.example.test/membrane".parse().expect("url"),
            local_phone: Some(Arc::new(Phone {
                base: app_base.clone(),
                revoked: revoked.clone(),
            })),
            grants: Some(Arc::new(OnlyLive)),
        });
        let acme = company(&db, &gateway, "Acme").await;
        let other = company(&db, &gateway, "Other").await;
        let router = router(MembraneApi::new(gateway.clone(), Arc::new(People), ""));
        Self {
            dir,
            db,
            gateway,
            router,
            acme,
            other,
            app: app_state,
            app_base,
            revoked,
        }
    }

    pub fn token(&self, workspace: &Workspace, tenant: &str) -> String {
        let spec = TokenSpec {
            tenant_key: Some(tenant.to_owned()),
            ..TokenSpec::default()
        };
        self.gateway
            .issue(workspace, spec, store::now())
            .expect("token")
            .expose_secret()
            .to_owned()
    }

    pub fn manager(&self, workspace: &Workspace) -> String {
        let spec = TokenSpec {
            is_admin: true,
            ..TokenSpec::default()
        };
        self.gateway
            .issue(workspace, spec, store::now())
            .expect("token")
            .expose_secret()
            .to_owned()
    }

    pub async fn send(&self, request: http::Request<Body>) -> Answer {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .expect("body")
            .to_vec();
        Answer {
            status,
            headers,
            bytes,
        }
    }

    pub async fn call(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        let body = match body {
            Some(value) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(value.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).expect("request")).await
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.call(token, Method::GET, path, None).await
    }

    pub async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.call(token, Method::POST, path, Some(body)).await
    }

    /// The id of a tenant's connection to the app, still to be connected.
    pub async fn ensured(&self, token: &str) -> String {
        let made = self
            .post(
                token,
                "/connections/ensure",
                json!({ "appUrl": "https://www.cloudtalk.io/" }),
            )
            .await
            .ok();
        made["id"].as_str().expect("id").to_owned()
    }

    /// The id of a tenant's READY connection to the app.
    pub async fn connected(&self, token: &str) -> String {
        let id = self.ensured(token).await;
        let input = json!({ "input": { "keyId": KEY_ID, "keySecret": KEY_SECRET } });
        let ready = self
            .call(
                token,
                Method::PATCH,
                &format!("/connections/{id}"),
                Some(input),
            )
            .await
            .ok();
        assert_eq!(ready["state"], "READY");
        id
    }
}

async fn company(db: &Db, gateway: &Gateway, name: &str) -> Workspace {
    let new = NewTenant {
        name: name.into(),
        time_zone: "Europe/Bratislava".into(),
        country_code: "SK".into(),
    };
    let tenant = db
        .create_tenant(new, store::now())
        .await
        .expect("company")
        .id;
    let new = NewWorkspace {
        tenant,
        name: name.into(),
        default_tenant_key: "default".into(),
    };
    gateway.create_workspace(new).await.expect("workspace")
}
