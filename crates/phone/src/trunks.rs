//! Carriers at work: what is stored of them, what signalling knows of them, what is used of them.
//!
//! Changes reach signalling at once and end no running call. Passwords are sealed when they are
//! stored and opened only here, on their way to signalling.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
    time::Duration,
};

use calls::routing::{
    CallerIdHeader, Carrier, Health, Prefix, Rates, TrunkProblem, TrunkSettings, TrunkTransport,
    TrunkUsage,
};
use jiff::{civil::Date, tz::TimeZone};
use model::{CallPrice, PhoneNumber, RunningPrice, TenantId, Timestamp, TrunkId};
use secrecy::{ExposeSecret, SecretString};
use sip::{HostPort, IpNet, ProbeReport, SipStack, TrunkCredential, TrunkStatus};
use store::{
    Db, StoreError,
    trunks::{SealedPassword, TrunkEvent, TrunkRow},
};
use tokio::sync::Mutex;
use vault::{Context, KeyRing, VaultError, WrappedKey};

use crate::clock;

pub use sip::TrunkProblem as Problem;

/// What a sealed password belongs to, besides its owner.
const FIELD: &str = "trunk-password";
/// Longest name of a trunk.
const LONGEST_NAME: usize = 60;

/// Why a trunk could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum TrunkError {
    /// Its settings are wrong.
    #[error("{}", listed(.0))]
    Invalid(Vec<TrunkProblem>),
    /// Another trunk of the installation has this name.
    #[error("another trunk is called {0}")]
    NameTaken(String),
    /// There is none of this name, or it is not the asker's to change.
    #[error("there is no trunk {0}")]
    NotFound(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password can't be sealed or opened.
    #[error("the password can't be opened: {0}")]
    Vault(#[from] VaultError),
}

fn listed(problems: &[TrunkProblem]) -> String {
    let each = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.field, problem.message));
    each.collect::<Vec<_>>().join("; ")
}

/// A trunk as an operator gives it.
#[derive(Clone, Debug)]
pub struct TrunkChange {
    pub name: String,
    pub settings: TrunkSettings,
    /// `None` keeps the one there is.
    pub password: Option<SecretString>,
    pub is_enabled: bool,
}

/// A trunk as an operator sees it.
#[derive(Clone, Debug)]
pub struct TrunkView {
    pub id: TrunkId,
    /// `None` is shared by all companies.
    pub tenant: Option<TenantId>,
    pub name: String,
    pub settings: TrunkSettings,
    pub has_password: bool,
    pub is_enabled: bool,
    pub status: TrunkStatus,
    /// Why the stored settings can't be used; then signalling doesn't know the trunk.
    pub unusable: Option<String>,
    /// Prefixes with a price.
    pub prices: usize,
    /// Outgoing calls now.
    pub calls: u32,
    /// Milliseconds of outgoing talk today.
    pub talked_ms: u64,
    /// Spent today.
    pub spent_micros: u64,
}

/// A trunk through which a call came.
#[derive(Clone, Debug)]
pub(crate) struct Inbound {
    pub(crate) id: TrunkId,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) settings: Arc<TrunkSettings>,
}

impl Inbound {
    /// A number as this carrier writes it.
    pub(crate) fn read(&self, text: &str) -> Option<PhoneNumber> {
        let country = self.settings.country.as_deref().unwrap_or("ZZ");
        self.settings.numbers_in.read(text, country)
    }
}

/// The trunks of the installation.
pub struct Trunks {
    db: Db,
    keys: Arc<KeyRing>,
    sip: SipStack,
    known: RwLock<BTreeMap<TrunkId, Known>>,
    /// Held while they are loaded, so that the latest load wins.
    loading: Mutex<()>,
}

struct Known {
    tenant: Option<TenantId>,
    name: String,
    settings: Arc<TrunkSettings>,
    rates: Arc<Rates>,
    usage: TrunkUsage,
    has_password: bool,
    is_enabled: bool,
    unusable: Option<String>,
    /// Whose midnight ends its day.
    zone: TimeZone,
    /// Whose national numbers it uses.
    country: String,
}

/// A call's place on a trunk. Dropping it gives the place back.
pub(crate) struct Slot {
    trunks: Arc<Trunks>,
    trunk: TrunkId,
    price: Option<CallPrice>,
    answered: Option<Timestamp>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot({})", self.trunk)
    }
}

impl Slot {
    /// The callee picked up.
    pub(crate) fn answered(&mut self, now: Timestamp) {
        self.answered.get_or_insert(now);
    }

    /// What the leg goes on costing wherever it goes.
    pub(crate) fn running_price(&self, now: Timestamp) -> RunningPrice {
        let (talked_ms, _) = self.used(now);
        RunningPrice {
            price: self.price.unwrap_or(CallPrice::FREE),
            talked_ms,
            trunk: Some(self.trunk),
        }
    }

    /// Talk so far and what it costs.
    pub(crate) fn used(&self, now: Timestamp) -> (u64, u64) {
        let talked_ms = self
            .answered
            .map_or(0, |since| now.duration_since(since).as_millis());
        let talked_ms = u64::try_from(talked_ms).unwrap_or(0);
        (talked_ms, self.price.map_or(0, |price| price.of(talked_ms)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let now = clock::now();
        let (talked_ms, cost) = self.used(now);
        self.trunks.with(self.trunk, |known| {
            let today = today(&known.zone, now);
            known.usage.end(talked_ms, cost, today);
        });
    }
}

fn today(zone: &TimeZone, now: Timestamp) -> Date {
    zone.to_datetime(now).date()
}

impl Trunks {
    /// Loads what is stored and tells signalling.
    pub(crate) async fn open(
        db: Db,
        keys: Arc<KeyRing>,
        sip: SipStack,
    ) -> Result<Arc<Self>, StoreError> {
        let trunks = Arc::new(Self {
            db,
            keys,
            sip,
            known: RwLock::default(),
            loading: Mutex::new(()),
        });
        trunks.reload().await?;
        Ok(trunks)
    }

    /// Reads all trunks again and tells signalling what is new, changed and gone.
    pub(crate) async fn reload(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.loading.lock().await;
        let now = clock::now();
        let companies: BTreeMap<TenantId, _> = self
            .db
            .tenants()
            .await?
            .into_iter()
            .map(|tenant| (tenant.id, tenant))
            .collect();
        let mut known = BTreeMap::new();
        let mut wired = Vec::new();
        for row in self.db.trunks().await? {
            let company = row.tenant.and_then(|tenant| companies.get(&tenant));
            let zone = company
                .and_then(|company| TimeZone::get(&company.time_zone).ok())
                .unwrap_or(TimeZone::UTC);
            let (mut settings, mut unusable) = match serde_json::from_value(row.settings.clone()) {
                Ok(settings) => (settings, None),
                Err(error) => (TrunkSettings::default(), Some(error.to_string())),
            };
            if settings.country.is_none() {
                settings.country = company
                    .or_else(|| companies.values().next())
                    .map(|company| company.country_code.clone());
            }
            let prices = self.db.trunk_prices(row.id).await?;
            let rates = Rates::new(prices.into_iter().filter_map(|(prefix, price)| {
                let prefix: Prefix = prefix.parse().ok()?;
                Some((prefix, price))
            }));
            if row.is_enabled && unusable.is_none() {
                let password = self.open_password(&row);
                match password
                    .map_err(|error| error.to_string())
                    .and_then(|password| wire(&row.name, &settings, password))
                {
                    Ok(trunk) => wired.push(trunk),
                    Err(why) => unusable = Some(why),
                }
            }
            if let Some(why) = &unusable {
                tracing::error!(trunk.name = %row.name, %why, "a trunk can't be used");
            }
            let usage = match self.usage_of(row.id) {
                Some(usage) => usage,
                None => self.usage_today(row.id, &zone, now).await?,
            };
            let country = settings.country.clone().unwrap_or_default();
            known.insert(
                row.id,
                Known {
                    tenant: row.tenant,
                    name: row.name,
                    settings: Arc::new(settings),
                    rates: Arc::new(rates),
                    usage,
                    has_password: row.sealed_password.is_some(),
                    is_enabled: row.is_enabled,
                    unusable,
                    zone,
                    country,
                },
            );
        }
        {
            let mut current = self.known.write().expect("no holder panics");
            // Calls that began while we read count.
            for (id, fresh) in &mut known {
                if let Some(before) = current.get(id) {
                    fresh.usage = before.usage.clone();
                }
            }
            *current = known;
        }
        self.sip.set_trunks(wired);
        Ok(())
    }

    fn usage_of(&self, id: TrunkId) -> Option<TrunkUsage> {
        let known = self.known.read().expect("no holder panics");
        known.get(&id).map(|known| known.usage.clone())
    }

    async fn usage_today(
        &self,
        id: TrunkId,
        zone: &TimeZone,
        now: Timestamp,
    ) -> Result<TrunkUsage, StoreError> {
        let day = today(zone, now);
        let uses = self.db.trunk_use_since(midnight(zone, now)).await?;
        let used = uses.into_iter().find(|used| used.trunk == id);
        Ok(used.map_or_else(
            || TrunkUsage::so_far(day, 0, 0),
            |used| TrunkUsage::so_far(day, used.talking_ms, used.cost_micros),
        ))
    }

    fn with<R>(&self, id: TrunkId, change: impl FnOnce(&mut Known) -> R) -> Option<R> {
        let mut known = self.known.write().expect("no holder panics");
        known.get_mut(&id).map(change)
    }

    /// A company's carriers, as routes choose among them.
    pub(crate) fn carriers(&self, tenant: TenantId, now: Timestamp) -> Vec<Carrier> {
        let known = self.known.read().expect("no holder panics");
        let usable = known.iter().filter(|(_, known)| {
            known.is_enabled
                && known.unusable.is_none()
                && known.tenant.is_none_or(|owner| owner == tenant)
        });
        let carriers = usable.map(|(id, known)| Carrier {
            id: *id,
            name: known.name.clone(),
            settings: Arc::clone(&known.settings),
            rates: Arc::clone(&known.rates),
            usage: known.usage.clone(),
            health: match self.sip.trunk_status(&known.name) {
                Some(TrunkStatus::Failing { why, .. }) => Health::Failing(why.to_string()),
                _ => Health::Usable,
            },
            today: today(&known.zone, now),
        });
        carriers.collect()
    }

    /// A trunk's settings and country, for a call that is about to take it.
    pub(crate) fn settings(&self, id: TrunkId) -> Option<(Arc<TrunkSettings>, String)> {
        let known = self.known.read().expect("no holder panics");
        let known = known.get(&id)?;
        Some((Arc::clone(&known.settings), known.country.clone()))
    }

    /// Takes a place on a trunk. Emergency calls take one whatever the limits say.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub(crate) fn take(
        self: &Arc<Self>,
        id: TrunkId,
        price: Option<CallPrice>,
        is_emergency: bool,
        now: Timestamp,
    ) -> Result<Slot, String> {
        let taken = self.with(id, |known| {
            let today = today(&known.zone, now);
            if !is_emergency {
                known.usage.admits(&known.settings.limits, now, today)?;
            }
            known.usage.begin(now);
            Ok(())
        });
        taken.unwrap_or_else(|| Err("it was removed".to_owned()))?;
        Ok(Slot {
            trunks: Arc::clone(self),
            trunk: id,
            price,
            answered: None,
        })
    }

    /// The trunk of an incoming call, by the name signalling knows it by.
    pub(crate) fn inbound(&self, name: &str) -> Option<Inbound> {
        let known = self.known.read().expect("no holder panics");
        let (id, known) = known.iter().find(|(_, known)| known.name == name)?;
        Some(Inbound {
            id: *id,
            tenant: known.tenant,
            settings: Arc::clone(&known.settings),
        })
    }

    /// Signalling says that a trunk came up or failed.
    pub(crate) async fn changed(&self, name: &str, status: &TrunkStatus) {
        let (state, detail) = describe(status);
        if matches!(status, TrunkStatus::Failing { .. }) {
            tracing::warn!(trunk.name = name, state, %detail, "trunk changed");
        } else {
            tracing::info!(trunk.name = name, state, %detail, "trunk changed");
        }
        let Some(trunk) = self.inbound(name) else {
            return;
        };
        let event = TrunkEvent {
            at: clock::now(),
            state: state.to_owned(),
            detail,
        };
        if let Err(error) = self.db.add_trunk_event(trunk.id, event).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a trunk's change could not be stored"
            );
        }
    }

    /// The trunks a company uses, or all of them, by id.
    #[must_use]
    pub fn list(&self, tenant: Option<TenantId>) -> Vec<TrunkView> {
        let known = self.known.read().expect("no holder panics");
        let seen = known.iter().filter(|(_, known)| {
            tenant.is_none() || known.tenant.is_none() || known.tenant == tenant
        });
        let views = seen.map(|(id, known)| TrunkView {
            id: *id,
            tenant: known.tenant,
            name: known.name.clone(),
            settings: (*known.settings).clone(),
            has_password: known.has_password,
            is_enabled: known.is_enabled,
            status: self
                .sip
                .trunk_status(&known.name)
                .unwrap_or(TrunkStatus::Unknown),
            unusable: known.unusable.clone(),
            prices: known.rates.len(),
            calls: known.usage.concurrent,
            talked_ms: known.usage.talked_ms,
            spent_micros: known.usage.spent_micros,
        });
        views.collect()
    }

    /// The latest changes of a trunk's state, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events(&self, id: TrunkId, limit: u64) -> Result<Vec<TrunkEvent>, StoreError> {
        self.db.trunk_events(id, limit).await
    }

    /// Adds a trunk to a company, or one that all share.
    ///
    /// # Errors
    /// When its settings are wrong, its name is taken or it can't be stored.
    pub async fn add(
        &self,
        owner: Option<TenantId>,
        change: TrunkChange,
    ) -> Result<TrunkId, TrunkError> {
        let name = change.name.clone();
        let row = self.sealed(owner, change)?;
        let id = self
            .db
            .add_trunk(owner, row, clock::now())
            .await
            .map_err(|error| renamed(error, &name))?;
        self.reload().await?;
        Ok(id)
    }

    /// Replaces what is known of a trunk.
    ///
    /// # Errors
    /// As [`Trunks::add`], and when the owner has no such trunk.
    pub async fn save(
        &self,
        owner: Option<TenantId>,
        id: TrunkId,
        change: TrunkChange,
    ) -> Result<(), TrunkError> {
        let name = change.name.clone();
        let row = self.sealed(owner, change)?;
        let saved = self
            .db
            .save_trunk(owner, id, row, clock::now())
            .await
            .map_err(|error| renamed(error, &name))?;
        if !saved {
            return Err(TrunkError::NotFound(name));
        }
        self.reload().await?;
        Ok(())
    }

    /// Removes a trunk. Calls that run through it go on.
    ///
    /// # Errors
    /// When the owner has no such trunk, or the database fails.
    pub async fn remove(&self, owner: Option<TenantId>, id: TrunkId) -> Result<(), TrunkError> {
        if !self.db.delete_trunk(owner, id).await? {
            return Err(TrunkError::NotFound(id.to_string()));
        }
        self.reload().await?;
        Ok(())
    }

    /// Puts a price list in place of the one there is.
    ///
    /// # Errors
    /// When the database fails; then the old list stays.
    pub async fn set_prices(
        &self,
        id: TrunkId,
        prices: &[(Prefix, CallPrice)],
    ) -> Result<(), StoreError> {
        let rows: Vec<_> = prices
            .iter()
            .map(|(prefix, price)| (prefix.digits().to_owned(), *price))
            .collect();
        self.db.replace_trunk_prices(id, &rows).await?;
        self.reload().await
    }

    /// Tries a stored trunk once, step by step.
    ///
    /// # Errors
    /// When there is none, or its settings can't be used.
    pub async fn test(&self, id: TrunkId) -> Result<ProbeReport, TrunkError> {
        let row = self.db.trunks().await?.into_iter().find(|row| row.id == id);
        let row = row.ok_or_else(|| TrunkError::NotFound(id.to_string()))?;
        let settings: TrunkSettings =
            serde_json::from_value(row.settings.clone()).map_err(|error| unusable(&error))?;
        let password = self.open_password(&row)?;
        let trunk = wire(&row.name, &settings, password).map_err(|why| unusable(&why))?;
        Ok(self.sip.probe_trunk(trunk).await)
    }

    fn sealed(&self, owner: Option<TenantId>, change: TrunkChange) -> Result<TrunkRow, TrunkError> {
        let mut problems = change.settings.problems();
        let name = change.name.trim();
        let bad = |c: char| c.is_control() || c.is_whitespace() || "\"\\/".contains(c);
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(bad) {
            let message =
                format!("must be 1 to {LONGEST_NAME} characters without spaces and slashes");
            problems.insert(
                0,
                TrunkProblem {
                    field: "name",
                    message,
                },
            );
        }
        if let Err(message) = wire(name, &change.settings, None)
            && problems.is_empty()
        {
            problems.push(TrunkProblem {
                field: "server",
                message,
            });
        }
        if !problems.is_empty() {
            return Err(TrunkError::Invalid(problems));
        }
        let password = change.password.map(|password| self.seal(owner, &password));
        Ok(TrunkRow {
            name: name.to_owned(),
            settings: serde_json::to_value(&change.settings).unwrap_or_default(),
            password,
            is_enabled: change.is_enabled,
        })
    }

    fn seal(&self, owner: Option<TenantId>, password: &SecretString) -> SealedPassword {
        let label = label(owner);
        let (key, wrapped) = self.keys.new_data_key(&label);
        let context = context(&label);
        let plain = password.expose_secret().as_bytes().to_vec();
        SealedPassword {
            wrapped_key: wrapped.0,
            sealed: vault::seal(&key, &context, &plain.into()),
        }
    }

    fn open_password(
        &self,
        row: &store::trunks::Trunk,
    ) -> Result<Option<SecretString>, VaultError> {
        let (Some(wrapped), Some(sealed)) = (&row.wrapped_key, &row.sealed_password) else {
            return Ok(None);
        };
        let label = label(row.tenant);
        let key = self.keys.unwrap(&label, &WrappedKey(wrapped.clone()))?;
        let plain = vault::open(&key, &context(&label), sealed)?;
        let text = std::str::from_utf8(plain.expose_secret()).map_err(|_| VaultError::Malformed)?;
        Ok(Some(SecretString::from(text)))
    }
}

fn unusable(why: &impl std::fmt::Display) -> TrunkError {
    TrunkError::Invalid(vec![TrunkProblem {
        field: "settings",
        message: why.to_string(),
    }])
}

fn renamed(error: StoreError, name: &str) -> TrunkError {
    match error {
        StoreError::Duplicate { .. } => TrunkError::NameTaken(name.to_owned()),
        error => error.into(),
    }
}

/// Whose a sealed password is.
fn label(owner: Option<TenantId>) -> String {
    match owner {
        Some(tenant) => format!("trunks of company {tenant}"),
        None => "trunks of all".to_owned(),
    }
}

fn context(label: &str) -> Context<'_> {
    Context {
        tenant: label,
        connection: "",
        field: FIELD,
    }
}

/// The start of the day.
pub(crate) fn midnight(zone: &TimeZone, now: Timestamp) -> Timestamp {
    let start = zone.to_datetime(now).date().at(0, 0, 0, 0);
    zone.to_timestamp(start).unwrap_or(now)
}

/// A state's name and what there is to say about it.
#[must_use]
pub fn describe(status: &TrunkStatus) -> (&'static str, String) {
    match status {
        TrunkStatus::Unknown => ("unknown", "not asked yet".to_owned()),
        TrunkStatus::Registering => ("registering", String::new()),
        TrunkStatus::Registered {
            until,
            via,
            transport,
        } => (
            "registered",
            format!("at {via} ({}) until {until}", transport.as_str()),
        ),
        TrunkStatus::Answering {
            round_trip,
            via,
            transport,
        } => (
            "answering",
            format!(
                "{via} ({}) in {} ms",
                transport.as_str(),
                round_trip.as_millis()
            ),
        ),
        TrunkStatus::Failing { since, why, .. } => {
            ("failing", format!("since {since}: {why}; {}", why.hint()))
        }
    }
}

/// A trunk in signalling's words.
fn wire(
    name: &str,
    settings: &TrunkSettings,
    password: Option<SecretString>,
) -> Result<sip::Trunk, String> {
    let host = |text: &str| text.parse::<HostPort>().map_err(|error| error.to_string());
    let mut trunk = sip::Trunk::new(name, host(&settings.server)?);
    trunk.transport = settings.transport.map(|transport| match transport {
        TrunkTransport::Udp => sip::Transport::Udp,
        TrunkTransport::Tcp => sip::Transport::Tcp,
        TrunkTransport::Tls => sip::Transport::Tls,
    });
    trunk.outbound_proxy = settings.outbound_proxy.as_deref().map(host).transpose()?;
    trunk.from_domain.clone_from(&settings.domain);
    trunk.trusts_identity = settings.trusted;
    trunk.keep_alive = (settings.keep_alive_seconds > 0)
        .then(|| Duration::from_secs(u64::from(settings.keep_alive_seconds)));
    for source in &settings.sources {
        let network = source
            .parse::<IpNet>()
            .or_else(|_| source.parse::<std::net::IpAddr>().map(IpNet::from))
            .map_err(|_| format!("{source:?} is not a network such as 203.0.113.0/24"))?;
        trunk.sources.push(network);
    }
    if let Some(register) = &settings.register {
        let user = settings.username.clone();
        trunk.registration = Some(sip::Registration {
            user: user.ok_or("a user name is needed to register")?,
            contact_user: register.contact_user.clone(),
            expires: Duration::from_secs(u64::from(register.expires_seconds)),
        });
    }
    let user = settings
        .auth_username
        .as_ref()
        .or(settings.username.as_ref());
    if let (Some(username), Some(password)) = (user, password) {
        trunk.credential = Some(TrunkCredential {
            username: username.clone(),
            password,
        });
    }
    Ok(trunk)
}

/// Who calls, as a carrier is told: the user of From, and of P-Asserted-Identity.
pub(crate) fn identity(
    settings: &TrunkSettings,
    caller_id: Option<&str>,
) -> (sip::Party, sip::Identity) {
    let account = settings.username.clone().unwrap_or_default();
    let party = |user: String| sip::Party {
        user,
        display: None,
    };
    let Some(number) = caller_id else {
        // The carrier must still know whose call it is.
        let identity = sip::Identity {
            asserted: (!account.is_empty()).then_some(account),
            privacy: sip::Privacy::Id,
        };
        return (party("anonymous".to_owned()), identity);
    };
    let asserted = match settings.caller_id {
        CallerIdHeader::From => None,
        CallerIdHeader::PAssertedIdentity | CallerIdHeader::PAssertedIdentityOnly => {
            Some(number.to_owned())
        }
    };
    let from = match settings.caller_id {
        CallerIdHeader::PAssertedIdentityOnly if !account.is_empty() => account,
        _ => number.to_owned(),
    };
    let identity = sip::Identity {
        asserted,
        privacy: sip::Privacy::None,
    };
    (party(from), identity)
}
