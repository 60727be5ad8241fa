//! What our own web app uses: the JSON under `/console/api` and the app's own files.
//!
//! Refuses to know how people sign in (`accounts`) and holds no rules of its own: it reads the services and
//! shapes what they say. Start with [`Console`] and [`router`], which is mounted at the root of the site. The
//! TypeScript side of the shapes is `web/src/api/types.ts`.

mod agents;
mod app;
mod calls;
mod connections;
mod error;
mod ice;
mod me;
mod numbers;
mod outgoing;
mod phone;
mod recordings;
mod rooms;
mod session;
mod signalling;
mod sounds;
mod trunks;

use std::sync::Arc;

use ::phone::Phone;
use accounts::Accounts;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, patch, post, put},
};
use gateway::Gateway;
pub use ice::IceServers;
use model::Timestamp;
use store::Db;

/// What the web app is served from. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    pub db: Db,
    pub phone: Phone,
    pub gateway: Gateway,
    pub accounts: Accounts,
    pub addresses: Arc<Addresses>,
    /// What the page's phone is told about ways through firewalls.
    pub ice: Arc<IceServers>,
    /// The wall clock.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// Where things are, for showing to people.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    /// The base of the Membrane interface: `https://phone.example.test/membrane`.
    pub membrane_api: String,
    /// The base of the CloudTalk interface: `https://phone.example.test/api`.
    pub cloudtalk_api: String,
    /// Where phones register.
    pub sip_host: String,
    pub sip_port: u16,
}

/// The web app's pages, its files and its JSON, for the root of the site.
pub fn router(console: Console) -> Router {
    let api = Router::new()
        .route("/me", get(me::show))
        .route("/calls", get(calls::list))
        .route("/calls/{id}/signalling", get(signalling::show))
        .route("/calls/{id}/signalling.pcap", get(signalling::capture))
        .route(
            "/calls/{id}/recording",
            get(recordings::play)
                .put(recordings::switch)
                .delete(recordings::delete),
        )
        .route("/calls/{id}/recording/peaks", get(recordings::peaks))
        .route("/calls/{id}/monitor", post(recordings::monitor))
        .route(
            "/recording-settings",
            get(recordings::settings).put(recordings::save_settings),
        )
        .route("/recording-receipts", get(recordings::receipts))
        .route(
            "/sounds",
            get(sounds::list)
                .post(sounds::add)
                .layer(DefaultBodyLimit::max(::phone::sounds::MOST_BYTES)),
        )
        .route("/sounds/{id}", patch(sounds::rename).delete(sounds::delete))
        .route("/sounds/{id}/audio", get(sounds::audio))
        .route("/rooms", get(rooms::list).post(rooms::add))
        .route("/rooms/{id}", put(rooms::save).delete(rooms::remove))
        .route("/agents", get(agents::list))
        .route("/numbers", get(numbers::list))
        .route("/connections", get(connections::list))
        .route("/trunks", get(trunks::list).post(trunks::add))
        .route("/trunks/{id}", put(trunks::save).delete(trunks::remove))
        .route("/trunks/{id}/test", post(trunks::test))
        .route("/trunks/{id}/prices", put(trunks::prices))
        .route("/outgoing", get(outgoing::show).put(outgoing::save))
        .route("/outgoing/release", post(outgoing::release))
        .route("/phone", get(phone::show))
        .route("/phone/availability", put(phone::switch))
        .route("/phone/credential", post(phone::credential))
        .fallback(error::no_such_route);
    let pages = [
        "/",
        "/calls",
        "/agents",
        "/recordings",
        "/sounds",
        "/connections",
        "/trunks",
        "/start",
    ];
    let site = pages
        .into_iter()
        .fold(Router::new(), |site, path| site.route(path, get(app::page)));
    site.route("/assets/{*file}", get(app::asset))
        .route("/favicon.svg", get(app::favicon))
        .route("/r/play/{id}", get(app::play))
        .nest("/console/api", api)
        .with_state(console)
}
