//! The trunks of a stack, and what each has come to.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{Authenticator, Target, Trunk, TrunkProblem, TrunkStatus, agent, resolve};
use crate::core::Core;
use crate::net::{ConnectError, Flow, TlsPeer};
use crate::wire::{
    ALLOW, Headers, Method, Request, Response, SUPPORTED, SipUri, Via, escape_user, split_list,
};
use crate::{HostPort, SipEvent, Transport, ident};

/// Our end of one trunk.
pub(crate) struct Line {
    pub trunk: Trunk,
    pub proof: Option<Arc<Authenticator>>,
    /// Ends its agent, who then unregisters.
    pub stop: CancellationToken,
    /// The agent has ended.
    pub ended: CancellationToken,
    /// Identifies our registration to the carrier as long as we run (RFC 3261 §10.2).
    call_id: String,
    cseq: AtomicU32,
    tls: OnceLock<Result<Arc<TlsPeer>, String>>,
    now: Mutex<Now>,
}

struct Now {
    status: TrunkStatus,
    /// Where it was found last, the address that answered first.
    targets: Vec<Target>,
    /// The way it answered by.
    flow: Option<Flow>,
    /// Where we seem to be, by its answers over a transport, when a NAT translates our address.
    seen: Option<(Transport, SocketAddr)>,
}

impl Line {
    pub fn new(trunk: Trunk) -> Self {
        Self {
            proof: trunk
                .credential
                .clone()
                .map(|c| Arc::new(Authenticator::new(c))),
            trunk,
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
            call_id: ident::call_id(),
            cseq: AtomicU32::new(0),
            tls: OnceLock::new(),
            now: Mutex::new(Now {
                status: TrunkStatus::Unknown,
                targets: Vec::new(),
                flow: None,
                seen: None,
            }),
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn status(&self) -> TrunkStatus {
        self.now().status.clone()
    }

    /// Takes note of a status and tells the owner if it is news.
    pub async fn became(&self, core: &Core, status: TrunkStatus) {
        let before = std::mem::replace(&mut self.now().status, status.clone());
        if !status.is_news(&before) {
            return;
        }
        let key = self.trunk.key.clone();
        tokio::select! {
            () = core.stop.cancelled() => {}
            _ = core.events.send(SipEvent::TrunkChanged { key, status }) => {}
        }
    }

    /// Where to try it now, the address that answered last first.
    pub async fn targets(&self, core: &Core) -> Result<Vec<Target>, TrunkProblem> {
        let server = self.next_hop();
        let records = core.records();
        let mut random = |below: u32| rand::random::<u32>() % below.max(1);
        let found = resolve::targets(records, server, self.trunk.transport, &mut random).await;
        let mut targets = found?;
        let mut now = self.now();
        let good = now.flow.as_ref().map(|flow| Target {
            transport: flow.transport(),
            remote: flow.remote,
        });
        targets.sort_by_key(|target| Some(*target) != good);
        now.targets.clone_from(&targets);
        Ok(targets)
    }

    /// The way to one of its addresses.
    pub async fn open(&self, core: &Core, target: Target) -> Result<Flow, TrunkProblem> {
        let peer = match target.transport {
            Transport::Tls => Some(self.tls()?),
            _ => None,
        };
        let remote = target.remote;
        let opened = core.open(target.transport, remote, peer.as_ref()).await;
        let opened = opened.map(|flow| self.shown(&flow));
        opened.map_err(|error| match error {
            ConnectError::Certificate(why) => TrunkProblem::Certificate {
                remote,
                name: self.certified_name().to_owned(),
                detail: why.to_string(),
            },
            ConnectError::NoListener => TrunkProblem::Local {
                detail: error.to_string(),
            },
            error => TrunkProblem::NotConnected {
                transport: target.transport.as_str(),
                remote,
                detail: error.to_string(),
            },
        })
    }

    /// The trunk is reached by this way.
    pub fn found(&self, flow: &Flow) {
        self.now().flow = Some(flow.clone());
    }

    /// The way, with what the carrier said of where we seem to be.
    pub fn shown(&self, flow: &Flow) -> Flow {
        let seen = self.now().seen;
        let seen = seen.filter(|(transport, _)| *transport == flow.transport());
        flow.seen_as(seen.map(|(_, address)| address))
    }

    /// The address by which the carrier sees us, if that is not our own.
    pub fn seen(&self) -> Option<IpAddr> {
        self.now().seen.map(|(_, address)| address.ip())
    }

    /// Takes note of where an answer says it sees us (RFC 3581 §4); whether that is news. What the
    /// operator says of our address counts for more, so then nothing is.
    pub fn notice(&self, flow: &Flow, response: &Response) -> bool {
        let Some(seen) = seen_in(response) else {
            return false;
        };
        let own = flow.local().address_towards(flow.remote.ip());
        let usable = seen.is_ipv4() == own.is_ipv4() && !seen.ip().is_unspecified();
        if flow.local().public.is_some() || !usable {
            return false;
        }
        // Of a connection the port says nothing: it is no listener's.
        let seen = (seen.ip() != own.to_canonical()).then_some((flow.transport(), seen));
        let mut now = self.now();
        let before = std::mem::replace(&mut now.seen, seen);
        before != seen
    }

    fn next_hop(&self) -> &HostPort {
        let proxy = self.trunk.outbound_proxy.as_ref();
        proxy.unwrap_or(&self.trunk.server)
    }

    fn certified_name(&self) -> &str {
        let name = self.trunk.tls.name.as_deref();
        name.unwrap_or(&self.next_hop().host)
    }

    fn tls(&self) -> Result<Arc<TlsPeer>, TrunkProblem> {
        let peer = self.tls.get_or_init(|| {
            let authorities = self.trunk.tls.authorities.as_deref();
            TlsPeer::new(self.certified_name(), authorities).map(Arc::new)
        });
        peer.clone()
            .map_err(|detail| TrunkProblem::Local { detail })
    }

    /// The domain in From and in P-Asserted-Identity.
    pub fn domain(&self) -> String {
        let host = &self.trunk.server.host;
        let own = self.trunk.from_domain.clone();
        own.unwrap_or_else(|| {
            HostPort {
                host: host.clone(),
                port: None,
            }
            .to_string()
        })
    }

    /// The URI of a user at the carrier, or of the carrier itself.
    pub fn uri(&self, user: Option<&str>) -> String {
        let at = user.map(|user| escape_user(user) + "@").unwrap_or_default();
        format!("sip:{at}{}", self.trunk.server)
    }

    /// The user in our Contact.
    pub fn contact_user(&self) -> Option<&str> {
        let registration = self.trunk.registration.as_ref()?;
        let own = registration.contact_user.as_deref();
        Some(own.unwrap_or(&registration.user))
    }

    /// The Route to the outbound proxy, if there is one.
    pub fn route(&self) -> Option<String> {
        let proxy = self.trunk.outbound_proxy.as_ref()?;
        let transport = match self.trunk.transport {
            Some(Transport::Tcp) => ";transport=tcp",
            Some(Transport::Tls) => ";transport=tls",
            _ => "",
        };
        Some(format!("<sip:{proxy};lr{transport}>"))
    }

    /// A request outside dialogs: OPTIONS or REGISTER.
    pub fn request(&self, core: &Core, method: Method, flow: &Flow) -> (Request, String) {
        let branch = ident::branch();
        let registering = method == Method::Register;
        let user = self.trunk.registration.as_ref().map(|r| r.user.as_str());
        let us = match user {
            Some(user) => format!("<sip:{}@{}>", escape_user(user), self.domain()),
            None => format!("<sip:{}>", flow.authority()),
        };
        // The number after this one is left to the answer to a challenge.
        let cseq = self.cseq.fetch_add(2, Ordering::Relaxed) + 1;
        let mut headers = Headers::default();
        headers.push("Via", flow.via(&branch));
        if let Some(route) = self.route() {
            headers.push("Route", route);
        }
        headers.push("Max-Forwards", "70");
        headers.push("From", format!("{us};tag={}", ident::tag()));
        let to = if registering {
            us
        } else {
            format!("<{}>", self.uri(None))
        };
        headers.push("To", to);
        let call_id = if registering {
            self.call_id.clone()
        } else {
            ident::call_id()
        };
        headers.push("Call-ID", call_id);
        headers.push("CSeq", format!("{cseq} {method}"));
        headers.push(
            "Contact",
            format!("<{}>", flow.contact_uri(self.contact_user())),
        );
        headers.push("Allow", ALLOW);
        headers.push("Supported", SUPPORTED);
        headers.push("User-Agent", core.config.user_agent.clone());
        let request = Request {
            headers,
            ..Request::new(method, self.uri(None))
        };
        (request, branch)
    }
}

/// Where a response says its request came from.
fn seen_in(response: &Response) -> Option<SocketAddr> {
    let via = Via::parse(split_list(response.headers.get("Via")?).next()?)?;
    let ip = via.param("received").unwrap_or_else(|| via.host.clone());
    let port = via.param("rport").and_then(|port| port.parse().ok());
    let ip: IpAddr = ip.trim_matches(['[', ']']).parse().ok()?;
    Some(SocketAddr::new(ip.to_canonical(), port.or(via.port)?))
}

/// All trunks by their keys.
#[derive(Default)]
pub(crate) struct Trunks {
    lines: Mutex<BTreeMap<String, Arc<Line>>>,
}

impl Trunks {
    fn lines(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, key: &str) -> Option<Arc<Line>> {
        self.lines().get(key).cloned()
    }

    /// The trunk that calls from a source. Where several share it, the one whose
    /// registration the Request-URI names, else the first.
    pub fn calling(&self, source: IpAddr, request_uri: &str) -> Option<Arc<Line>> {
        let source = source.to_canonical();
        let lines = self.lines();
        let mut here = lines.values().filter(|line| {
            let mut networks = line.trunk.sources.iter();
            networks.any(|network| network.contains(&source))
                || line
                    .now()
                    .targets
                    .iter()
                    .any(|t| t.remote.ip().to_canonical() == source)
        });
        let first = here.next()?;
        let user = SipUri::parse(request_uri).map(|uri| uri.user);
        let user = user.unwrap_or_default();
        let named = |line: &&Arc<Line>| line.contact_user() == Some(user.as_str());
        let named = std::iter::once(first).chain(here).find(named);
        Some(Arc::clone(named.unwrap_or(first)))
    }

    pub fn is_source(&self, source: IpAddr) -> bool {
        self.calling(source, "").is_some()
    }

    /// Ends all trunks; done when each has said farewell.
    pub async fn close(&self) {
        let lines: Vec<Arc<Line>> = std::mem::take(&mut *self.lines()).into_values().collect();
        for line in &lines {
            line.stop.cancel();
        }
        for line in lines {
            line.ended.cancelled().await;
        }
    }

    /// Whether a connection is a trunk's way to us.
    pub fn uses(&self, flow: &Flow) -> bool {
        let here = (flow.remote, flow.transport());
        let lines = self.lines();
        lines.values().any(|line| {
            let now = line.now();
            let used = now.flow.as_ref();
            used.is_some_and(|used| (used.remote, used.transport()) == here)
        })
    }
}

/// Makes the trunks those given; see [`crate::SipStack::set_trunks`].
pub(crate) fn set(core: &Arc<Core>, trunks: Vec<Trunk>) {
    let mut lines = core.trunks.lines();
    let mut old = std::mem::take(&mut *lines);
    for trunk in trunks {
        let key = trunk.key.clone();
        let before = old.remove(&key);
        let line = match before {
            Some(line) if line.trunk == trunk => line,
            before => {
                let line = Arc::new(Line::new(trunk));
                if let Some(before) = &before {
                    before.stop.cancel();
                }
                let agent = agent::run(Arc::clone(core), Arc::clone(&line), before);
                core.tasks.spawn(agent);
                line
            }
        };
        lines.insert(key, line);
    }
    for gone in old.into_values() {
        gone.stop.cancel();
    }
}
