//! Desk phones: many of them, registered with digest, spread over addresses as offices would be.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::bail;

use crate::{
    api::Agent,
    stats::Samples,
    ua::{Heard, Message, Reply, Ua, authorization},
};

/// Loopback addresses that phones sit on. The server limits requests per address, as it must; real phones
/// don't share one either.
pub const OFFICES: u8 = 64;
/// Addresses that calls come from: a carrier's media gateways.
pub const CARRIERS: u8 = 16;

/// Sockets for phones come first, then those for carriers.
pub fn addresses() -> Vec<IpAddr> {
    let offices = (1..=OFFICES).map(|last| IpAddr::from(Ipv4Addr::new(127, 0, 1, last)));
    offices
        .chain((1..=CARRIERS).map(|last| Ipv4Addr::new(127, 0, 2, last).into()))
        .collect()
}

pub fn carrier(call: usize) -> usize {
    usize::from(OFFICES) + call % usize::from(CARRIERS)
}

pub struct Phone {
    pub agent: Agent,
    pub socket: usize,
    /// Tells an agent's phones apart; the first has none.
    line: String,
    call_id: String,
    sequence: u32,
}

pub struct Phones {
    pub list: Vec<Phone>,
    by_username: HashMap<String, usize>,
}

impl Phones {
    pub fn new(ua: &mut Ua, agents: Vec<Agent>) -> Self {
        Self::of_each(ua, agents, 1)
    }

    /// So many phones for each agent; calls ring all of them.
    pub fn of_each(ua: &mut Ua, agents: Vec<Agent>, phones: usize) -> Self {
        let by_username = agents
            .iter()
            .enumerate()
            .map(|(at, agent)| (agent.username.clone(), at))
            .collect();
        let mut list = Vec::with_capacity(agents.len() * phones);
        for line in 0..phones {
            list.extend(agents.iter().enumerate().map(|(at, agent)| Phone {
                agent: agent.clone(),
                socket: at % usize::from(OFFICES),
                line: match line {
                    0 => String::new(),
                    line => format!(";line={line}"),
                },
                call_id: ua.fresh("register"),
                sequence: 0,
            }));
        }
        Self { list, by_username }
    }

    pub fn named(&self, username: &str) -> Option<&Phone> {
        self.by_username.get(username).map(|at| &self.list[*at])
    }

    pub fn contact(&self, ua: &Ua, username: &str) -> String {
        let socket = self.named(username).map_or(0, |phone| phone.socket);
        format!("Contact: <{}>\r\n", ua.contact(socket, username))
    }

    /// Puts the first phones into browsers, each with a connection of its own.
    pub fn move_to_browsers(
        &mut self,
        ua: &mut Ua,
        server: SocketAddr,
        count: usize,
    ) -> anyhow::Result<()> {
        for phone in self.list.iter_mut().take(count) {
            phone.socket = ua.connect(server)?;
        }
        Ok(())
    }

    /// Registers every phone once.
    pub fn register_all(&mut self, ua: &mut Ua, per_second: f64) -> anyhow::Result<()> {
        let count = self.list.len();
        let mut work = Registering::default();
        work.at_rate(ua, self, per_second, count)?;
        if work.done() != count {
            bail!(
                "{} of {count} phones could not register: {:?}",
                count - work.done(),
                work.failures
            );
        }
        Ok(())
    }

    /// Takes every phone away again: the next run has other ports, and nobody must be rung at these.
    pub fn unregister_all(&mut self, ua: &mut Ua) -> anyhow::Result<()> {
        let count = self.list.len();
        let mut work = Registering {
            leaving: true,
            ..Registering::default()
        };
        work.at_rate(ua, self, 200.0, count)?;
        if work.done() != count {
            bail!(
                "{} of {count} phones could not leave: {:?}",
                count - work.done(),
                work.failures
            );
        }
        Ok(())
    }
}

/// Registrations on their way.
#[derive(Default)]
pub struct Registering {
    in_flight: HashMap<String, Attempt>,
    /// From the first request to the 200, in milliseconds.
    pub took: Samples,
    pub failures: BTreeMap<String, usize>,
    leaving: bool,
}

struct Attempt {
    phone: usize,
    since: Instant,
    proven: bool,
}

impl Registering {
    pub fn done(&self) -> usize {
        self.took.len()
    }

    /// Starts so many registrations, evenly, whether earlier ones were answered or not; waits for all of them.
    pub fn at_rate(
        &mut self,
        ua: &mut Ua,
        phones: &mut Phones,
        per_second: f64,
        count: usize,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        let due = |at: usize| start + Duration::from_secs_f64(at as f64 / per_second);
        let mut next = 0;
        while next < count || !self.in_flight.is_empty() {
            while next < count && due(next) <= Instant::now() {
                self.begin(ua, phones, next % phones.list.len());
                next += 1;
            }
            let until = if next < count {
                due(next)
            } else {
                Instant::now() + Duration::from_secs(1)
            };
            for heard in ua.wait(until)? {
                match heard {
                    Heard::Response {
                        branch,
                        message,
                        at,
                    } => self.take(ua, phones, &branch, &message, at),
                    Heard::Silence { branch } => {
                        if self.in_flight.remove(&branch).is_some() {
                            *self.failures.entry("never answered".into()).or_default() += 1;
                        }
                    }
                    Heard::Request {
                        socket,
                        from,
                        message,
                        ..
                    } => ua.answer(socket, from, &message, Reply::plain("200 OK", "idle")),
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, ua: &mut Ua, phones: &mut Phones, phone: usize) {
        let branch = self.send(ua, &mut phones.list[phone], None);
        self.in_flight.insert(
            branch,
            Attempt {
                phone,
                since: Instant::now(),
                proven: false,
            },
        );
    }

    fn take(
        &mut self,
        ua: &mut Ua,
        phones: &mut Phones,
        branch: &str,
        message: &Message,
        at: Instant,
    ) {
        let status = message.status().unwrap_or(0);
        if status < 200 {
            return;
        }
        let Some(attempt) = self.in_flight.remove(branch) else {
            return;
        };
        if status == 200 {
            return self.took.add_ms(at.duration_since(attempt.since));
        }
        if status == 401 && !attempt.proven {
            let phone = &mut phones.list[attempt.phone];
            let cnonce = ua.fresh("c");
            let uri = home(ua);
            if let Some(proof) = authorization(
                message,
                &phone.agent.username,
                &phone.agent.password,
                "REGISTER",
                &uri,
                &cnonce,
            ) {
                let branch = self.send(ua, phone, Some(&proof));
                self.in_flight.insert(
                    branch,
                    Attempt {
                        proven: true,
                        ..attempt
                    },
                );
                return;
            }
        }
        *self
            .failures
            .entry(format!("answered {status}"))
            .or_default() += 1;
    }

    fn send(&self, ua: &mut Ua, phone: &mut Phone, proof: Option<&str>) -> String {
        phone.sequence += 1;
        let (username, line) = (&phone.agent.username, &phone.line);
        let (server, contact) = (ua.server(), ua.contact(phone.socket, username));
        let proof = proof
            .map(|value| format!("Authorization: {value}\r\n"))
            .unwrap_or_default();
        let headers = format!(
            "From: <sip:{username}@{server}>;tag={}\r\nTo: <sip:{username}@{server}>\r\nCall-ID: {}\r\nCSeq: {} REGISTER\r\nContact: <{contact}{line}>;expires={}\r\n{proof}",
            phone.call_id,
            phone.call_id,
            phone.sequence,
            if self.leaving { 0 } else { 3600 }
        );
        let uri = home(ua);
        ua.request(phone.socket, "REGISTER", &uri, &headers, "")
    }
}

fn home(ua: &Ua) -> String {
    format!("sip:{}", ua.server())
}
