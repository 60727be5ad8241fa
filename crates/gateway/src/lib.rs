//! The gateway's service: connections, actions, search, runs and the proxy.
//!
//! It joins what the layers below do alone: `connector` builds requests and reads answers, `vault` seals
//! credentials, `outbound` sends, `store` keeps. It refuses to know HTTP routes and pages, how people sign in
//! (behind [`Grants`]) and how the phone system makes API keys (behind [`LocalPhone`]).
//!
//! Start with [`Gateway`]; everything a caller may do takes the [`Caller`] that
//! [`Gateway::authenticate`] made of his token.

mod actions;
mod caller;
mod catalog;
mod changes;
mod connections;
mod credentials;
mod customers;
mod embedding;
mod error;
mod ids;
mod local;
mod proxy;
mod redact;
mod search;
mod search_learning;
mod send;
mod tokens;
mod workspaces;

use std::sync::{Arc, OnceLock};

use connector::Manifest;
use outbound::Outbound;
use store::Db;
use url::Url;
use vault::KeyRing;

pub use actions::{ActionQuery, ActionScope, FoundAction, Page, RecordedRun, RunOutcome, RunQuery};
pub use caller::Caller;
pub use catalog::{Catalog, CatalogAction, Connector, Ranked};
pub use connections::{
    ClientAction, ClientActionKind, ConnectionQuery, ConnectionSelector, CreateConnection,
    PatchConnection, normalise_app_url,
};
pub use embedding::{EmbedError, Embedder, Purpose, RemoteEmbedder};
pub use error::{ErrorKind, GatewayError};
pub use local::{LOCAL_CONNECTOR, LocalKeyError, LocalPhone};
pub use proxy::{ProxyBody, ProxyCall};
pub use search::{ElementKind, Found, SearchQuery};
pub use search_learning::SearchSettings;
pub use store::gateway::{
    ActionRun, Connection, ConnectionLog, ConnectionRequest, ConnectionState, Customer, CustomerId,
    PersonalToken, Reach, RequestStatus, RunStatus, Workspace,
};
pub use tokens::{Grants, NewPersonalToken, TokenSpec};
pub use workspaces::NewWorkspace;

/// What the gateway is built from.
pub struct Parts {
    pub db: Db,
    /// Keys of the vault.
    pub keys: Arc<KeyRing>,
    /// The way out.
    pub outbound: Outbound,
    /// Connectors that ship with the product or that the operator added.
    pub manifests: Vec<Manifest>,
    /// Public base of the Membrane interface, such as `https://phone.example/membrane`.
    pub base_url: Url,
    /// The phone system in the same house, if there is one.
    pub local_phone: Option<Arc<dyn LocalPhone>>,
    /// Asked before a token that names a grant is honoured. Without it such tokens are refused.
    pub grants: Option<Arc<dyn Grants>>,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    keys: Arc<KeyRing>,
    outbound: Outbound,
    catalog: Catalog,
    base_url: Url,
    local_phone: Option<Arc<dyn LocalPhone>>,
    grants: Option<Arc<dyn Grants>>,
    changes: changes::Changes,
    search_memory: search_learning::SearchMemory,
    understanding: OnceLock<embedding::Understanding>,
    words_alone: OnceLock<()>,
}

impl Gateway {
    /// Puts the service together. Search indexes are built here, once for each connector version.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            inner: Arc::new(Inner {
                db: parts.db,
                keys: parts.keys,
                outbound: parts.outbound,
                catalog: Catalog::new(parts.manifests),
                base_url: parts.base_url,
                local_phone: parts.local_phone,
                grants: parts.grants,
                changes: changes::Changes::new(),
                search_memory: search_learning::SearchMemory::default(),
                understanding: OnceLock::new(),
                words_alone: OnceLock::new(),
            }),
        }
    }

    /// The connectors and their actions.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// The public base of the interface, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.inner.base_url.as_str().trim_end_matches('/')
    }

    /// The page on which a person completes a connection request.
    #[must_use]
    pub fn connect_url(&self, request_id: &str) -> String {
        format!(
            "{}/screens/connections?connectionRequestId={request_id}",
            self.base_url()
        )
    }
}
