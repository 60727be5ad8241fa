//! REGISTER: who is where (RFC 3261 §10).

mod bindings;
mod digest;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::core::Core;
use crate::dialog::usable_contact;
use crate::guard::Offence;
use crate::net::{Flow, source_key};
use crate::transaction::ServerHandle;
use crate::wire::{NameAddr, Request, SipUri, split_list};
use crate::{Binding, DeviceCredential, SipConfig, SipEvent};
use bindings::{Change, Contact, Refusal, Table};
pub(crate) use digest::Credentials;
use digest::{Checked, Nonces};

/// Bindings are written one at a time per username; usernames share these locks.
const WRITE_LOCKS: usize = 64;

pub(crate) struct Registrar {
    realm: String,
    table: Mutex<Table>,
    nonces: Nonces,
    writing: Vec<tokio::sync::Mutex<()>>,
}

/// Whose challenge is sent: ours as a registrar (401) or for a call (407).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Registrar,
    Proxy,
}

/// Who sent a request.
pub(crate) enum Verdict {
    Known(String),
    /// Values for WWW-Authenticate or Proxy-Authenticate.
    Challenge(Vec<String>),
    Refused(u16),
}

impl Registrar {
    pub fn new(config: &SipConfig, kept: Vec<(String, Binding)>) -> Self {
        Self {
            realm: config.realm.clone(),
            table: Mutex::new(Table::new(&config.limits, kept, Timestamp::now())),
            nonces: Nonces::new(config.limits.nonce_lifetime),
            writing: (0..WRITE_LOCKS)
                .map(|_| tokio::sync::Mutex::new(()))
                .collect(),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn bindings(&self, username: &str) -> Vec<Binding> {
        self.table().of(username, Timestamp::now())
    }

    /// Whether a device registered from here.
    pub fn is_device(&self, flow: &Flow) -> bool {
        let table = self.table();
        // Behind a proxy a binding is either the device's own or, where the proxy
        // does not put itself into the path, the proxy's.
        [flow.origin, flow.remote]
            .iter()
            .any(|from| table.is_flow(*from, flow.transport()))
    }

    /// Whether a device is registered from this source.
    pub fn is_home(&self, source: IpAddr) -> bool {
        self.table().is_home(source)
    }

    /// Who sent the request, by its digest; guessing is slowed and counted.
    pub async fn authenticate(
        &self,
        core: &Core,
        request: &Request,
        flow: &Flow,
        challenge: Challenge,
    ) -> Verdict {
        let (verdict, account) = self.examine(core, request, flow, challenge).await;
        let offence = match &verdict {
            Verdict::Known(username) => {
                core.guard.proven(source_key(flow.origin.ip()), username);
                return verdict;
            }
            Verdict::Challenge(_) => Offence::Unproven,
            Verdict::Refused(_) => Offence::WrongProof,
        };
        let delay = core.offended(flow, account.as_deref(), offence);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        verdict
    }

    /// The verdict, and the account it is about. Unknown users and wrong passwords
    /// cost the same work and get the same answer.
    async fn examine(
        &self,
        core: &Core,
        request: &Request,
        flow: &Flow,
        challenge: Challenge,
    ) -> (Verdict, Option<String>) {
        let header = match challenge {
            Challenge::Registrar => "Authorization",
            Challenge::Proxy => "Proxy-Authorization",
        };
        let now = Timestamp::now();
        let md5_only = digest::md5_only(request);
        let offered = request
            .headers
            .all(header)
            .find_map(|value| Credentials::parse(value, &self.realm));
        let Some(offered) = offered else {
            let values = self.challenges(flow, now, false, md5_only);
            return (Verdict::Challenge(values), None);
        };
        // A phone that is at home here goes on, whoever else guesses its password.
        if core
            .guard
            .is_pair_banned(source_key(flow.origin.ip()), &offered.username, now)
            && !self.table().is_registered_at(&offered.username, flow)
        {
            return (Verdict::Refused(403), Some(offered.username));
        }
        let known = core.directory.device(&offered.username).await;
        let exists = known.is_some();
        let credential = known.unwrap_or_else(|| DeviceCredential::from_digests([0; 16], [0; 32]));
        let matches = offered.matches(&credential, request);
        let account = credential
            .account
            .clone()
            .unwrap_or_else(|| offered.username.clone());
        let verdict = match self.nonces.check(&offered, flow.origin.ip(), now) {
            Checked::Stale => Verdict::Challenge(self.challenges(flow, now, true, md5_only)),
            Checked::Foreign => Verdict::Challenge(self.challenges(flow, now, false, md5_only)),
            Checked::Fresh if matches && exists => Verdict::Known(account.clone()),
            Checked::Fresh => Verdict::Refused(403),
        };
        (verdict, Some(account))
    }

    fn challenges(&self, flow: &Flow, now: Timestamp, stale: bool, md5_only: bool) -> Vec<String> {
        let source = flow.origin.ip();
        self.nonces
            .challenges(&self.realm, source, now, stale, md5_only)
    }

    /// Sends a ping to those phones behind a NAT whose turn it is in this second:
    /// the NAT keeps their way open for as long as something passes. Two line
    /// breaks cost them nothing (RFC 5626 §3.5.1).
    pub fn keep_open(&self, core: &Core, second: u64) {
        let turns = core.config.limits.keep_open.as_secs().max(1);
        let due = self.table().behind_nat(second % turns, turns);
        for (phone, at) in due {
            if let Some(port) = core.port_to(phone, at) {
                Flow::udp(port, phone).send(Bytes::from_static(b"\r\n\r\n"));
            }
        }
    }

    /// Drops what expired; the usernames it happened to.
    pub async fn expire(&self, core: &Core) {
        let now = Timestamp::now();
        self.nonces.forget_old(now);
        let changed = self.table().expire(now);
        for username in changed {
            self.lost_some(core, username).await;
        }
    }

    async fn lost_some(&self, core: &Core, username: String) {
        let bindings = self.save(core, &username).await;
        core.publish(SipEvent::Unregistered { username, bindings });
    }

    /// Writes a username's bindings as they are now; how many they are.
    async fn save(&self, core: &Core, username: &str) -> usize {
        let mut hasher = DefaultHasher::new();
        username.hash(&mut hasher);
        let slot = usize::try_from(hasher.finish() % WRITE_LOCKS as u64).unwrap_or(0);
        let _writing = match self.writing.get(slot) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        };
        let bindings = self.bindings(username);
        core.directory.save_bindings(username, &bindings).await;
        bindings.len()
    }
}

/// A connection is gone, and with it the devices that only it could reach.
pub(crate) fn disconnected(core: &Arc<Core>, flow: &Flow) {
    let lost = core
        .registrar
        .table()
        .disconnected(flow.remote, flow.transport());
    if lost.is_empty() {
        return;
    }
    let core = Arc::clone(core);
    core.tasks.clone().spawn(async move {
        for username in lost {
            core.registrar.lost_some(&core, username).await;
        }
    });
}

/// A REGISTER that passed the validation stage.
pub(crate) fn register(core: &Arc<Core>, request: Request, tx: ServerHandle, flow: &Flow) {
    let (core, flow) = (Arc::clone(core), flow.clone());
    core.tasks
        .clone()
        .spawn(async move { answer(&core, &request, &tx, &flow).await });
}

async fn answer(core: &Arc<Core>, request: &Request, tx: &ServerHandle, flow: &Flow) {
    let username = match core
        .registrar
        .authenticate(core, request, flow, Challenge::Registrar)
        .await
    {
        Verdict::Known(username) => username,
        Verdict::Challenge(values) => {
            let response = core.answer(request, tx, 401);
            let response = values
                .into_iter()
                .fold(response, |r, v| r.with("WWW-Authenticate", v));
            return tx.respond(&response);
        }
        Verdict::Refused(status) => return tx.respond(&core.answer(request, tx, status)),
    };
    // RFC 3261 §10.3 step 4: nobody registers for somebody else.
    let aor = request.headers.get("To").and_then(NameAddr::parse);
    let aor = aor
        .and_then(|a| SipUri::parse(&a.uri).ok())
        .map(|uri| uri.user);
    if aor.as_deref() != Some(username.as_str()) {
        return tx.respond(&core.answer(request, tx, 403));
    }
    let path = core.path_of(request, flow);
    let change = match read_change(request) {
        Ok(change) => change,
        Err(status) => return tx.respond(&core.answer(request, tx, status)),
    };
    let now = Timestamp::now();
    let before = core.registrar.bindings(&username).len();
    let applied = core
        .registrar
        .table()
        .apply(&username, change, request, (flow, &path), now);
    if let Err(refusal) = applied {
        let (status, extra) = match refusal {
            Refusal::TooBrief(min) => (423, Some(("Min-Expires", min.as_secs().to_string()))),
            Refusal::OutOfOrder => (500, None),
            Refusal::TooMany => (503, Some(("Retry-After", "60".to_owned()))),
        };
        let response = core.answer(request, tx, status);
        let response = extra
            .into_iter()
            .fold(response, |r, (name, value)| r.with(name, value));
        return tx.respond(&response);
    }
    let count = core.registrar.save(core, &username).await;
    let mut response = core.answer(request, tx, 200);
    for hop in path {
        response = response.with("Path", hop);
    }
    for binding in core.registrar.bindings(&username) {
        let left = binding
            .expires_at
            .as_second()
            .saturating_sub(Timestamp::now().as_second())
            .max(0);
        response = response.with("Contact", format!("<{}>;expires={left}", binding.contact));
    }
    tx.respond(&response);
    let queried = request.headers.get("Contact").is_none();
    if !queried {
        core.publish(if count > 0 && count >= before {
            SipEvent::Registered {
                username,
                bindings: count,
            }
        } else {
            SipEvent::Unregistered {
                username,
                bindings: count,
            }
        });
    }
}

/// Proxies a device may be behind.
const LONGEST_PATH: usize = 8;

impl Core {
    /// The path a REGISTER took (RFC 3327 §5.3), if its first proxy is the one
    /// that sent it or one we trust: calls would go wherever a path says.
    fn path_of(&self, request: &Request, flow: &Flow) -> Vec<String> {
        let path = request.headers.all("Path").flat_map(split_list);
        let path: Vec<String> = path.take(LONGEST_PATH).map(str::to_owned).collect();
        let first = path.first().and_then(|hop| NameAddr::parse(hop));
        let first = first.and_then(|hop| SipUri::parse(&hop.uri).ok());
        let host = first.and_then(|uri| uri.host.parse::<IpAddr>().ok());
        let hop = flow.remote.ip().to_canonical();
        let believed = host.is_some_and(|host| host.to_canonical() == hop || self.trusts(host))
            && path.iter().all(|hop| hop.len() <= 500);
        if believed { path } else { Vec::new() }
    }
}

/// What a REGISTER asks for (RFC 3261 §10.3 steps 6 and 7).
fn read_change(request: &Request) -> Result<Change, u16> {
    let header = match request.headers.get("Expires") {
        Some(value) => Some(seconds(value).ok_or(400_u16)?),
        None => None,
    };
    let values: Vec<&str> = request
        .headers
        .all("Contact")
        .flat_map(split_list)
        .collect();
    if values.contains(&"*") {
        let alone = values.len() == 1 && header == Some(Duration::ZERO);
        return if alone {
            Ok(Change::RemoveAll)
        } else {
            Err(400)
        };
    }
    let mut contacts = Vec::new();
    for value in values {
        let contact = NameAddr::parse(value)
            .filter(usable_contact)
            .ok_or(400_u16)?;
        // RFC 3261 §10.3: a malformed value counts as 3600.
        let own = contact
            .param("expires")
            .map(|value| seconds(&value).unwrap_or(Duration::from_secs(3600)));
        contacts.push(Contact {
            instance: instance(&contact),
            uri: contact.uri,
            expires: own.or(header),
        });
    }
    Ok(Change::Set(contacts))
}

/// The instance with its `reg-id`: the same device by another way is another binding.
fn instance(contact: &NameAddr) -> Option<String> {
    let instance = contact.param("+sip.instance").filter(|i| !i.is_empty())?;
    let way = contact.param("reg-id").unwrap_or_default();
    (instance.len() + way.len() <= 200).then(|| format!("{instance} {way}"))
}

fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = !text.is_empty() && text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| text.parse().ok().map(Duration::from_secs))
        .flatten()
}
