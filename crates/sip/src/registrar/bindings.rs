//! The bindings themselves. Time is an argument.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;

use crate::net::{Flow, source_key};
use crate::wire::Request;
use crate::{Binding, Limits, Transport};

/// What a REGISTER wants changed.
pub(super) enum Change {
    /// `Contact: *` with expires 0.
    RemoveAll,
    /// These contacts; none only asks.
    Set(Vec<Contact>),
}

/// One contact of a REGISTER.
pub(super) struct Contact {
    pub uri: String,
    /// Zero removes.
    pub expires: Option<Duration>,
    pub instance: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TooBrief(Duration),
    /// The same Call-ID with a lower or equal CSeq.
    OutOfOrder,
    TooMany,
}

pub(super) struct Table {
    users: HashMap<String, Vec<Binding>>,
    /// How many bindings there are at each source.
    homes: HashMap<IpAddr, usize>,
    /// How many bindings share each flow.
    flows: HashMap<(SocketAddr, Transport), usize>,
    total: usize,
    per_user: usize,
    limit: usize,
    granted: (Duration, Duration),
}

impl Table {
    pub fn new(limits: &Limits, kept: Vec<(String, Binding)>, now: Timestamp) -> Self {
        let mut table = Self {
            users: HashMap::new(),
            homes: HashMap::new(),
            flows: HashMap::new(),
            total: 0,
            per_user: limits.bindings_per_user,
            limit: limits.bindings,
            granted: limits.registration,
        };
        for (username, binding) in kept {
            // The connections of an earlier run are gone.
            let reachable = binding.transport == Transport::Udp
                || binding.listener().is_some()
                || !binding.path.is_empty();
            if reachable && binding.expires_at > now && table.total < table.limit {
                table.put(&username, binding);
            }
        }
        table
    }

    pub fn of(&self, username: &str, now: Timestamp) -> Vec<Binding> {
        let held = self.users.get(username).into_iter().flatten();
        held.filter(|b| b.expires_at > now).cloned().collect()
    }

    pub fn is_flow(&self, remote: SocketAddr, transport: Transport) -> bool {
        self.flows.contains_key(&(remote, transport))
    }

    /// Whether a device is registered from this source.
    pub fn is_home(&self, source: IpAddr) -> bool {
        self.homes.contains_key(&source)
    }

    /// Whether this very username is registered over this flow.
    pub fn is_registered_at(&self, username: &str, flow: &Flow) -> bool {
        let held = self.users.get(username).into_iter().flatten();
        held.into_iter().any(|b| {
            b.transport == flow.transport() && [flow.origin, flow.remote].contains(&b.received)
        })
    }

    /// All of a REGISTER or nothing of it (RFC 3261 §10.3 step 7).
    pub fn apply(
        &mut self,
        username: &str,
        change: Change,
        request: &Request,
        (flow, path): (&Flow, &[String]),
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (call_id, cseq) = (request.call_id(), request.cseq());
        let held = self
            .users
            .get(username)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let stale = |b: &Binding| b.call_id == call_id && b.cseq >= cseq;
        let contacts = match change {
            Change::RemoveAll => {
                if held.iter().any(stale) {
                    return Err(Refusal::OutOfOrder);
                }
                self.take_all(username);
                return Ok(());
            }
            Change::Set(contacts) => contacts,
        };
        let (shortest, longest) = self.granted;
        let mut added = 0;
        for contact in &contacts {
            let expires = contact.expires.unwrap_or(longest);
            if !expires.is_zero() && expires < shortest {
                return Err(Refusal::TooBrief(shortest));
            }
            match held.iter().find(|b| b.contact == contact.uri) {
                Some(binding) if stale(binding) => return Err(Refusal::OutOfOrder),
                Some(_) => {}
                None if !expires.is_zero() => added += 1,
                None => {}
            }
        }
        let moved = superseded(held, &contacts, (call_id, cseq));
        let (own, all) = (held.len() - moved.len(), self.total - moved.len());
        if added > 0 && (own + added > self.per_user || all + added > self.limit) {
            return Err(Refusal::TooMany);
        }
        for contact in moved {
            self.take(username, &contact);
        }
        for Contact {
            uri: contact,
            expires,
            instance,
        } in contacts
        {
            let expires = expires.unwrap_or(longest).min(longest);
            self.take(username, &contact);
            if expires.is_zero() {
                continue;
            }
            let seconds = i64::try_from(expires.as_secs()).unwrap_or(3600);
            let binding = Binding {
                contact,
                received: if path.is_empty() {
                    flow.remote
                } else {
                    flow.origin
                },
                transport: flow.transport(),
                expires_at: now
                    .checked_add(jiff::SignedDuration::from_secs(seconds))
                    .unwrap_or(Timestamp::MAX),
                call_id: call_id.to_owned(),
                cseq,
                user_agent: request
                    .headers
                    .get("User-Agent")
                    .map(|v| v.chars().take(200).collect()),
                instance,
                path: path.to_vec(),
                registered_at: (!flow.is_reliable()).then(|| flow.local().bound),
            };
            self.put(username, binding);
        }
        Ok(())
    }

    /// The phones behind a NAT whose turn it is: each gets one turn in `turns`, so
    /// that they are spread over the time until all have had theirs. Connections
    /// and phones reached by a proxy are kept open by others. Where each is, and the
    /// listener it registered at.
    pub fn behind_nat(&self, turn: u64, turns: u64) -> Vec<(SocketAddr, Option<SocketAddr>)> {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let bindings = self.users.values().flatten();
        let natted = bindings.filter(|binding| {
            binding.transport == Transport::Udp
                && binding.path.is_empty()
                && !binding.is_at_its_contact()
        });
        natted
            .map(|binding| (binding.received, binding.registered_at))
            .filter(|way| hasher.hash_one(way) % turns.max(1) == turn)
            .collect()
    }

    /// Removes what expired; the usernames that lost something.
    pub fn expire(&mut self, now: Timestamp) -> Vec<String> {
        let gone: Vec<(String, String)> = self
            .users
            .iter()
            .flat_map(|(user, held)| held.iter().map(move |b| (user, b)))
            .filter(|(_, binding)| binding.expires_at <= now)
            .map(|(user, binding)| (user.clone(), binding.contact.clone()))
            .collect();
        self.take_each(gone)
    }

    /// Removes the bindings behind a connection that is gone; the usernames that
    /// lost one. A device that also listens stays: it can be called at its contact.
    pub fn disconnected(&mut self, remote: SocketAddr, transport: Transport) -> Vec<String> {
        if !self.is_flow(remote, transport) {
            return Vec::new();
        }
        let behind =
            |b: &Binding| (b.received, b.transport) == (remote, transport) && b.path.is_empty();
        let gone: Vec<(String, String)> = self
            .users
            .iter()
            .flat_map(|(user, held)| held.iter().map(move |b| (user, b)))
            .filter(|(_, b)| behind(b) && b.listener().is_none())
            .map(|(user, b)| (user.clone(), b.contact.clone()))
            .collect();
        self.take_each(gone)
    }

    fn take_each(&mut self, gone: Vec<(String, String)>) -> Vec<String> {
        let mut users: Vec<String> = Vec::new();
        for (user, contact) in gone {
            self.take(&user, &contact);
            if users.last() != Some(&user) {
                users.push(user);
            }
        }
        users
    }

    fn put(&mut self, username: &str, binding: Binding) {
        let home = source_key(binding.received.ip());
        *self.homes.entry(home).or_default() += 1;
        *self
            .flows
            .entry((binding.received, binding.transport))
            .or_default() += 1;
        self.total += 1;
        self.users
            .entry(username.to_owned())
            .or_default()
            .push(binding);
    }

    fn take(&mut self, username: &str, contact: &str) {
        let Some(held) = self.users.get_mut(username) else {
            return;
        };
        let Some(at) = held.iter().position(|b| b.contact == contact) else {
            return;
        };
        let binding = held.remove(at);
        if held.is_empty() {
            self.users.remove(username);
        }
        self.release(&binding);
    }

    fn take_all(&mut self, username: &str) {
        for binding in self.users.remove(username).unwrap_or_default() {
            self.release(&binding);
        }
    }

    fn release(&mut self, binding: &Binding) {
        self.total -= 1;
        let home = source_key(binding.received.ip());
        if let Some(count) = self.homes.get_mut(&home) {
            *count -= 1;
            if *count == 0 {
                self.homes.remove(&home);
            }
        }
        let key = (binding.received, binding.transport);
        if let Some(count) = self.flows.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.flows.remove(&key);
            }
        }
    }
}

/// The contacts a device no longer has: it registered again from elsewhere, told
/// by its instance, or by the Call-ID it keeps from start to start (RFC 3261 §10.2).
fn superseded(held: &[Binding], contacts: &[Contact], by: (&str, u32)) -> Vec<String> {
    let (call_id, cseq) = by;
    let named = |b: &Binding| contacts.iter().any(|c| c.uri == b.contact);
    let new = |c: &&Contact| c.expires != Some(Duration::ZERO);
    let replaced = |b: &&Binding| {
        let mut new = contacts.iter().filter(new);
        new.any(|c| match (&c.instance, &b.instance) {
            (Some(new), Some(old)) => new == old,
            _ => b.call_id == call_id && b.cseq < cseq,
        })
    };
    let gone = held.iter().filter(|b| !named(b)).filter(replaced);
    gone.map(|b| b.contact.clone()).collect()
}

impl Binding {
    /// Whether the phone knows its own address, so that no NAT is between us.
    pub(crate) fn is_at_its_contact(&self) -> bool {
        crate::wire::SipUri::parse(&self.contact).is_ok_and(|uri| {
            let host = uri.host.parse::<IpAddr>().map(|ip| ip.to_canonical());
            host == Ok(self.received.ip().to_canonical())
                && uri.port.unwrap_or(5060) == self.received.port()
        })
    }

    /// Where the device accepts connections itself: its contact, if that is at
    /// the address it came from, and not the connection it came by.
    pub(crate) fn listener(&self) -> Option<SocketAddr> {
        if self.transport != Transport::Tcp {
            return None;
        }
        let uri = crate::wire::SipUri::parse(&self.contact).ok()?;
        let listener = SocketAddr::new(uri.host.parse().ok()?, uri.port.unwrap_or(5060));
        let same_host = listener.ip() == self.received.ip().to_canonical();
        (same_host && listener.port() != self.received.port()).then_some(listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(uri: &str, instance: Option<&str>) -> Contact {
        Contact {
            uri: uri.into(),
            expires: None,
            instance: instance.map(str::to_owned),
        }
    }

    fn binding(uri: &str, instance: Option<&str>, call_id: &str, cseq: u32) -> Binding {
        Binding {
            contact: uri.into(),
            received: ([192, 0, 2, 7], 40_000).into(),
            transport: Transport::Tcp,
            expires_at: Timestamp::MAX,
            call_id: call_id.into(),
            cseq,
            user_agent: None,
            instance: instance.map(str::to_owned),
            path: Vec::new(),
            registered_at: None,
        }
    }

    #[test]
    fn a_device_that_moved_leaves_nothing_behind() {
        let held = [
            binding("sip:a@192.0.2.7:1", Some("<urn:uuid:1>"), "x", 1),
            binding("sip:a@192.0.2.7:2", None, "y", 4),
            binding("sip:a@192.0.2.7:3", Some("<urn:uuid:3>"), "z", 1),
        ];
        let of = |contact: Contact, call_id: &str, cseq| {
            superseded(&held, &[contact], (call_id, cseq)).join(" ")
        };
        let new = "sip:a@192.0.2.7:9";
        assert_eq!(
            of(contact(new, Some("<urn:uuid:1>")), "fresh", 1),
            "sip:a@192.0.2.7:1"
        );
        assert_eq!(of(contact(new, None), "y", 5), "sip:a@192.0.2.7:2");
        assert_eq!(of(contact(new, None), "y", 4), "", "an old message");
        assert_eq!(of(contact(new, Some("<urn:uuid:9>")), "z", 2), "");
        assert_eq!(of(contact("sip:a@192.0.2.7:2", None), "y", 5), "");
        let removing = Contact {
            expires: Some(Duration::ZERO),
            ..contact(new, Some("<urn:uuid:1>"))
        };
        assert_eq!(of(removing, "x", 9), "");
    }

    #[test]
    fn each_phone_behind_a_nat_has_one_turn() {
        let mut table = Table::new(&Limits::default(), Vec::new(), Timestamp::now());
        let mut natted = 0;
        for n in 0..200_u16 {
            let port = 40_000 + n;
            let mut own = binding(&format!("sip:a@192.0.2.7:{port}"), None, "x", 1);
            own.received.set_port(port);
            own.transport = Transport::Udp;
            if n % 2 == 0 {
                own.contact = format!("sip:a@10.0.0.{n}:5060");
                natted += 1;
            }
            table.put(&format!("u{n}"), own);
        }
        let mut kept: Vec<_> = (0..28).flat_map(|t| table.behind_nat(t, 28)).collect();
        kept.sort();
        kept.dedup();
        assert_eq!(kept.len(), natted);
        let most = (0..28).map(|t| table.behind_nat(t, 28).len()).max();
        assert!(most < Some(15), "{most:?} at once");
    }

    #[test]
    fn only_a_contact_at_the_same_host_is_a_listener() {
        let at = |uri| binding(uri, None, "x", 1).listener();
        assert_eq!(
            at("sip:a@192.0.2.7:5066;transport=tcp"),
            Some(([192, 0, 2, 7], 5066).into())
        );
        assert_eq!(at("sip:a@192.0.2.7"), Some(([192, 0, 2, 7], 5060).into()));
        assert_eq!(at("sip:a@192.0.2.7:40000"), None, "the connection itself");
        assert_eq!(at("sip:a@10.0.0.1:5060"), None, "behind NAT");
        assert_eq!(at("sip:a@x.invalid"), None);
    }
}
