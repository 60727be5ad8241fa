//! The HTTP listeners: which face answers which path, and how they end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use accounts::{Accounts, OauthServer};
use axum::{Router, extract::State, routing::get};
use gateway::Gateway;
use http::StatusCode;
use phone::Phone;
use sign_in::{SignIn, SignInParts};
use sip::SipStack;
use store::Db;
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use url::Url;

use crate::{
    config::Config,
    faces, glue,
    web_sip::{self, WebSip},
};

/// What the faces are built from.
pub struct Faces<'a> {
    pub config: &'a Config,
    pub db: Db,
    pub phone: Phone,
    pub gateway: Gateway,
    pub accounts: Accounts,
    pub oauth: OauthServer,
    pub public_base: Url,
    pub realm: String,
    /// Where phones register.
    pub sip: SocketAddr,
    pub signalling: SipStack,
}

/// The running listeners.
pub struct Server {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    failures: mpsc::Receiver<String>,
}

/// Serves all faces on the web listener and, when there is one, the gateway at the root of its own.
pub fn serve(faces: Faces<'_>, web: TcpListener, gateway: Option<TcpListener>) -> Server {
    let sign_in = SignIn::new(SignInParts {
        accounts: faces.accounts.clone(),
        oauth: faces.oauth.clone(),
        companies: Arc::new(glue::Companies {
            db: faces.db.clone(),
            gateway: faces.gateway.clone(),
        }),
        public_base: faces.public_base.clone(),
        clock: Arc::new(store::now),
    });
    let membrane = faces::membrane(&faces);
    let cloudtalk = faces::cloudtalk(&faces);
    let membrane_at_base = membrane
        .clone()
        .merge(sign_in::oauth_router(sign_in.clone()));
    let web_sip = WebSip {
        sip: faces.signalling.clone(),
        bound: web.local_addr().unwrap_or(faces.config.http),
        secure: faces.public_base.scheme() == "https",
    };
    let site = Router::new()
        .route(web_sip::PATH, get(web_sip::upgrade).with_state(web_sip))
        .route("/healthz", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(ready).with_state((faces.db.clone(), faces.phone.clone())),
        )
        .merge(sign_in::router(sign_in.clone()))
        .merge(sign_in::well_known_router(sign_in.clone()))
        .merge(cloudtalk_api::router(cloudtalk))
        .merge(faces::console(&faces))
        .nest("/membrane", membrane_at_base);
    let mut server = Server::new();
    let failures = server.0;
    server.1.listen("http", web, site, failures.clone());
    if let Some(listener) = gateway {
        let site = membrane.merge(sign_in::oauth_router_elsewhere(sign_in));
        server.1.listen("gateway-http", listener, site, failures);
    }
    server.1
}

/// Late audio is told and makes nobody unready: calls elsewhere would not be better off.
async fn ready(State((db, phone)): State<(Db, Phone)>) -> (StatusCode, String) {
    match db.ping().await {
        Ok(()) => (StatusCode::OK, format!("ready\n{}\n", phone.punctuality())),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database does not answer\n".to_owned(),
        ),
    }
}

impl Server {
    fn new() -> (mpsc::Sender<String>, Self) {
        let (sender, failures) = mpsc::channel(4);
        (
            sender,
            Self {
                stop: CancellationToken::new(),
                tasks: JoinSet::new(),
                failures,
            },
        )
    }

    fn listen(
        &mut self,
        name: &'static str,
        listener: TcpListener,
        site: Router,
        failures: mpsc::Sender<String>,
    ) {
        let stop = self.stop.clone();
        let service = site
            .layer(CatchPanicLayer::new())
            .into_make_service_with_connect_info::<SocketAddr>();
        self.tasks.spawn(async move {
            let served = axum::serve(listener, service)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await;
            if let Err(error) = served {
                let _ = failures
                    .send(format!("the {name} listener failed: {error}"))
                    .await;
            }
        });
    }

    /// Waits until a listener fails; says how.
    pub async fn failed(&mut self) -> String {
        match self.failures.recv().await {
            Some(problem) => problem,
            None => std::future::pending().await,
        }
    }

    /// No new connections; requests under way go on.
    pub fn stop_accepting(&self) {
        self.stop.cancel();
    }

    /// Gives requests under way this long, then ends them.
    pub async fn finish(&mut self, limit: Duration) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::info!("some requests were still waiting and are ended");
            self.tasks.shutdown().await;
        }
    }
}
