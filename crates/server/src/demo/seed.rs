//! Makes the demo company.

use std::{net::SocketAddr, time::Duration};

use accounts::{Accounts, NewPerson, Role};
use anyhow::Context;
use calls::flow::{Flow, Menu, Play, Prompt, Queue, Step, Voicemail};
use gateway::{Gateway, TokenSpec};
use model::{
    AgentId, Availability, FlowId, GroupId, NumberId, PhoneNumber, RingStrategy, TenantId,
    Timestamp,
};
use secrecy::ExposeSecret;
use store::{
    Db,
    directory::{
        ActivityKind, AgentRole, BlacklistKind, ButtonKind, CampaignButton, CampaignSettings,
        NewActivity, NewAgent, NewApiKey, NewCampaign, NewFlow, NewGroup, NewNumber, Page, Route,
        SipSecrets,
    },
};

use super::{
    AgentConsole, CloudTalk, Console, Demo, DemoAgent, DemoNumber, Membrane, Sip,
    contacts::contacts,
};
use crate::glue;

/// Where this start is reached.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Public base without a slash at the end.
    pub http: String,
    pub sip: SocketAddr,
}

const EMAIL: &str = "owner@demo.example";
/// Few seconds, so that somebody who tries things out isn't kept waiting by after-call work.
const WRAP_UP_SECONDS: u32 = 3;

/// Creates the company with all it has, and says how to reach it.
///
/// # Errors
/// When the database fails; what was made until then stays, and the data folder should be thrown away.
pub async fn seed(
    db: &Db,
    accounts: &Accounts,
    gateway: &Gateway,
    realm: &str,
    addresses: &Addresses,
) -> anyhow::Result<Demo> {
    let now = store::now();
    let made = glue::create_company(db, gateway, "Demo Company", "Europe/Bratislava", "SK").await?;
    let tenant = made.tenant;
    let password = glue::random_text(20);
    let owner = NewPerson {
        tenant,
        email: EMAIL.into(),
        name: "Demo Owner".into(),
        role: Role::Owner,
        password: password.clone().into(),
    };
    accounts
        .create_user(owner, now)
        .await
        .context("the demo owner could not be created")?;

    let (sales, support) = groups(db, tenant, now).await?;
    let numbers = numbers(db, tenant, sales, support, now).await?;
    let first_number = db
        .number_by_e164(&PhoneNumber::parse(&numbers[0].e164)?)
        .await?
        .map(|number| number.id);
    let agents = agents(
        db,
        accounts,
        tenant,
        realm,
        [(sales, "Sales"), (support, "Support")],
        first_number,
        now,
    )
    .await?;
    address_book(db, tenant, &agents, now).await?;
    let (key_id, key_secret) = glue::new_api_key();
    let key = NewApiKey {
        key_id: key_id.clone(),
        secret_sha256: glue::sha256_hex(&key_secret),
        name: "Demo".into(),
    };
    db.add_api_key(tenant, key, now).await?;

    let workspace = made.workspace;
    let year = Duration::from_secs(365 * 86_400);
    let spec = TokenSpec {
        tenant_key: Some(workspace.default_tenant_key.clone()),
        expires_in: Some(year),
        ..TokenSpec::default()
    };
    let token = gateway.issue(&workspace, spec, now)?;
    Ok(Demo {
        http: addresses.http.clone(),
        console: Console {
            url: addresses.http.clone(),
            email: EMAIL.into(),
            password,
        },
        cloudtalk: CloudTalk {
            base_url: format!("{}/api", addresses.http),
            key_id,
            key_secret,
        },
        membrane: Membrane {
            api_uri: format!("{}/membrane", addresses.http),
            workspace_secret: gateway
                .workspace_secret(&workspace)?
                .expose_secret()
                .to_owned(),
            tenant_key: workspace.default_tenant_key.clone(),
            workspace_key: workspace.key,
            token: token.expose_secret().to_owned(),
        },
        sip: Sip {
            host: addresses.sip.ip().to_string(),
            port: addresses.sip.port(),
            numbers,
            agents,
        },
    })
}

async fn groups(db: &Db, tenant: TenantId, now: Timestamp) -> anyhow::Result<(GroupId, GroupId)> {
    let group = |name: &str| NewGroup {
        internal_name: name.into(),
        extension: None,
        strategy: RingStrategy::LongestIdle,
        ring_seconds: 20,
        wrap_up_seconds: None,
        rings_idle: false,
    };
    Ok((
        db.add_group(tenant, group("Sales"), now).await?,
        db.add_group(tenant, group("Support"), now).await?,
    ))
}

async fn numbers(
    db: &Db,
    tenant: TenantId,
    sales: GroupId,
    support: GroupId,
    now: Timestamp,
) -> anyhow::Result<Vec<DemoNumber>> {
    let english = Words {
        language: "en",
        menu: "Welcome to the demo company. For sales, press 1. For support, press 2.",
        invalid: "Sorry, that is not one of the choices.",
        sales: "Thank you. We are connecting you with sales.",
        support: "Thank you. We are connecting you with support.",
        voicemail: "Nobody can take your call right now. Please leave a message after the tone, and hang up when you are done.",
    };
    let slovak = Words {
        language: "sk",
        menu: "Vitajte v ukážkovej firme. Pre obchod stlačte 1. Pre podporu stlačte 2.",
        invalid: "Takú voľbu nemáme.",
        sales: "Ďakujeme. Spájame vás s obchodom.",
        support: "Ďakujeme. Spájame vás s podporou.",
        voicemail: "Momentálne nikto nemôže prijať váš hovor. Zanechajte, prosím, správu po zaznení tónu.",
    };
    let mut listed = Vec::new();
    for (e164, name, words) in [
        ("+421200000001", "Main menu", Some(english)),
        ("+421200000002", "Hlavné menu", Some(slovak)),
        ("+421200000003", "", None),
    ] {
        let route = match words {
            Some(words) => {
                let flow = serde_json::to_value(menu_flow(&words, sales, support))?;
                Some(Route::Flow(
                    db.add_flow(
                        tenant,
                        NewFlow {
                            name: name.into(),
                            flow,
                        },
                        now,
                    )
                    .await?,
                ))
            }
            None => None,
        };
        let number = NewNumber {
            number: PhoneNumber::parse(e164)?,
            area_code: "2".into(),
            internal_name: if name.is_empty() {
                "Unused".into()
            } else {
                name.into()
            },
            is_redirected: false,
            sms_enabled: true,
            route,
            trunk: None,
        };
        db.add_number(tenant, number, now).await?;
        listed.push(DemoNumber {
            e164: e164.into(),
            flow: name.into(),
        });
    }
    Ok(listed)
}

/// What a flow says, in one language.
struct Words {
    language: &'static str,
    menu: &'static str,
    invalid: &'static str,
    sales: &'static str,
    support: &'static str,
    voicemail: &'static str,
}

fn menu_flow(words: &Words, sales: GroupId, support: GroupId) -> Flow {
    let say = |text: &str| Prompt::speech(text, words.language);
    let queue = |group| {
        Step::Queue(Queue {
            announcement: None,
            announce_every_seconds: 30,
            name: String::new(),
            group,
            max_wait_seconds: 90,
            music: Prompt::music(),
            on_no_agents: Some("voicemail".into()),
            on_timeout: Some("voicemail".into()),
        })
    };
    let play = |text: &str, next: &str| {
        Step::Play(Play {
            name: String::new(),
            prompt: say(text),
            next: Some(next.into()),
        })
    };
    let menu = Menu {
        name: "Menu".into(),
        prompt: say(words.menu),
        keys: [('1', "to-sales".to_owned()), ('2', "to-support".to_owned())].into(),
        invalid: Some(say(words.invalid)),
        retries: 3,
        wait_seconds: 5,
        interruptible: true,
        on_no_input: Some("voicemail".into()),
    };
    let steps = [
        ("menu", Step::Menu(menu)),
        ("to-sales", play(words.sales, "sales")),
        ("to-support", play(words.support, "support")),
        ("sales", queue(sales)),
        ("support", queue(support)),
        (
            "voicemail",
            Step::Voicemail(Voicemail {
                name: "Mailbox".into(),
                prompt: say(words.voicemail),
                max_seconds: 120,
            }),
        ),
    ];
    let steps = steps
        .into_iter()
        .map(|(key, step)| (key.to_owned(), step))
        .collect();
    Flow {
        id: FlowId(0),
        start: "menu".into(),
        steps,
    }
}

async fn agents(
    db: &Db,
    accounts: &Accounts,
    tenant: TenantId,
    realm: &str,
    groups: [(GroupId, &str); 2],
    number: Option<NumberId>,
    now: Timestamp,
) -> anyhow::Result<Vec<DemoAgent>> {
    let mut listed = Vec::new();
    for (index, name) in ["One", "Two", "Three", "Four"].into_iter().enumerate() {
        let extension = 1001 + u16::try_from(index)?;
        let username = extension.to_string();
        let password = glue::random_text(20);
        let digests = sip::DeviceCredential::from_password(&username, realm, &password);
        let email = format!("agent.{}@demo.example", name.to_lowercase());
        let console = AgentConsole {
            email: email.clone(),
            password: glue::random_text(20),
        };
        let person = NewPerson {
            tenant,
            email: email.clone(),
            name: format!("Agent {name}"),
            role: Role::Agent,
            password: console.password.clone().into(),
        };
        accounts
            .create_user(person, now)
            .await
            .context("a demo agent could not be created")?;
        let new = NewAgent {
            first_name: "Agent".into(),
            last_name: name.into(),
            email: email.clone(),
            extension,
            sip_username: username.clone(),
            password_hash: String::new(),
            sip: SipSecrets {
                ha1_md5: hex::encode(digests.md5()),
                ha1_sha256: hex::encode(digests.sha256()),
            },
            language: "en".into(),
            role: AgentRole::Agent,
            availability: Availability::Online,
            status_outbound: true,
            daily_price_limit: None,
            default_number: number,
            wrap_up_seconds: WRAP_UP_SECONDS,
        };
        let id = db.add_agent(tenant, new, now).await?;
        let (group, group_name) = groups[index / 2];
        db.add_member(tenant, group, id).await?;
        listed.push(DemoAgent {
            id: id.0,
            extension: username.clone(),
            username,
            password,
            groups: vec![group_name.into()],
            console: Some(console),
        });
    }
    Ok(listed)
}

async fn address_book(
    db: &Db,
    tenant: TenantId,
    agents: &[DemoAgent],
    now: Timestamp,
) -> anyhow::Result<()> {
    let plan = db.add_attribute(tenant, "Plan").await?;
    let slovakia = cloudtalk_api::country_id("SK");
    let mut ids = Vec::new();
    for contact in contacts(plan, slovakia) {
        ids.push(db.add_contact(tenant, contact, now).await?);
    }
    for (contact, kind, name) in [
        (ids[0], ActivityKind::Order, "Order 1001"),
        (ids[1], ActivityKind::Ticket, "Invoice question"),
    ] {
        let activity = NewActivity {
            kind,
            name: name.into(),
            description: "Made with the demo company".into(),
            author: "Demo".into(),
            external_id: String::new(),
            external_url: String::new(),
            activity_at: now,
        };
        db.add_activity(tenant, contact, activity, now).await?;
    }
    let tags = db.tags(tenant, None, Page::ALL).await?.rows;
    let leads = tags
        .iter()
        .filter(|tag| tag.name == "lead")
        .map(|tag| tag.id)
        .collect();
    let button = |title: &str, kind, color: &str| CampaignButton {
        id: 0,
        title: title.into(),
        kind,
        color: color.into(),
        description: String::new(),
    };
    let campaign = NewCampaign {
        name: "Call the leads".into(),
        active: false,
        settings: CampaignSettings::default(),
        buttons: vec![
            button("Interested", ButtonKind::SuccessfulPositive, "#2f9e44"),
            button("Not interested", ButtonKind::SuccessfulNegative, "#e03131"),
            button("Call again", ButtonKind::UnsuccessfulCallAgain, "#1971c2"),
        ],
        tags: leads,
        agents: agents
            .iter()
            .take(2)
            .map(|agent| AgentId(agent.id))
            .collect(),
        groups: Vec::new(),
    };
    db.add_campaign(tenant, campaign, now).await?;
    let nuisance = PhoneNumber::parse("+421900000999")?;
    db.add_blacklisted(tenant, BlacklistKind::Incoming, &nuisance, now)
        .await?;
    Ok(())
}
