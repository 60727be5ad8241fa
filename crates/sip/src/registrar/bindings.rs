//! The bindings themselves. Time is an argument.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::net::Flow;
use crate::wire::Request;
use crate::{Binding, Limits, Transport};

/// What a REGISTER wants changed.
pub(super) enum Change {
    /// `Contact: *` with expires 0.
    RemoveAll,
    /// These contacts; zero removes. Empty only asks.
    Set(Vec<(String, Option<Duration>)>),
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
            flows: HashMap::new(),
            total: 0,
            per_user: limits.bindings_per_user,
            limit: limits.bindings,
            granted: limits.registration,
        };
        for (username, binding) in kept {
            if binding.expires_at > now && table.total < table.limit {
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

    /// All of a REGISTER or nothing of it (RFC 3261 §10.3 step 7).
    pub fn apply(
        &mut self,
        username: &str,
        change: Change,
        request: &Request,
        flow: &Flow,
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
        for (contact, expires) in &contacts {
            let expires = expires.unwrap_or(longest);
            if !expires.is_zero() && expires < shortest {
                return Err(Refusal::TooBrief(shortest));
            }
            match held.iter().find(|b| b.contact == *contact) {
                Some(binding) if stale(binding) => return Err(Refusal::OutOfOrder),
                Some(_) => {}
                None if !expires.is_zero() => added += 1,
                None => {}
            }
        }
        if added > 0 && (held.len() + added > self.per_user || self.total + added > self.limit) {
            return Err(Refusal::TooMany);
        }
        for (contact, expires) in contacts {
            let expires = expires.unwrap_or(longest).min(longest);
            self.take(username, &contact);
            if expires.is_zero() {
                continue;
            }
            let seconds = i64::try_from(expires.as_secs()).unwrap_or(3600);
            let binding = Binding {
                contact,
                received: flow.remote,
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
            };
            self.put(username, binding);
        }
        Ok(())
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
        let key = (binding.received, binding.transport);
        if let Some(count) = self.flows.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.flows.remove(&key);
            }
        }
    }
}
