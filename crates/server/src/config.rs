//! What an operator can set: defaults, then a TOML file, then `TRUNKLINE_*`, then flags.
//!
//! Every source is read as text first, so that one pass reports all problems together, each with
//! the place it came from, before a port is bound.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use outbound::AllowEntry;
use phone::{AudioPolicy, ListenerSrtp, Network, SpeechService, Srtp};
use secrecy::SecretString;
use sip::{HostPort, IpNet, Listener, Transport};
use url::Url;

/// Names of the settings: the same word in the file, as a flag (with `-`) and as `TRUNKLINE_NAME`.
const SETTINGS: &[&str] = &[
    "data",
    "http",
    "gateway_http",
    "sip",
    "sip_advertise",
    "sip_tls",
    "sip_ws",
    "sip_wss",
    "sip_tls_cert",
    "sip_tls_key",
    "sip_listeners",
    "sip_local_networks",
    "sip_trusted_proxies",
    "sip_name_servers",
    "ice_servers",
    "turn_secret",
    "rtp_ports",
    "rtp_bind",
    "rtp_ipv6",
    "media_threads",
    "srtp",
    "srtp_keys_in_clear",
    "srtp_listeners",
    "recording_tones",
    "public_url",
    "database",
    "recordings_bucket",
    "recordings_endpoint",
    "recordings_region",
    "recordings_encrypt",
    "speech_url",
    "speech_key",
    "speech_model",
    "speech_voice",
    "cloudtalk_rate_limit",
    "outbound_allow",
    "trunk_sources",
    "drain_seconds",
    "trace_memory_mb",
    "hep_server",
    "hep_all",
    "search_model",
    "search_embeddings_url",
    "search_embeddings_model",
    "search_embeddings_key",
    "search_budget_ms",
    "log",
    "log_format",
];

/// The settings of a run, all valid.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of the database, the keys, the recordings and the speech cache.
    pub data: PathBuf,
    /// Web app, CloudTalk API and, under `/membrane`, the gateway.
    pub http: SocketAddr,
    /// A further listener with the gateway at its root.
    pub gateway_http: Option<SocketAddr>,
    /// UDP and TCP.
    pub sip: SocketAddr,
    /// SIP over TLS.
    pub sip_tls: Option<SocketAddr>,
    /// SIP over WebSocket, for browsers; `wss` is the same over TLS.
    pub sip_ws: Option<SocketAddr>,
    pub sip_wss: Option<SocketAddr>,
    /// Files of certificate and key, PEM.
    pub sip_certificate: Option<(PathBuf, PathBuf)>,
    /// Listeners besides those, each with its public address.
    pub sip_listeners: Vec<Listener>,
    /// Networks whose peers are told a listener's own address, not its public one.
    pub sip_local_networks: Vec<IpNet>,
    /// Proxies in front of us that are believed where a request came from.
    pub sip_trusted_proxies: Vec<IpNet>,
    /// Name servers asked where carriers are; none means those of the system.
    pub sip_name_servers: Vec<SocketAddr>,
    /// The address that peers are told, in SIP and SDP.
    pub sip_advertise: IpAddr,
    /// STUN and TURN servers for browsers, as URLs.
    pub ice_servers: Vec<String>,
    /// Shared with the TURN server, for credentials that end by themselves.
    pub turn_secret: Option<SecretString>,
    pub rtp_ports: (u16, u16),
    pub rtp_bind: IpAddr,
    pub media_threads: usize,
    /// Where audio of IPv6 peers is received, when `rtp_bind` is of IPv4.
    pub rtp_ipv6: Option<Ipv6Addr>,
    /// Encryption of the audio of devices.
    pub audio: AudioPolicy,
    /// Listeners at which it is encrypted otherwise.
    pub srtp_listeners: Vec<ListenerSrtp>,
    /// How browsers and the command line reach us; `None` means `http` itself.
    pub public_url: Option<Url>,
    /// `None` means SQLite in the data folder.
    pub database: Option<String>,
    /// Where recordings are kept after their calls, `s3://BUCKET/PREFIX`; `None` means in the data folder.
    pub recordings_bucket: Option<Url>,
    /// The service of that bucket; `None` means Amazon's.
    pub recordings_endpoint: Option<Url>,
    pub recordings_region: String,
    /// Whether recordings are sealed after their calls.
    pub recordings_encrypt: bool,
    /// A service that speaks prompts before flite and espeak-ng are asked.
    pub speech: Option<SpeechService>,
    /// Requests a minute and company; 0 means no limit.
    pub cloudtalk_rate_limit: u32,
    /// Hosts or networks that connections may reach although they are private.
    pub outbound_allow: Vec<AllowEntry>,
    /// Networks from which INVITEs count as the carrier's.
    /// `None` means this machine.
    pub trunk_sources: Option<Vec<Network>>,
    /// How long a drain lets calls go on. Set, it holds for SIGTERM as well, which otherwise ends calls at once.
    pub drain_seconds: Option<u64>,
    /// Memory for the signalling of the last calls; 0 keeps none.
    pub trace_memory_mb: usize,
    /// A Homer server that running traces are sent to.
    pub hep_server: Option<SocketAddr>,
    /// Whether it gets everything, traced or not.
    pub hep_all: bool,
    /// The static embedding model that helps finding actions.
    pub search_model: SearchModel,
    /// A server of embeddings that does; only where there is no folder.
    pub search_embeddings: Option<Embeddings>,
    /// How long an intent may take it.
    pub search_budget: Duration,
    pub log: String,
    pub log_json: bool,
}

/// A static embedding model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchModel {
    /// No model: words stand alone.
    None,
    /// The one that is part of the product.
    Bundled,
    /// One in a folder.
    Folder(PathBuf),
}

impl std::str::FromStr for SearchModel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or_else(|| "bundled, none or a folder is expected".to_owned())
    }
}

impl SearchModel {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" => return None,
            "none" => Self::None,
            "bundled" => Self::Bundled,
            folder => Self::Folder(PathBuf::from(folder)),
        })
    }
}

/// A server with `POST /v1/embeddings`.
#[derive(Clone, Debug)]
pub struct Embeddings {
    pub url: Url,
    pub model: String,
    pub key: Option<SecretString>,
}

/// All that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} problem{}:\n{}", .0.len(), if .0.len() == 1 { "" } else { "s" }, .0.join("\n"))]
pub struct ConfigProblems(pub Vec<String>);

/// A setting's text and where it was found.
#[derive(Clone, Debug)]
struct Found {
    text: String,
    from: String,
}

/// Settings from one or more sources, later ones winning.
#[derive(Debug, Default)]
pub struct Sources {
    found: BTreeMap<&'static str, Found>,
    problems: Vec<String>,
}

impl Sources {
    /// Reads a TOML file of flat `name = value` lines. Unknown names are problems.
    pub fn file(&mut self, path: &Path) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                return self
                    .problems
                    .push(format!("  {}: can't be read: {error}", path.display()));
            }
        };
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                return self.problems.push(format!(
                    "  {}: is not TOML: {}",
                    path.display(),
                    error.message()
                ));
            }
        };
        for (key, value) in table {
            let from = format!("`{key}` in {}", path.display());
            let Some(name) = SETTINGS.iter().find(|name| **name == key.replace('-', "_")) else {
                self.problems.push(format!(
                    "  {from}: no such setting (there are: {})",
                    SETTINGS.join(", ")
                ));
                continue;
            };
            match plain(&value) {
                Some(text) => self.put(name, text, from),
                None => self.problems.push(format!(
                    "  {from}: must be a text, a number or a list of texts"
                )),
            }
        }
    }

    /// Reads `TRUNKLINE_HTTP` and so on.
    pub fn environment(&mut self, lookup: impl Fn(&str) -> Option<String>) {
        for name in SETTINGS {
            let variable = format!("TRUNKLINE_{}", name.to_uppercase());
            if let Some(text) = lookup(&variable) {
                self.put(name, text, variable);
            }
        }
    }

    /// Takes a flag's value.
    ///
    /// # Panics
    /// When the flag has no setting of its name, which is a mistake in this program.
    pub fn flag(&mut self, name: &str, value: Option<&str>) {
        let name = SETTINGS
            .iter()
            .find(|known| **known == name)
            .expect("every flag is a setting");
        if let Some(text) = value {
            self.put(
                name,
                text.to_owned(),
                format!("--{}", name.replace('_', "-")),
            );
        }
    }

    fn put(&mut self, name: &'static str, text: String, from: String) {
        self.found.insert(name, Found { text, from });
    }

    /// The typed settings, or every problem there is.
    ///
    /// # Errors
    /// When any setting is wrong.
    pub fn config(mut self) -> Result<Config, ConfigProblems> {
        let http = self.take(
            "http",
            "127.0.0.1:8080",
            "an address and port such as 127.0.0.1:8080",
            |t| t.parse().ok(),
        );
        let gateway_http = self.maybe(
            "gateway_http",
            "an address and port such as 127.0.0.1:8090",
            |t| t.parse().ok(),
        );
        let sip: SocketAddr = self.take(
            "sip",
            "127.0.0.1:5060",
            "an address and port such as 0.0.0.0:5060",
            |t| t.parse().ok(),
        );
        let advertised = self.maybe(
            "sip_advertise",
            "an IP address that phones can reach",
            |t| t.parse::<IpAddr>().ok(),
        );
        let listener = "an address and port such as 0.0.0.0:5061";
        let sip_tls = self.maybe("sip_tls", listener, |t| t.parse().ok());
        let sip_ws = self.maybe("sip_ws", listener, |t| t.parse().ok());
        let sip_wss = self.maybe("sip_wss", listener, |t| t.parse().ok());
        let sip_listeners: Vec<Listener> = self.take(
            "sip_listeners",
            "",
            "listeners such as udp 10.0.0.5:5060 as 203.0.113.10:5060, separated by commas",
            list,
        );
        let secure = |on: &Listener| matches!(on.transport, Transport::Tls | Transport::Wss);
        let sip_certificate =
            self.certificate(sip_tls.or(sip_wss).is_some() || sip_listeners.iter().any(secure));
        let rtp_bind = self
            .maybe("rtp_bind", "an IP address of this machine", |t| {
                t.parse::<IpAddr>().ok()
            })
            .unwrap_or(sip.ip());
        let embeddings_model = self.maybe("search_embeddings_model", "a model's name", |t| {
            Some(t.to_owned())
        });
        let embeddings_key = self.maybe("search_embeddings_key", "a key", |t| {
            Some(SecretString::from(t.to_owned()))
        });
        let search_embeddings = self
            .maybe(
                "search_embeddings_url",
                "a URL such as http://127.0.0.1:11434/v1/embeddings",
                web_url,
            )
            .map(|url| Embeddings {
                url,
                model: embeddings_model.unwrap_or_default(),
                key: embeddings_key,
            });
        let config = Config {
            search_model: self.take(
                "search_model",
                "bundled",
                "bundled, none or a folder",
                SearchModel::parse,
            ),
            search_embeddings,
            search_budget: Duration::from_millis(self.take(
                "search_budget_ms",
                "25",
                "milliseconds from 1 to 5000",
                |t| t.parse().ok().filter(|n| (1..=5000).contains(n)),
            )),
            data: self.take("data", "data", "a folder", |t| {
                (!t.is_empty()).then(|| PathBuf::from(t))
            }),
            http,
            gateway_http,
            sip,
            sip_tls,
            sip_ws,
            sip_wss,
            sip_certificate,
            sip_listeners,
            sip_local_networks: self.take(
                "sip_local_networks",
                "",
                "networks such as 10.0.0.0/8, separated by commas",
                networks,
            ),
            sip_trusted_proxies: self.take(
                "sip_trusted_proxies",
                "",
                "addresses or networks such as 10.0.0.7, separated by commas",
                networks,
            ),
            sip_name_servers: self.take(
                "sip_name_servers",
                "",
                "addresses and ports such as 10.0.0.53:53, separated by commas",
                list,
            ),
            sip_advertise: advertised.unwrap_or(sip.ip()),
            ice_servers: self.take(
                "ice_servers",
                "",
                "URLs such as stun:stun.example.com or turn:turn.example.com:3478?transport=udp, separated by commas",
                ice_urls,
            ),
            turn_secret: self.maybe("turn_secret", "a secret of 16 characters or more", |t| {
                (t.len() >= 16).then(|| t.to_owned().into())
            }),
            rtp_ports: self.take(
                "rtp_ports",
                "20000-29999",
                "a range such as 20000-29999 with at least 4 ports from 1024 up",
                port_range,
            ),
            rtp_bind,
            rtp_ipv6: self.maybe("rtp_ipv6", "an IPv6 address of this machine", |t| {
                t.parse().ok()
            }),
            media_threads: self.take("media_threads", &cores(), "a number from 1 to 64", |t| {
                t.parse().ok().filter(|n| (1..=64).contains(n))
            }),
            audio: AudioPolicy {
                srtp: self.take(
                    "srtp",
                    "optional",
                    "off, optional or required",
                    |t| t.parse::<Srtp>().ok(),
                ),
                keys_in_clear: self.take("srtp_keys_in_clear", "no", "yes or no", |t| match t {
                    "yes" => Some(true),
                    "no" => Some(false),
                    _ => None,
                }),
                recordings_without_tones: self.take(
                    "recording_tones",
                    "keep",
                    "keep or remove",
                    |t| match t {
                        "keep" => Some(false),
                        "remove" => Some(true),
                        _ => None,
                    },
                ),
            },
            srtp_listeners: self.srtp_listeners(),
            public_url: self.maybe(
                "public_url",
                "a URL such as https://phone.example.com",
                web_url,
            ),
            database: self.maybe(
                "database",
                "a URL that starts with postgres:// or sqlite://",
                |t| {
                    (t.starts_with("postgres://")
                        || t.starts_with("postgresql://")
                        || t.starts_with("sqlite://"))
                    .then(|| t.to_owned())
                },
            ),
            recordings_bucket: self.maybe(
                "recordings_bucket",
                "a bucket such as s3://calls or s3://calls/north",
                |t| {
                    Url::parse(t)
                        .ok()
                        .filter(|url| url.scheme() == "s3" && url.has_host())
                },
            ),
            recordings_endpoint: self.maybe(
                "recordings_endpoint",
                "a URL such as https://s3.example.com",
                web_url,
            ),
            recordings_region: self.take("recordings_region", "us-east-1", "a region", |t| {
                Some(t.to_owned())
            }),
            recordings_encrypt: self.take("recordings_encrypt", "true", "true or false", |t| {
                t.parse().ok()
            }),
            speech: self.speech(),
            cloudtalk_rate_limit: self.take(
                "cloudtalk_rate_limit",
                "60",
                "requests a minute, 0 for no limit",
                |t| t.parse().ok(),
            ),
            outbound_allow: self.take(
                "outbound_allow",
                "",
                "hosts or networks, separated by commas",
                list,
            ),
            trunk_sources: self.maybe(
                "trunk_sources",
                "networks such as 203.0.113.0/24, separated by commas",
                list,
            ),
            drain_seconds: self.maybe("drain_seconds", "a number of seconds up to 86400", |t| {
                t.parse().ok().filter(|n| *n <= 86_400)
            }),
            trace_memory_mb: self.take(
                "trace_memory_mb",
                "16",
                "a number of megabytes up to 1024, 0 for none",
                |t| t.parse().ok().filter(|n| *n <= 1024),
            ),
            hep_server: self.maybe(
                "hep_server",
                "an IP address and port such as 192.0.2.9:9060",
                |t| t.parse().ok(),
            ),
            hep_all: self.take("hep_all", "false", "true or false", |t| t.parse().ok()),
            log: self.take(
                "log",
                "info",
                "a level or a filter such as info,phone=debug",
                |t| {
                    tracing_subscriber::EnvFilter::try_new(t)
                        .ok()
                        .map(|_| t.to_owned())
                },
            ),
            log_json: self.take("log_format", "text", "text or json", |t| match t {
                "text" => Some(false),
                "json" => Some(true),
                _ => None,
            }),
        };
        if config.sip_advertise.is_unspecified() {
            let from = "sip_advertise";
            self.problems.push(format!(
                "  {from}: SIP listens on every address ({}), so phones must be told one: set {from} to this machine's address",
                config.sip
            ));
        }
        if config.http == config.sip
            || Some(config.http) == config.gateway_http && config.http.port() != 0
        {
            self.problems.push(format!(
                "  http: {} is wanted by two listeners",
                config.http
            ));
        }
        let listeners = config.listeners();
        // As operators write them.
        let name = |transport: Transport, at: SocketAddr| {
            format!("{} {at}", transport.as_str().to_ascii_lowercase())
        };
        for (at, rule) in config.srtp_listeners.iter().enumerate() {
            let theirs = |on: &Listener| (on.transport, on.bind) == (rule.transport, rule.address);
            let named = name(rule.transport, rule.address);
            if !listeners.iter().any(theirs) {
                let there = listeners.iter().map(|on| name(on.transport, on.bind));
                let there: Vec<_> = there.collect();
                self.problems.push(format!(
                    "  srtp_listeners: there is no listener {named} (there are: {})",
                    there.join(", ")
                ));
            }
            let same = |other: &ListenerSrtp| {
                (other.transport, other.address) == (rule.transport, rule.address)
            };
            if config.srtp_listeners[..at].iter().any(same) {
                self.problems
                    .push(format!("  srtp_listeners: {named} has two rules"));
            }
        }
        if self.problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigProblems(self.problems))
        }
    }

    fn speech(&mut self) -> Option<SpeechService> {
        let text = |t: &str| Some(t.to_owned());
        let url = self.maybe(
            "speech_url",
            "a URL such as https://speech.example.com/v1/audio/speech",
            |t| {
                Url::parse(t)
                    .ok()
                    .filter(|url| matches!(url.scheme(), "http" | "https"))
            },
        );
        let key = self.maybe("speech_key", "a key", |t| {
            Some(SecretString::from(t.to_owned()))
        });
        let model = self.take("speech_model", "tts-1", "a model", text);
        let voice = self.take("speech_voice", "alloy", "a voice", text);
        Some(SpeechService {
            url: url?,
            key,
            model,
            voice,
        })
    }

    /// Each rule that can't be read is a problem of its own.
    fn srtp_listeners(&mut self) -> Vec<ListenerSrtp> {
        let Some(found) = self.found.get("srtp_listeners") else {
            return Vec::new();
        };
        let texts = found.text.split(',').map(str::trim);
        let mut rules = Vec::new();
        for text in texts.filter(|text| !text.is_empty()) {
            match text.parse() {
                Ok(rule) => rules.push(rule),
                Err(error) => self.problems.push(format!("  {}: {error}", found.from)),
            }
        }
        rules
    }

    /// Certificate and key, which go together and without which there is no TLS.
    fn certificate(&mut self, needed: bool) -> Option<(PathBuf, PathBuf)> {
        let file = |t: &str| Some(PathBuf::from(t));
        let chain = self.maybe("sip_tls_cert", "a file", file);
        let key = self.maybe("sip_tls_key", "a file", file);
        if needed && (chain.is_none() || key.is_none()) {
            self.problems.push(
                "  sip_tls, sip_wss: need sip_tls_cert and sip_tls_key, PEM files of the certificate and its key".into(),
            );
        }
        chain.zip(key)
    }

    fn maybe<T>(
        &mut self,
        name: &'static str,
        wanted: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let found = self
            .found
            .get(name)
            .filter(|found| !found.text.trim().is_empty())?;
        let value = read(found.text.trim());
        if value.is_none() {
            self.problems.push(format!(
                "  {}: {:?} is not {wanted}",
                found.from, found.text
            ));
        }
        value
    }

    fn take<T>(
        &mut self,
        name: &'static str,
        default: &str,
        wanted: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> T {
        self.maybe(name, wanted, &read)
            .unwrap_or_else(|| read(default).expect("defaults are valid"))
    }
}

/// Packets are moved on every core: the threads wait for each other nowhere.
fn cores() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.min(64).to_string()
}

impl Config {
    /// All SIP listeners: those with a setting of their own are reached at
    /// `sip_advertise`, the others as they say.
    #[must_use]
    pub fn listeners(&self) -> Vec<Listener> {
        let own = [
            (Transport::Udp, Some(self.sip)),
            (Transport::Tcp, Some(self.sip)),
            (Transport::Tls, self.sip_tls),
            (Transport::Ws, self.sip_ws),
            (Transport::Wss, self.sip_wss),
        ];
        // An address of our own may turn out to be translated; one that was set is what holds.
        let public = (self.sip_advertise != self.sip.ip()).then(|| HostPort {
            host: self.sip_advertise.to_string(),
            port: None,
        });
        let own = own.into_iter().filter_map(|(transport, bind)| {
            Some(Listener {
                transport,
                bind: bind?,
                public: public.clone(),
            })
        });
        own.chain(self.sip_listeners.clone()).collect()
    }

    /// How we are reached from outside, without a slash at the end.
    #[must_use]
    pub fn public_base(&self, bound: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None if bound.ip().is_unspecified() => format!("http://127.0.0.1:{}", bound.port()),
            None => format!("http://{bound}"),
        }
    }
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => {
            let texts: Option<Vec<_>> = items.iter().map(|item| item.as_str()).collect();
            Some(texts?.join(","))
        }
        _ => None,
    }
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let (low, high) = text.split_once('-')?;
    let (low, high): (u16, u16) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
    (low >= 1024 && high >= low.saturating_add(3)).then_some((low, high))
}

fn web_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
    })
}

/// Networks; a bare address is one of its own.
fn networks(text: &str) -> Option<Vec<IpNet>> {
    let items = text.split(',').map(str::trim).filter(|i| !i.is_empty());
    items
        .map(|item| match item.parse::<IpAddr>() {
            Ok(address) => Some(IpNet::from(address)),
            Err(_) => item.parse().ok(),
        })
        .collect()
}

fn ice_urls(text: &str) -> Option<Vec<String>> {
    let urls: Vec<String> = list(text)?;
    let known = |url: &String| {
        url.split_once(':').is_some_and(|(scheme, host)| {
            matches!(scheme, "stun" | "stuns" | "turn" | "turns") && !host.is_empty()
        })
    };
    urls.iter().all(known).then_some(urls)
}

fn list<T: std::str::FromStr>(text: &str) -> Option<Vec<T>> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| item.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_environment_over_file() {
        let dir = tempfile::tempdir().expect("temp dir");
        let file = dir.path().join("t.toml");
        std::fs::write(
            &file,
            "http = \"127.0.0.1:1\"\nsip = \"127.0.0.1:2\"\nrtp-ports = \"4000-4100\"\n",
        )
        .expect("write");
        let mut sources = Sources::default();
        sources.file(&file);
        sources.environment(|name| (name == "TRUNKLINE_SIP").then(|| "127.0.0.1:3".to_owned()));
        sources.flag("http", Some("127.0.0.1:4"));
        let config = sources.config().expect("valid");
        assert_eq!(config.http.port(), 4);
        assert_eq!(config.sip.port(), 3);
        assert_eq!(config.rtp_ports, (4000, 4100));
    }

    #[test]
    fn all_problems_are_reported_together_with_their_place() {
        let dir = tempfile::tempdir().expect("temp dir");
        let file = dir.path().join("t.toml");
        std::fs::write(&file, "htpp = \"127.0.0.1:1\"\n").expect("write");
        let mut sources = Sources::default();
        sources.file(&file);
        sources.environment(|name| (name == "TRUNKLINE_SIP").then(|| "nonsense".to_owned()));
        sources.flag("rtp_ports", Some("9-3"));
        let text = sources.config().expect_err("three problems").to_string();
        for part in [
            "3 problems",
            "`htpp`",
            "TRUNKLINE_SIP: \"nonsense\"",
            "--rtp-ports: \"9-3\"",
        ] {
            assert!(text.contains(part), "{part:?} is missing in:\n{text}");
        }
    }

    #[test]
    fn each_listener_has_its_own_public_address() {
        let dir = tempfile::tempdir().expect("temp dir");
        let file = dir.path().join("t.toml");
        std::fs::write(
            &file,
            "sip = \"10.0.0.5:5060\"\nsip_advertise = \"203.0.113.10\"\n\
             sip_listeners = [\"udp [2001:db8::5]:5060\", \"udp 10.1.0.5:5080 as sip.example.com\"]\n\
             sip_local_networks = [\"10.0.0.0/8\", \"192.0.2.7\"]\n",
        )
        .expect("write");
        let mut sources = Sources::default();
        sources.file(&file);
        let config = sources.config().expect("valid");
        let listeners = config.listeners();
        let told: Vec<String> = listeners
            .iter()
            .map(|on| {
                on.public
                    .as_ref()
                    .map_or("itself".into(), ToString::to_string)
            })
            .collect();
        assert_eq!(
            told,
            ["203.0.113.10", "203.0.113.10", "itself", "sip.example.com"]
        );
        let near = config.sip_local_networks.iter().map(ToString::to_string);
        assert_eq!(near.collect::<Vec<_>>(), ["10.0.0.0/8", "192.0.2.7/32"]);
        let mut wrong = Sources::default();
        wrong.environment(|name| (name == "TRUNKLINE_SIP_LISTENERS").then(|| "sctp x".to_owned()));
        let problem = wrong.config().expect_err("no listener").to_string();
        assert!(problem.contains("TRUNKLINE_SIP_LISTENERS"), "{problem}");
    }

    #[test]
    fn a_rule_for_no_listener_says_what_is_wrong_with_it() {
        let problem = |rules: &str| {
            let mut sources = Sources::default();
            sources
                .environment(|name| (name == "TRUNKLINE_SRTP_LISTENERS").then(|| rules.to_owned()));
            sources.config().map(|config| config.srtp_listeners.len())
        };
        let both = problem("udp 127.0.0.1:5060 off, tcp 127.0.0.1:5060 required");
        assert_eq!(both.expect("valid"), 2);
        for (rules, says) in [
            (
                "main required",
                "TRUNKLINE_SRTP_LISTENERS: \"main required\" is not a rule such as",
            ),
            (
                "tlss 127.0.0.1:5061 off",
                "\"tlss\" is not one of udp, tcp, tls, ws and wss",
            ),
            (
                "udp office off",
                "\"office\" is not the address and port of a listener",
            ),
            (
                "udp 127.0.0.1:5060 always",
                "\"always\" is not one of off, optional and required",
            ),
            (
                "tls 127.0.0.1:5061 off",
                "there is no listener tls 127.0.0.1:5061 (there are: udp 127.0.0.1:5060, tcp 127.0.0.1:5060)",
            ),
            (
                "udp 127.0.0.1:5060 off, udp 127.0.0.1:5060 required",
                "udp 127.0.0.1:5060 has two rules",
            ),
        ] {
            let told = problem(rules).expect_err(rules).to_string();
            assert!(told.contains(says), "{told}");
        }
        let all = problem("a, udp b off").expect_err("two").to_string();
        assert!(all.contains("2 problems"), "{all}");
    }

    #[test]
    fn listening_everywhere_needs_an_address_to_tell() {
        let mut sources = Sources::default();
        sources.flag("sip", Some("0.0.0.0:5060"));
        assert!(
            sources
                .config()
                .expect_err("no address to advertise")
                .to_string()
                .contains("sip_advertise")
        );
    }
}
