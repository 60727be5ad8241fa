//! The pages on which people sign in, set up the first owner and consent to programs, and the OAuth
//! endpoints those programs call. Plain server-rendered HTML: no script, any browser.
//!
//! Refuses to know how passwords are checked or tokens made (`accounts`), and what a workspace is.
//!
//! Start with [`SignIn`]; the server mounts [`router`] at the root of the site, [`oauth_router`] under
//! the gateway's base path and [`well_known_router`] at the root again. Serve with
//! `into_make_service_with_connect_info::<SocketAddr>()`, so that guessing is slowed by address.

mod form;
mod oauth;
mod pages;
mod return_to;
mod setup;
mod sign_in;
mod visitor;

use std::sync::Arc;

use accounts::{Accounts, CompanyCreator, OauthServer, SignedIn};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use http::HeaderMap;
use model::Timestamp;
use url::Url;

pub use pages::STYLE_SHEET;
pub use visitor::Visitor;

/// What the pages need. Cheap to clone.
#[derive(Clone)]
pub struct SignIn {
    inner: Arc<Inner>,
}

struct Inner {
    accounts: Accounts,
    oauth: OauthServer,
    companies: Arc<dyn CompanyCreator>,
    public_base: Url,
    clock: Clock,
    pages: pages::Pages,
}

type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The parts of [`SignIn`].
pub struct SignInParts {
    pub accounts: Accounts,
    pub oauth: OauthServer,
    pub companies: Arc<dyn CompanyCreator>,
    /// The address people open, such as `https://phone.example.test`.
    pub public_base: Url,
    /// The wall clock.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl SignIn {
    #[must_use]
    pub fn new(parts: SignInParts) -> Self {
        let SignInParts {
            accounts,
            oauth,
            companies,
            public_base,
            clock,
        } = parts;
        Self {
            inner: Arc::new(Inner {
                accounts,
                oauth,
                companies,
                public_base,
                clock,
                pages: pages::Pages::new(),
            }),
        }
    }

    fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }
}

/// Who is signed in, by the cookies of a request. A failing database counts as nobody, and is logged.
pub async fn signed_in(
    accounts: &Accounts,
    headers: &HeaderMap,
    now: Timestamp,
) -> Option<SignedIn> {
    match accounts.signed_in(&visitor::cookies(headers), now).await {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, "the session could not be looked up");
            None
        }
    }
}

/// `/sign-in`, `/sign-out`, `/setup/{token}` and `/assets/pages.css`, for the root of the site.
pub fn router(state: SignIn) -> Router {
    Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/setup/{token}", get(setup::show).post(setup::submit))
        .route("/assets/pages.css", get(pages::style_sheet))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(state)
}

/// `/oauth/*` and the metadata, for the gateway's public base path.
pub fn oauth_router(state: SignIn) -> Router {
    let pages = Router::new()
        .route(
            "/oauth/authorize",
            get(oauth::authorize::show).post(oauth::authorize::submit),
        )
        .route("/oauth/code", get(oauth::authorize::code_page));
    pages
        .merge(oauth::machine_routes())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(state)
}

/// The same for another address of the gateway. Pages live at the public one only, where the session
/// cookie and the sign-in page are: people are sent there.
pub fn oauth_router_elsewhere(state: SignIn) -> Router {
    Router::new()
        .route("/oauth/authorize", get(oauth::authorize::go_to_public_base))
        .merge(oauth::machine_routes())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(state)
}

/// The metadata where RFC 8414 §3.1 looks for it: at the root of the site, the issuer's path behind.
pub fn well_known_router(state: SignIn) -> Router {
    oauth::well_known_routes(&state).with_state(state)
}

const MAX_BODY: usize = 64 * 1024;
