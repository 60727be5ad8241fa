//! A whole sign-in face with one company and its owner, and a browser to drive it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use accounts::{
    Accounts, CompanyCreator, CompanyError, CookiePolicy, GrantId, Grants, IssueError, IssueFor,
    IssuedToken, NewCompany, NewPerson, OauthConfig, OauthServer, Role, TokenIssuer, User,
};
use axum::{Router, body::Body, extract::ConnectInfo};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use model::{TenantId, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sign_in::{SignIn, SignInParts};
use store::{Db, company::NewTenant};
use tower::ServiceExt;
use url::Url;

pub const EMAIL: &str = "owner@example.test";
pub const PASSWORD: &str = "blue horse battery";
pub const BASE: &str = "https://phone.example.test";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CALLBACK: &str = "http://127.0.0.1:41234/callback";
pub const HEADLESS: &str = "https://phone.example.test/membrane/oauth/code";
const START: i64 = 1_790_000_000_000;

pub struct App {
    pub router: Router,
    pub accounts: Accounts,
    pub grants: Grants,
    pub db: Db,
    pub owner: Option<User>,
    clock: Arc<AtomicI64>,
    pub dir: tempfile::TempDir,
}

/// Stands in for the gateway: a token that names its grant, so that revocation can be followed.
struct Issuer;

#[async_trait::async_trait]
impl TokenIssuer for Issuer {
    async fn issue(&self, request: IssueFor) -> Result<IssuedToken, IssueError> {
        Ok(IssuedToken {
            access_token: format!("access.{}.{}", request.kind.as_str(), request.grant).into(),
            workspace_key: format!("ws-{}", request.tenant),
            tenant_key: Some(format!("user-{}", request.user.id)),
        })
    }

    async fn grant_of(&self, access_token: &str) -> Option<GrantId> {
        access_token
            .strip_prefix("access.")?
            .rsplit('.')
            .next()?
            .parse()
            .ok()
    }
}

struct Companies(Db);

#[async_trait::async_trait]
impl CompanyCreator for Companies {
    async fn create_company(&self, company: NewCompany) -> Result<TenantId, CompanyError> {
        let new = NewTenant {
            name: company.name,
            time_zone: company.time_zone,
            country_code: company.country_code,
        };
        let made = self
            .0
            .create_tenant(new, store::now())
            .await
            .map_err(|error| CompanyError(Box::new(error)))?;
        Ok(made.id)
    }
}

impl App {
    /// An installation on its first start: nobody can sign in.
    pub async fn empty() -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let db = Db::open_file(&dir.path().join("t.db")).await.expect("open");
        let accounts = Accounts::new(db.clone(), CookiePolicy { secure: true });
        let public_base = Url::parse(BASE).expect("url");
        let config = OauthConfig {
            gateway_base: public_base.join("membrane").expect("url"),
            other_bases: Vec::new(),
        };
        let oauth = OauthServer::new(db.clone(), Arc::new(Issuer), &config);
        let grants = oauth.grants();
        let clock = Arc::new(AtomicI64::new(START));
        let ticking = clock.clone();
        let state = SignIn::new(SignInParts {
            accounts: accounts.clone(),
            oauth,
            companies: Arc::new(Companies(db.clone())),
            public_base,
            clock: Arc::new(move || {
                Timestamp::from_millisecond(ticking.load(Ordering::Relaxed)).expect("in range")
            }),
        });
        let router = sign_in::router(state.clone())
            .nest("/membrane", sign_in::oauth_router(state.clone()))
            .nest("/elsewhere", sign_in::oauth_router_elsewhere(state.clone()))
            .merge(sign_in::well_known_router(state));
        Self {
            router,
            accounts,
            grants,
            db,
            owner: None,
            clock,
            dir,
        }
    }

    /// One company with one owner.
    pub async fn new() -> Self {
        let mut app = Self::empty().await;
        let new = NewTenant {
            name: "Acme & Sons".into(),
            time_zone: "Europe/Bratislava".into(),
            country_code: "SK".into(),
        };
        let tenant = app
            .db
            .create_tenant(new, app.now())
            .await
            .expect("tenant")
            .id;
        let person = NewPerson {
            tenant,
            email: EMAIL.into(),
            name: "Owner".into(),
            role: Role::Owner,
            password: PASSWORD.into(),
        };
        app.owner = Some(
            app.accounts
                .create_user(person, app.now())
                .await
                .expect("owner"),
        );
        app
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.clock.load(Ordering::Relaxed)).expect("in range")
    }

    pub fn pass_seconds(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    pub fn browser(&self) -> Browser {
        self.browser_from("192.0.2.1")
    }

    pub fn browser_from(&self, address: &str) -> Browser {
        let address = SocketAddr::new(address.parse().expect("address"), 5555);
        Browser {
            router: self.router.clone(),
            cookies: BTreeMap::new(),
            address,
        }
    }

    /// A browser in which the owner is signed in.
    pub async fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        let page = browser.sign_in(EMAIL, PASSWORD, "/").await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        browser
    }

    /// Signs in, allows the request and gives the code that reached the program.
    pub async fn code(&self, query: &str) -> String {
        let mut browser = self.signed_in().await;
        let answer = browser.decide(query, "allow").await;
        query_of(&answer.location())
            .get("code")
            .expect("a code")
            .clone()
    }

    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.browser().post(path, fields).await
    }

    /// Redeems a code as the command line does.
    pub async fn redeem(&self, code: &str) -> Answer {
        self.post_form("/membrane/oauth/token", &redemption(code))
            .await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", "membrane-cli"),
            ("refresh_token", token),
        ];
        self.post_form("/membrane/oauth/token", &fields).await
    }

    pub async fn is_live(&self, answer: &Value) -> bool {
        let token = answer["access_token"].as_str().expect("an access token");
        let grant = Issuer.grant_of(token).await.expect("a grant");
        self.grants.is_live(grant).await.expect("database")
    }
}

pub fn redemption(code: &str) -> [(&'static str, &str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", "membrane-cli"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("code", code),
    ]
}

pub fn challenge() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

/// The query of a good request, with some parameters replaced (or left out, when empty).
pub fn query(changes: &[(&str, &str)]) -> String {
    let challenge = challenge();
    let mut parameters = BTreeMap::from([
        ("response_type", "code"),
        ("client_id", "membrane-cli"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("state", "st&te=1"),
        ("token_type", "tenant"),
        ("client_name", "claude"),
    ]);
    parameters.extend(changes.iter().copied());
    let kept = parameters
        .into_iter()
        .filter(|(_, value)| !value.is_empty());
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .finish()
}

pub fn query_of(url: &str) -> BTreeMap<String, String> {
    Url::parse(url)
        .expect("an absolute address")
        .query_pairs()
        .into_owned()
        .collect()
}

/// Keeps cookies as a browser does.
pub struct Browser {
    router: Router,
    pub cookies: BTreeMap<String, String>,
    address: SocketAddr,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn location(&self) -> String {
        let location = self
            .headers
            .get(header::LOCATION)
            .unwrap_or_else(|| panic!("no redirect: {} {}", self.status, self.body));
        location.to_str().expect("text").to_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    /// The value of the first hidden field with this name.
    pub fn field(&self, name: &str) -> String {
        let marker = format!("name=\"{name}\" value=\"");
        let from = self
            .body
            .find(&marker)
            .unwrap_or_else(|| panic!("no field {name} in {}", self.body))
            + marker.len();
        let length = self.body[from..].find('"').expect("a closing quote");
        unescape(&self.body[from..from + length])
    }
}

fn unescape(text: &str) -> String {
    text.replace("&#x2f;", "/")
        .replace("&quot;", "\"")
        .replace("&#x27;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

impl Browser {
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, "", Body::empty()).await
    }

    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.send(
            Method::POST,
            path,
            "application/x-www-form-urlencoded",
            Body::from(body),
        )
        .await
    }

    pub async fn post_json(&mut self, path: &str, body: &Value) -> Answer {
        self.send(
            Method::POST,
            path,
            "application/json",
            Body::from(body.to_string()),
        )
        .await
    }

    pub async fn sign_in(&mut self, email: &str, password: &str, return_to: &str) -> Answer {
        let csrf = self.get("/sign-in").await.field("csrf");
        let fields = [
            ("email", email),
            ("password", password),
            ("return_to", return_to),
            ("csrf", &csrf),
        ];
        self.post("/sign-in", &fields).await
    }

    /// Opens the consent page and presses a button.
    pub async fn decide(&mut self, query: &str, decision: &str) -> Answer {
        let page = self
            .get(&format!("/membrane/oauth/authorize?{query}"))
            .await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let fields = [
            ("csrf", &*page.field("csrf")),
            ("request", &*page.field("request")),
            ("decision", decision),
        ];
        self.post("/membrane/oauth/authorize", &fields).await
    }

    async fn send(&mut self, method: Method, path: &str, content_type: &str, body: Body) -> Answer {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .extension(ConnectInfo(self.address));
        if !content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let response = self
            .router
            .clone()
            .oneshot(request.body(body).expect("a request"))
            .await
            .expect("infallible");
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().expect("text");
            let (name, value) = cookie
                .split(';')
                .next()
                .expect("a pair")
                .split_once('=')
                .expect("a pair");
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
        let body = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).expect("text"),
        }
    }
}
