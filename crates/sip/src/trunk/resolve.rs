//! Where a carrier is (RFC 3263): NAPTR, then SRV, then addresses.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};

use crate::{HostPort, Transport, TrunkProblem};

/// Targets of one carrier, at most.
const TARGETS: usize = 16;

/// One address a carrier can be reached at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub transport: Transport,
    pub remote: SocketAddr,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Srv {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    pub host: String,
}

/// A NAPTR record that leads to SRV records (RFC 3263 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Naptr {
    pub order: u16,
    pub preference: u16,
    pub service: String,
    pub replacement: String,
}

/// What is asked of the DNS. No records is an empty list; an error is a server
/// that gave no answer, in words.
#[async_trait]
pub(crate) trait Records: Send + Sync + 'static {
    async fn naptr(&self, domain: &str) -> Result<Vec<Naptr>, String>;
    async fn srv(&self, name: &str) -> Result<Vec<Srv>, String>;
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String>;
}

/// Where to try a carrier, the best first. `random` gives a number below its
/// argument; SRV weights ask for it. An address needs no records.
pub(crate) async fn targets(
    records: Result<&dyn Records, TrunkProblem>,
    server: &HostPort,
    transport: Option<Transport>,
    random: &mut (dyn FnMut(u32) -> u32 + Send),
) -> Result<Vec<Target>, TrunkProblem> {
    let none = |detail: String| TrunkProblem::NotResolved {
        name: server.host.clone(),
        detail,
    };
    let plain = transport.unwrap_or(Transport::Udp);
    if let Ok(ip) = server.host.parse::<IpAddr>() {
        let remote = SocketAddr::new(ip, server.port.unwrap_or(default_port(plain)));
        return Ok(vec![Target {
            transport: plain,
            remote,
        }]);
    }
    let records = records?;
    let services = match server.port {
        Some(_) => Vec::new(),
        None => services(records, &server.host, transport).await,
    };
    let mut found = Vec::new();
    let mut problem = None;
    for (transport, records_of) in services {
        for srv in weighed(records_of, random) {
            match records.addresses(&srv.host).await {
                Ok(addresses) => found.extend(addresses.into_iter().map(|ip| Target {
                    transport,
                    remote: SocketAddr::new(ip, srv.port),
                })),
                Err(detail) => problem = Some(detail),
            }
        }
    }
    if found.is_empty() {
        let port = server.port.unwrap_or(default_port(plain));
        let addresses = records.addresses(&server.host).await.map_err(none)?;
        found.extend(addresses.into_iter().map(|ip| Target {
            transport: plain,
            remote: SocketAddr::new(ip, port),
        }));
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|target| seen.insert(*target));
    found.truncate(TARGETS);
    if found.is_empty() {
        let unknown = "the DNS knows no such name".to_owned();
        return Err(none(problem.unwrap_or(unknown)));
    }
    Ok(found)
}

/// The SRV records of each transport in question, the preferred one first.
async fn services(
    records: &dyn Records,
    domain: &str,
    transport: Option<Transport>,
) -> Vec<(Transport, Vec<Srv>)> {
    let mut wanted = Vec::new();
    if transport.is_none() {
        let mut naptr = records.naptr(domain).await.unwrap_or_default();
        naptr.sort_by_key(|record| (record.order, record.preference));
        let known = naptr.into_iter().filter_map(|record| {
            let transport = match record.service.to_ascii_uppercase().as_str() {
                "SIP+D2U" => Transport::Udp,
                "SIP+D2T" => Transport::Tcp,
                "SIPS+D2T" => Transport::Tls,
                _ => return None,
            };
            Some((transport, record.replacement))
        });
        wanted.extend(known);
    }
    if wanted.is_empty() {
        let all = [
            (Transport::Udp, "_sip._udp."),
            (Transport::Tcp, "_sip._tcp."),
            (Transport::Tls, "_sips._tcp."),
        ];
        let asked = all
            .into_iter()
            .filter(|(kind, _)| transport.is_none_or(|transport| transport == *kind));
        wanted.extend(asked.map(|(kind, prefix)| (kind, format!("{prefix}{domain}"))));
    }
    let mut found = Vec::new();
    for (transport, name) in wanted {
        let mut of = records.srv(&name).await.unwrap_or_default();
        // RFC 2782: the root as target says that the service is decidedly not there.
        of.retain(|srv| !srv.host.trim_end_matches('.').is_empty());
        if !of.is_empty() {
            found.push((transport, of));
        }
    }
    found
}

/// The order of RFC 2782: by priority, and within it by weighed lot.
fn weighed(mut records: Vec<Srv>, random: &mut (dyn FnMut(u32) -> u32 + Send)) -> Vec<Srv> {
    // Those of no weight first, so that they have a small chance.
    records.sort_by_key(|srv| (srv.priority, srv.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let peers = records.iter().take_while(|srv| srv.priority == priority);
        let total: u32 = peers.map(|srv| u32::from(srv.weight)).sum();
        let mut lot = random(total.saturating_add(1));
        let mut at = 0;
        for (index, srv) in records.iter().enumerate() {
            if srv.priority != priority {
                break;
            }
            at = index;
            let weight = u32::from(srv.weight);
            if lot <= weight {
                break;
            }
            lot -= weight;
        }
        ordered.push(records.remove(at));
    }
    ordered
}

fn default_port(transport: Transport) -> u16 {
    if transport == Transport::Tls {
        5061
    } else {
        5060
    }
}

/// The DNS itself; answers are kept for as long as they say.
pub(crate) struct Dns(TokioResolver);

impl Dns {
    /// Asks these servers, or those of the system when there are none.
    ///
    /// # Errors
    /// In words: when the system's settings can't be read.
    pub fn new(servers: &[SocketAddr]) -> Result<Arc<Self>, String> {
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|error| error.to_string())?
        } else {
            let servers = servers.iter().map(|server| {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                let connections = connections.map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
                NameServerConfig::new(server.ip(), true, connections.into())
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = Duration::from_secs(2);
        options.attempts = 2;
        // A name that is not there yet may be there in a minute.
        options.negative_max_ttl = Some(Duration::from_secs(60));
        let resolver = builder.build().map_err(|error| error.to_string())?;
        Ok(Arc::new(Self(resolver)))
    }

    async fn lookup(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, String> {
        let name = format!("{}.", name.trim_end_matches('.'));
        match self.0.lookup(name, kind).await {
            Ok(lookup) => {
                let records = lookup.answers().iter();
                Ok(records.map(|record| record.data.clone()).collect())
            }
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[async_trait]
impl Records for Dns {
    async fn naptr(&self, domain: &str) -> Result<Vec<Naptr>, String> {
        let records = self.lookup(domain, RecordType::NAPTR).await?;
        let records = records.into_iter().filter_map(|data| match data {
            RData::NAPTR(record) if record.flags.eq_ignore_ascii_case(b"s") => Some(Naptr {
                order: record.order,
                preference: record.preference,
                service: String::from_utf8_lossy(&record.services).into_owned(),
                replacement: record.replacement.to_utf8(),
            }),
            _ => None,
        });
        Ok(records.collect())
    }

    async fn srv(&self, name: &str) -> Result<Vec<Srv>, String> {
        let records = self.lookup(name, RecordType::SRV).await?;
        let records = records.into_iter().filter_map(|data| match data {
            RData::SRV(record) => Some(Srv {
                priority: record.priority,
                weight: record.weight,
                port: record.port,
                host: record.target.to_utf8(),
            }),
            _ => None,
        });
        Ok(records.collect())
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        match self.0.lookup_ip(host).await {
            Ok(found) => {
                let mut addresses: Vec<IpAddr> = found.iter().collect();
                // IPv4 first: carriers that name both often serve only that one well.
                addresses.sort_by_key(IpAddr::is_ipv6);
                Ok(addresses)
            }
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[derive(Default)]
    struct Book {
        naptr: Vec<Naptr>,
        srv: HashMap<&'static str, Vec<Srv>>,
        addresses: HashMap<&'static str, Vec<IpAddr>>,
    }

    #[async_trait]
    impl Records for Book {
        async fn naptr(&self, _: &str) -> Result<Vec<Naptr>, String> {
            Ok(self.naptr.clone())
        }
        async fn srv(&self, name: &str) -> Result<Vec<Srv>, String> {
            Ok(self.srv.get(name).cloned().unwrap_or_default())
        }
        async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
            let host = host.trim_end_matches('.');
            Ok(self.addresses.get(host).cloned().unwrap_or_default())
        }
    }

    fn srv(priority: u16, weight: u16, port: u16, host: &str) -> Srv {
        Srv {
            priority,
            weight,
            port,
            host: host.into(),
        }
    }

    fn carrier() -> Book {
        Book {
            srv: HashMap::from([
                (
                    "_sip._udp.c.example",
                    vec![
                        srv(20, 0, 5070, "b.c.example"),
                        srv(10, 0, 5060, "a.c.example"),
                    ],
                ),
                ("_sips._tcp.c.example", vec![srv(1, 1, 5061, "a.c.example")]),
            ]),
            addresses: HashMap::from([
                (
                    "a.c.example",
                    vec![[192, 0, 2, 1].into(), [192, 0, 2, 2].into()],
                ),
                ("b.c.example", vec![[192, 0, 2, 3].into()]),
                ("c.example", vec![[192, 0, 2, 9].into()]),
            ]),
            ..Book::default()
        }
    }

    async fn of(book: &Book, server: &str, transport: Option<Transport>) -> Vec<String> {
        let server = server.parse().expect("a host");
        let found = targets(Ok(book), &server, transport, &mut |_| 0).await;
        let found = found.expect("targets").into_iter();
        found
            .map(|target| format!("{} {}", target.transport.as_str(), target.remote))
            .collect()
    }

    #[tokio::test]
    async fn targets_come_in_the_order_of_the_dns() {
        let mut book = carrier();
        assert_eq!(
            of(&book, "c.example", Some(Transport::Udp)).await,
            [
                "UDP 192.0.2.1:5060",
                "UDP 192.0.2.2:5060",
                "UDP 192.0.2.3:5070"
            ]
        );
        assert_eq!(
            of(&book, "c.example", Some(Transport::Tls)).await,
            ["TLS 192.0.2.1:5061", "TLS 192.0.2.2:5061"]
        );
        let all = of(&book, "c.example", None).await;
        assert_eq!((all.len(), all[0].as_str()), (5, "UDP 192.0.2.1:5060"));
        book.naptr = vec![
            Naptr {
                order: 20,
                preference: 1,
                service: "SIP+D2U".into(),
                replacement: "_sip._udp.c.example".into(),
            },
            Naptr {
                order: 10,
                preference: 1,
                service: "SIPS+D2T".into(),
                replacement: "_sips._tcp.c.example".into(),
            },
        ];
        assert_eq!(of(&book, "c.example", None).await[0], "TLS 192.0.2.1:5061");
    }

    #[tokio::test]
    async fn a_port_or_a_missing_srv_means_the_addresses_themselves() {
        let book = carrier();
        assert_eq!(
            of(&book, "c.example:5080", None).await,
            ["UDP 192.0.2.9:5080"]
        );
        let tcp = Some(Transport::Tcp);
        assert_eq!(of(&book, "c.example", tcp).await, ["TCP 192.0.2.9:5060"]);
        assert_eq!(
            of(&book, "[2001:db8::1]", tcp).await,
            ["TCP [2001:db8::1]:5060"]
        );
        let gone = "gone.example".parse().expect("a host");
        let problem = targets(Ok(&book), &gone, None, &mut |_| 0).await;
        let problem = problem.expect_err("nothing there").to_string();
        assert!(problem.contains("gone.example"), "{problem}");
    }

    #[test]
    fn weights_share_the_load_and_priorities_are_kept() {
        let records = vec![
            srv(1, 10, 1, "light"),
            srv(1, 90, 2, "heavy"),
            srv(2, 50, 3, "spare"),
        ];
        let mut seed = 7_u32;
        let mut random = move |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % below.max(1)
        };
        let mut heavy = 0;
        for _ in 0..1000 {
            let order = weighed(records.clone(), &mut random);
            assert_eq!((order.len(), order[2].host.as_str()), (3, "spare"));
            heavy += u32::from(order[0].host == "heavy");
        }
        assert!((850..950).contains(&heavy), "{heavy} of 1000");
    }
}
