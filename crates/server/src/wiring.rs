//! The composition root: builds every part once, hands it down, and takes it all down again. Read it from top to bottom.

use std::{
    fs::{File, TryLockError},
    net::{IpAddr, SocketAddr},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use accounts::{Accounts, CookiePolicy, OauthConfig, OauthServer};
use anstream::println;
use anyhow::Context;
use archive::{Archive, ArchiveError, Bucket};
use gateway::Gateway;
use media::{MediaConfig, MediaEngine};
use outbound::{Outbound, Policy};
use phone::{
    Devices, Folders, Network, Phone, Prompts,
    recordings::{Keeping, Recordings},
};
use secrecy::SecretString;
use sip::{Certificate, SipConfig, SipStack, TraceConfig, Transport};
use store::{Db, ledger::Ledger};
use tokio::{net::TcpListener, sync::mpsc};
use url::Url;
use vault::KeyRing;

use crate::{
    config::{Config, SearchModel},
    control::{self, Control},
    demo::{self, Addresses, Demo},
    embedding, glue,
    http::{self, Faces},
    recovery,
};

/// How long running calls get to end in order at shutdown.
const CALLS_END_WITHIN: Duration = Duration::from_secs(8);

/// How long running calls may go on in a drain, unless the operator says otherwise.
const DRAIN_WITHIN: Duration = Duration::from_secs(30);

/// A server that is up.
pub struct Running {
    config: Config,
    addresses: Addresses,
    /// What SIP listens on besides UDP and TCP.
    sip_also: Vec<String>,
    gateway_address: Option<SocketAddr>,
    demo: Option<Demo>,
    setup_link: Option<String>,
    phone: Phone,
    http: http::Server,
    /// Held until the end.
    _control: control::Listening,
    drains: mpsc::Receiver<Duration>,
    /// Held until the end.
    _lock: File,
}

/// Why a server ends although no signal came.
pub enum MustEnd {
    /// A part failed that it can't live without.
    Failed(String),
    /// The operator wants it drained within this time.
    Drained(Duration),
}

/// Starts everything, or says why not before anything is half up.
///
/// # Errors
/// When a port is taken, a folder can't be written, the database can't be opened or a key doesn't fit.
pub async fn start(config: Config, with_demo: bool) -> anyhow::Result<Running> {
    let lock = own_data_folder(&config.data)?;
    // Ports first: a second start on the same machine must not touch the first one's calls.
    let web = TcpListener::bind(config.http)
        .await
        .with_context(|| format!("can't listen on http {}", config.http))?;
    let gateway_listener = match config.gateway_http {
        Some(address) => Some(
            TcpListener::bind(address)
                .await
                .with_context(|| format!("can't listen on gateway-http {address}"))?,
        ),
        None => None,
    };
    let web_address = web.local_addr()?;
    let gateway_address = gateway_listener
        .as_ref()
        .map(TcpListener::local_addr)
        .transpose()?;
    let base = config.public_base(web_address);

    let db = open_database(&config).await?;
    // The writer ends with the process: whoever appends waits for the commit.
    let (ledger, _writer) = Ledger::start(db.clone())
        .await
        .context("the ledger can't be started")?;
    let folders = Folders::below(&config.data);
    let keys = Arc::new(open_vault(&config.data)?);
    let keeping = Keeping {
        bucket: recordings_bucket(&config)?,
        encrypt: config.recordings_encrypt,
        keys: Arc::clone(&keys),
    };
    let recordings = Recordings::new(db.clone(), folders.recordings.clone(), keeping);
    let outbound =
        Outbound::new(outbound_policy(&config)).context("the way out can't be opened")?;
    let speaks = config
        .speech
        .clone()
        .map(|service| (service, outbound.clone()));
    let prompts = Prompts::new(db.clone(), &folders, speaks);

    let sip_config = SipConfig {
        listeners: config.listeners(),
        certificate: config
            .sip_certificate
            .clone()
            .map(|(chain, key)| Certificate { chain, key }),
        local_networks: config.sip_local_networks.clone(),
        trusted_proxies: config.sip_trusted_proxies.clone(),
        name_servers: config.sip_name_servers.clone(),
        trace: TraceConfig {
            recent_bytes: config.trace_memory_mb << 20,
            hep_server: config.hep_server,
            hep_all: config.hep_all,
        },
        ..SipConfig::default()
    };
    let realm = sip_config.realm.clone();
    let devices = Devices::new(db.clone(), trunk_sources(&config)?, &realm);
    let (sip, sip_events) = SipStack::start(sip_config, Arc::new(devices)).await?;
    let sip_also = further_listeners(sip.addresses());
    let sip_address = sip.address(Transport::Udp).unwrap_or(config.sip);
    let addresses = Addresses {
        http: base.clone(),
        sip: SocketAddr::new(config.sip_advertise, sip_address.port()),
    };

    // From here on this run owns the data folder.
    recovery::put_in_order(&db, &ledger, &recordings).await?;

    let sip_stack = sip.clone();
    let media = MediaEngine::start(MediaConfig {
        bind: config.rtp_bind,
        advertise: config.sip_advertise,
        other_family: config.rtp_ipv6.map(IpAddr::V6),
        ports: config.rtp_ports,
        threads: config.media_threads,
    })?;
    let signalling = sip.clone();
    let phone = Phone::start(phone::Parts {
        db: db.clone(),
        ledger,
        sip,
        sip_events,
        media,
        audio: config.audio,
        listeners: config.srtp_listeners.clone(),
        prompts,
        recordings,
        node: node_name(),
        seed: rand::random(),
        keys: Arc::clone(&keys),
    })
    .await?;
    let (drain, drains) = mpsc::channel(1);
    let control = control::listen(
        &config.data,
        Control {
            sip: sip_stack,
            carriers: control::Carriers {
                db: db.clone(),
                phone: phone.clone(),
            },
            drain,
            drain_within: config
                .drain_seconds
                .map_or(DRAIN_WITHIN, Duration::from_secs),
        },
    )?;

    let public_base: Url = base.parse().context("the public address is no URL")?;
    let gateway_base: Url = format!("{base}/membrane")
        .parse()
        .context("the public address is no URL")?;
    let accounts = Accounts::new(
        db.clone(),
        CookiePolicy {
            secure: public_base.scheme() == "https",
        },
    );
    let signer = Arc::new(OnceLock::new());
    let other_bases = gateway_address
        .map(|address| format!("http://{address}").parse())
        .transpose()?;
    let oauth = OauthServer::new(
        db.clone(),
        Arc::new(glue::Issuer {
            gateway: Arc::clone(&signer),
        }),
        &OauthConfig {
            gateway_base: gateway_base.clone(),
            other_bases: other_bases.into_iter().collect(),
        },
    );
    let outbound =
        Outbound::new(outbound_policy(&config)).context("the way out can't be opened")?;
    let embedder = embedding::embedder(&config, &outbound)?;
    let gateway = Gateway::new(gateway::Parts {
        db: db.clone(),
        keys,
        outbound,
        manifests: manifests()?,
        base_url: gateway_base,
        local_phone: Some(Arc::new(glue::ThisPhone {
            db: db.clone(),
            base_url: format!("http://{}/api", reachable(web_address)).parse()?,
        })),
        grants: Some(Arc::new(glue::LiveGrants(oauth.grants()))),
    });
    // The issuer signs through the gateway, and the gateway asks for the issuer's grants.
    let _ = signer.set(gateway.clone());

    let demo = if with_demo {
        Some(open_demo(&config.data, &db, &accounts, &gateway, &realm, &addresses).await?)
    } else {
        None
    };
    if demo.is_some() {
        for tenant in db.tenants().await? {
            phone.directory_changed(tenant.id).await?;
        }
    }
    let setup_link = accounts
        .first_owner_link(store::now())
        .await?
        .map(|token| format!("{base}{}", token.path()));
    let speaking = phone.clone();
    tokio::spawn(async move { speaking.prepare_prompts().await });
    if config.search_model == SearchModel::None {
        gateway.search_by_words_alone();
    }
    if let Some(embedder) = embedder {
        let budget = config.search_budget;
        tokio::spawn(embedding::understand(gateway.clone(), embedder, budget));
    }

    let faces = Faces {
        config: &config,
        db,
        phone: phone.clone(),
        gateway,
        accounts,
        oauth,
        public_base,
        realm,
        sip: addresses.sip,
        signalling,
    };
    let http = http::serve(faces, web, gateway_listener);
    Ok(Running {
        config,
        addresses,
        sip_also,
        gateway_address,
        demo,
        setup_link,
        phone,
        http,
        _control: control,
        drains,
        _lock: lock,
    })
}

impl Running {
    /// Says on stdout what to open and what to type.
    pub fn announce(&self) {
        let http = &self.addresses.http;
        println!("Trunkline is up.\n");
        println!("  web and API    {http}");
        println!("  gateway        {http}/membrane");
        if let Some(address) = self.gateway_address {
            println!("                 http://{address}");
        }
        println!("  SIP            {} (UDP and TCP)", self.addresses.sip);
        for also in &self.sip_also {
            println!("                 {also}");
        }
        println!("  data           {}", self.config.data.display());
        match (&self.demo, &self.setup_link) {
            (Some(demo), _) => announce_demo(demo, &self.config.data),
            (None, Some(link)) => {
                println!("\nNobody can sign in yet. Create the owner here, once:\n\n  {link}");
            }
            (None, None) => {}
        }
        println!("\nCtrl-C ends it.");
    }

    /// Waits until the server must end by itself.
    pub async fn must_end(&mut self) -> MustEnd {
        tokio::select! {
            failed = self.http.failed() => MustEnd::Failed(failed),
            // The control socket holds the other end for as long as we live.
            Some(limit) = self.drains.recv() => MustEnd::Drained(limit),
        }
    }

    /// Takes no new calls and lets running ones end by themselves.
    pub async fn drain(&mut self, limit: Duration) {
        tracing::info!(
            calls = self.phone.running_calls(),
            limit_seconds = limit.as_secs(),
            "draining: no new calls"
        );
        let left = self.phone.drain(limit).await;
        tracing::info!(calls = left, "drained; calls that are left are ended now");
    }

    /// Takes everything down: no new calls, running ones ended with their facts stored, then the rest.
    pub async fn stop(&mut self) {
        self.http.stop_accepting();
        self.phone.shutdown(CALLS_END_WITHIN).await;
        self.http.finish(Duration::from_secs(3)).await;
        tracing::info!("ended");
    }
}

fn announce_demo(demo: &Demo, data: &Path) {
    println!(
        "\nDemo company. Everything a script needs is in {}.\n",
        data.join(demo::FILE).display()
    );
    println!(
        "Open   {}   and sign in as {} with {}\n",
        demo.console.url, demo.console.email, demo.console.password
    );
    if let Some(agent) = demo.sip.agents.first() {
        println!(
            "Phone  register {} with the password {} at {}:{}",
            agent.username, agent.password, demo.sip.host, demo.sip.port
        );
    }
    if let Some(number) = demo.sip.numbers.first() {
        println!(
            "Call   sip:{}@{}:{}   (1 for sales, 2 for support)\n",
            number.e164, demo.sip.host, demo.sip.port
        );
    }
    println!(
        "Type   membrane login --tenant --clientName=claude --apiUri {}",
        demo.membrane.api_uri
    );
    println!("       membrane connection ensure \"https://www.cloudtalk.io/\" --json");
    println!(
        "       membrane action list --connectionId=<id> --intent \"list today's calls\" --json"
    );
}

/// Makes the folder where it is missing and keeps every other server off it while the file is held: two
/// would close each other's calls as lost.
fn own_data_folder(data: &Path) -> anyhow::Result<File> {
    let shown = data.display();
    if !data.exists() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data)
            .with_context(|| format!("the data folder {shown} can't be made"))?;
    }
    let lock = File::create(data.join("lock"))
        .with_context(|| format!("the data folder {shown} can't be written"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "another trunkline runs on the data folder {shown}: end it, or name another folder with --data"
        ),
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("the data folder {shown} can't be locked"));
        }
    }
    let mode = std::fs::metadata(data)?.permissions().mode();
    if mode & 0o007 != 0 {
        tracing::warn!("{shown} is open to other users of this machine; chmod 700 closes it");
    }
    Ok(lock)
}

async fn open_database(config: &Config) -> anyhow::Result<Db> {
    match &config.database {
        Some(url) => Db::open(url).await.context("the database can't be opened"),
        None => {
            let file = config.data.join("trunkline.db");
            let db = Db::open_file(&file)
                .await
                .with_context(|| format!("{} can't be opened", file.display()))?;
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
            Ok(db)
        }
    }
}

fn open_vault(data: &Path) -> anyhow::Result<KeyRing> {
    let keys: Vec<_> = std::env::var("TRUNKLINE_VAULT_KEYS")
        .map(|text| {
            text.split(',')
                .map(|key| key.trim().to_owned().into())
                .collect()
        })
        .unwrap_or_default();
    if keys.is_empty() {
        return KeyRing::load_or_create(&data.join("vault.key"))
            .context("the vault's key can't be loaded");
    }
    KeyRing::from_base64(&keys).context("TRUNKLINE_VAULT_KEYS")
}

/// The bucket recordings go to. Its credentials come from where every program of that service looks for them.
pub(crate) fn recordings_bucket(config: &Config) -> anyhow::Result<Option<Archive>> {
    let Some(url) = &config.recordings_bucket else {
        return Ok(None);
    };
    let secret = |name: &str| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.is_empty())
            .map(SecretString::from)
            .ok_or(ArchiveError::Credentials)
    };
    let bucket = Bucket {
        url: url.clone(),
        endpoint: config.recordings_endpoint.clone(),
        region: config.recordings_region.clone(),
        access_key_id: secret("AWS_ACCESS_KEY_ID")?,
        secret_access_key: secret("AWS_SECRET_ACCESS_KEY")?,
    };
    Ok(Some(Archive::bucket(&bucket).context("recordings_bucket")?))
}

/// Whose INVITEs count as the carrier's. Unless the operator says otherwise that is this machine; and when only
/// it reaches our listeners, from whichever of its addresses a program happens to use.
fn trunk_sources(config: &Config) -> anyhow::Result<Vec<Network>> {
    if let Some(networks) = &config.trunk_sources {
        return Ok(networks.clone());
    }
    let listeners = config.listeners();
    let reached_from_here_only = listeners.iter().all(|on| on.bind.ip().is_loopback());
    let networks = if reached_from_here_only {
        ["0.0.0.0/0", "::/0"]
    } else {
        ["127.0.0.0/8", "::1/128"]
    };
    networks
        .into_iter()
        .map(|network| network.parse().map_err(anyhow::Error::msg))
        .collect()
}

fn outbound_policy(config: &Config) -> Policy {
    Policy {
        allow: config.outbound_allow.iter().cloned().collect(),
        ..Policy::default()
    }
}

fn manifests() -> anyhow::Result<Vec<connector::Manifest>> {
    let parsed = connector::builtin::manifests().iter().map(|(name, text)| {
        connector::Manifest::parse(text).with_context(|| format!("connector {name}"))
    });
    parsed.collect()
}

async fn open_demo(
    data: &Path,
    db: &Db,
    accounts: &Accounts,
    gateway: &Gateway,
    realm: &str,
    addresses: &Addresses,
) -> anyhow::Result<Demo> {
    let known = Demo::load(data)?;
    let demo = match known {
        Some(mut demo) => {
            demo.moved(addresses);
            demo
        }
        None if accounts.needs_owner().await? => {
            demo::seed(db, accounts, gateway, realm, addresses).await?
        }
        None => anyhow::bail!(
            "--demo makes a demo company at the first start only, and {} holds another company already: leave --demo out, or name an empty folder with --data",
            data.display()
        ),
    };
    demo.save(data)?;
    Ok(demo)
}

fn further_listeners(addresses: &[(Transport, SocketAddr)]) -> Vec<String> {
    let further = addresses.iter().skip(2);
    further
        .map(|(transport, address)| format!("{address} ({})", transport.as_str()))
        .collect()
}

/// An address at which this machine reaches its own listener.
fn reachable(bound: SocketAddr) -> SocketAddr {
    match bound {
        SocketAddr::V4(address) if address.ip().is_unspecified() => {
            SocketAddr::from(([127, 0, 0, 1], address.port()))
        }
        SocketAddr::V6(address) if address.ip().is_unspecified() => {
            SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port()))
        }
        bound => bound,
    }
}

fn node_name() -> String {
    std::fs::read_to_string("/etc/hostname")
        .map_or_else(|_| "node".to_owned(), |name| name.trim().to_owned())
}
