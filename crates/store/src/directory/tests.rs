use model::{Availability, Direction, FlowId, PhoneNumber, RingStrategy, TenantId};

use super::*;
use crate::{Db, StoreError, company::NewTenant, from_ms, now, testing::databases};

/// A database of its own for one test: always SQLite, PostgreSQL too when a server is named.
struct Bench {
    db: Db,
    acme: TenantId,
    rival: TenantId,
    _dir: tempfile::TempDir,
}

async fn benches() -> Vec<Bench> {
    let mut benches = Vec::new();
    for (db, dir) in databases().await {
        benches.push(bench(db, dir).await);
    }
    benches
}

async fn bench(db: Db, dir: tempfile::TempDir) -> Bench {
    let company = |name: &str| NewTenant {
        name: name.into(),
        time_zone: "Europe/Bratislava".into(),
        country_code: "SK".into(),
    };
    let acme = db
        .create_tenant(company("Acme"), now())
        .await
        .expect("tenant")
        .id;
    let rival = db
        .create_tenant(company("Rival"), now())
        .await
        .expect("tenant")
        .id;
    Bench {
        db,
        acme,
        rival,
        _dir: dir,
    }
}

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).expect("valid number")
}

fn ann() -> NewAgent {
    NewAgent {
        first_name: "Ann".into(),
        last_name: "Ray".into(),
        email: "Ann@Example.test".into(),
        extension: 1001,
        sip_username: "1001".into(),
        password_hash: "hash".into(),
        sip: SipSecrets {
            ha1_md5: "aa".into(),
            ha1_sha256: "bb".into(),
        },
        language: "en".into(),
        role: AgentRole::Agent,
        availability: Availability::Online,
        status_outbound: true,
        daily_price_limit: Some(10),
        default_number: None,
        wrap_up_seconds: 30,
    }
}

fn jan() -> NewContact {
    NewContact {
        fields: ContactFields {
            name: "Jan Vzor".into(),
            industry: "Retail".into(),
            ..Default::default()
        },
        numbers: vec![number("+421900111222")],
        emails: vec!["jan@example.test".into()],
        tags: vec!["VIP".into()],
        ..Default::default()
    }
}

fn new_number(e164: &str) -> NewNumber {
    NewNumber {
        number: number(e164),
        area_code: "2".into(),
        internal_name: "Main".into(),
        is_redirected: false,
        sms_enabled: true,
        route: Some(Route::Flow(FlowId(7))),
        trunk: None,
    }
}

#[tokio::test]
async fn a_deleted_agent_frees_his_address_and_keeps_his_name() {
    for Bench { db, acme, .. } in benches().await {
        let id = db.add_agent(acme, ann(), now()).await.expect("add");
        assert!(matches!(
            db.add_agent(acme, ann(), now()).await,
            Err(StoreError::Duplicate { .. })
        ));

        assert!(db.delete_agent(acme, id, now()).await.expect("delete"));
        assert!(
            !db.delete_agent(acme, id, now())
                .await
                .expect("second delete")
        );
        assert!(db.agents_of(acme).await.expect("list").is_empty());
        assert_eq!(
            db.agent(acme, id)
                .await
                .expect("read")
                .expect("kept")
                .full_name(),
            "Ann Ray"
        );
        assert!(
            db.agent_by_sip_username("1001")
                .await
                .expect("read")
                .is_none()
        );
        db.add_agent(acme, ann(), now())
            .await
            .expect("the address is free again");
    }
}

#[tokio::test]
async fn unique_fields_of_an_agent_are_told_apart() {
    for Bench {
        db, acme, rival, ..
    } in benches().await
    {
        db.add_agent(acme, ann(), now()).await.expect("add");
        let extension = db
            .add_agent(
                acme,
                NewAgent {
                    email: "b@example.test".into(),
                    sip_username: "x".into(),
                    ..ann()
                },
                now(),
            )
            .await;
        assert!(
            matches!(extension, Err(StoreError::Duplicate { what: "extension" })),
            "{extension:?}"
        );
        let username = db
            .add_agent(
                rival,
                NewAgent {
                    email: "b@example.test".into(),
                    ..ann()
                },
                now(),
            )
            .await;
        assert!(
            matches!(
                username,
                Err(StoreError::Duplicate {
                    what: "sip_username"
                })
            ),
            "{username:?}"
        );
        let email = db
            .add_agent(
                rival,
                NewAgent {
                    sip_username: "x".into(),
                    ..ann()
                },
                now(),
            )
            .await;
        assert!(
            matches!(email, Err(StoreError::Duplicate { what: "email" })),
            "{email:?}"
        );
        assert_eq!(
            db.next_free_extension(acme).await.expect("next"),
            Some(1002)
        );
        assert_eq!(
            db.next_free_extension(rival).await.expect("next"),
            Some(1001)
        );
    }
}

#[tokio::test]
async fn a_device_is_found_with_its_secrets() {
    for Bench { db, acme, .. } in benches().await {
        let id = db.add_agent(acme, ann(), now()).await.expect("add");
        let (agent, secrets) = db
            .agent_by_sip_username("1001")
            .await
            .expect("read")
            .expect("found");
        assert_eq!(
            (agent.id, agent.email.as_str(), secrets.ha1_md5.as_str()),
            (id, "ann@example.test", "aa")
        );
        assert_eq!(format!("{secrets:?}"), "SipSecrets(…)");
        assert!(
            db.set_availability(acme, id, Availability::Idle)
                .await
                .expect("set")
        );
        assert_eq!(
            db.agent(acme, id)
                .await
                .expect("read")
                .expect("found")
                .availability,
            Availability::Idle
        );
    }
}

#[tokio::test]
async fn agents_are_filtered_by_any_number_they_show() {
    for Bench { db, acme, .. } in benches().await {
        let main = db
            .add_number(acme, new_number("+421200000001"), now())
            .await
            .expect("number");
        let second = db
            .add_number(acme, new_number("+421200000002"), now())
            .await
            .expect("number");
        let id = db
            .add_agent(
                acme,
                NewAgent {
                    default_number: Some(main),
                    ..ann()
                },
                now(),
            )
            .await
            .expect("add");
        db.associate_number(acme, id, second)
            .await
            .expect("associate");
        db.associate_number(acme, id, second)
            .await
            .expect("twice is once");
        for e164 in ["+421200000001", "+421200000002"] {
            let filter = AgentFilter {
                associated_number: Some(e164.into()),
                ..Default::default()
            };
            assert_eq!(
                db.agents(acme, &filter, Page::ALL)
                    .await
                    .expect("list")
                    .total,
                1,
                "{e164}"
            );
        }
        let filter = AgentFilter {
            associated_number: Some("+421200000003".into()),
            ..Default::default()
        };
        assert_eq!(
            db.agents(acme, &filter, Page::ALL)
                .await
                .expect("list")
                .total,
            0
        );
        assert_eq!(
            db.agent(acme, id)
                .await
                .expect("read")
                .expect("found")
                .associated_numbers,
            [main, second]
        );
    }
}

#[tokio::test]
async fn membership_is_a_set_and_falls_with_the_agent() {
    for Bench { db, acme, .. } in benches().await {
        let agent = db.add_agent(acme, ann(), now()).await.expect("agent");
        let new = NewGroup {
            internal_name: "Sales".into(),
            extension: None,
            strategy: RingStrategy::RoundRobin,
            ring_seconds: 20,
            wrap_up_seconds: None,
            rings_idle: false,
        };
        let group = db.add_group(acme, new, now()).await.expect("group");
        db.add_member(acme, group, agent).await.expect("join");
        db.add_member(acme, group, agent).await.expect("join twice");
        assert_eq!(db.memberships(acme).await.expect("list"), [(group, agent)]);
        assert_eq!(
            db.group(acme, group)
                .await
                .expect("read")
                .expect("found")
                .strategy,
            RingStrategy::RoundRobin
        );
        db.delete_agent(acme, agent, now()).await.expect("delete");
        assert!(db.memberships(acme).await.expect("list").is_empty());
        assert!(!db.remove_member(acme, group, agent).await.expect("leave"));
    }
}

#[tokio::test]
async fn a_number_has_one_owner_and_finds_its_company() {
    for Bench {
        db, acme, rival, ..
    } in benches().await
    {
        let id = db
            .add_number(acme, new_number("+421200000001"), now())
            .await
            .expect("add");
        let stolen = db
            .add_number(rival, new_number("+421 2 0000 0001"), now())
            .await;
        assert!(
            matches!(stolen, Err(StoreError::Duplicate { what: "number" })),
            "{stolen:?}"
        );
        let found = db
            .number_by_e164(&number("00421200000001"))
            .await
            .expect("read")
            .expect("found");
        assert_eq!(
            (
                found.id,
                found.tenant,
                found.route,
                found.country_code.as_str()
            ),
            (id, acme, Some(Route::Flow(FlowId(7))), "421")
        );

        assert!(
            !db.edit_number(
                rival,
                id,
                NumberPatch {
                    route: Some(None),
                    ..Default::default()
                }
            )
            .await
            .expect("edit")
        );
        assert!(
            db.edit_number(
                acme,
                id,
                NumberPatch {
                    route: Some(None),
                    ..Default::default()
                }
            )
            .await
            .expect("edit")
        );
        let free = NumberFilter {
            is_free: Some(true),
            ..Default::default()
        };
        assert_eq!(
            db.numbers(acme, &free, Page::ALL)
                .await
                .expect("list")
                .total,
            1
        );
    }
}

#[tokio::test]
async fn a_contact_reads_back_whole() {
    for Bench { db, acme, .. } in benches().await {
        let plan = db.add_attribute(acme, "Plan").await.expect("attribute");
        let new = NewContact {
            attributes: vec![(plan, "gold".into()), (AttributeId(999), "ghost".into())],
            urls: vec![ExternalUrl {
                name: "CRM".into(),
                url: "https://crm.example.test/1".into(),
            }],
            tags: vec!["VIP".into(), "vip".into(), "new".into()],
            ..jan()
        };
        let id = db
            .add_contact(acme, new.clone(), from_ms(1000))
            .await
            .expect("add");
        let contact = db.contact(acme, id).await.expect("read").expect("found");
        assert_eq!(contact.fields, new.fields);
        assert_eq!(contact.numbers, new.numbers);
        assert_eq!(contact.urls, new.urls);
        assert_eq!(
            contact
                .tags
                .iter()
                .map(|tag| tag.name.as_str())
                .collect::<Vec<_>>(),
            ["VIP", "new"]
        );
        assert_eq!(
            contact.attributes,
            [AttributeValue {
                attribute: plan,
                title: "Plan".into(),
                value: "gold".into()
            }]
        );
        assert_eq!(contact.created_at, from_ms(1000));
    }
}

#[tokio::test]
async fn an_edit_replaces_given_sets_and_leaves_the_rest() {
    for Bench {
        db, acme, rival, ..
    } in benches().await
    {
        let id = db.add_contact(acme, jan(), now()).await.expect("add");
        let patch = ContactPatch {
            numbers: Some(vec![number("+421900333444")]),
            ..Default::default()
        };
        assert!(
            !db.edit_contact(rival, id, patch.clone(), now())
                .await
                .expect("foreign edit")
        );
        assert!(db.edit_contact(acme, id, patch, now()).await.expect("edit"));
        let contact = db.contact(acme, id).await.expect("read").expect("found");
        assert_eq!(contact.numbers, [number("+421900333444")]);
        assert_eq!(contact.emails, ["jan@example.test"]);
        assert_eq!(
            db.contact_by_number(acme, &number("+421900111222"))
                .await
                .expect("read"),
            None
        );
        assert_eq!(
            db.contact_by_number(acme, &number("+421900333444"))
                .await
                .expect("read"),
            Some(id)
        );
        assert_eq!(
            db.contact_by_number(rival, &number("+421900333444"))
                .await
                .expect("read"),
            None
        );
        let by_new_number = ContactFilter {
            keyword: Some("333444".into()),
            ..Default::default()
        };
        assert_eq!(
            db.contacts(acme, &by_new_number, Page::ALL)
                .await
                .expect("list")
                .total,
            1
        );
    }
}

#[tokio::test]
async fn keywords_find_names_addresses_and_numbers_and_nothing_else() {
    for Bench {
        db, acme, rival, ..
    } in benches().await
    {
        db.add_contact(acme, jan(), now()).await.expect("add");
        for keyword in [
            "jan",
            "VZOR",
            "Example.Test",
            "+421900111222",
            "421 900",
            "0111",
        ] {
            let filter = ContactFilter {
                keyword: Some(keyword.into()),
                ..Default::default()
            };
            assert_eq!(
                db.contacts(acme, &filter, Page::ALL)
                    .await
                    .expect("list")
                    .total,
                1,
                "{keyword}"
            );
            assert_eq!(
                db.contacts(rival, &filter, Page::ALL)
                    .await
                    .expect("list")
                    .total,
                0,
                "{keyword}"
            );
        }
        for keyword in ["%", "_", "j%n", "\\", "421901"] {
            let filter = ContactFilter {
                keyword: Some(keyword.into()),
                ..Default::default()
            };
            assert_eq!(
                db.contacts(acme, &filter, Page::ALL)
                    .await
                    .expect("list")
                    .total,
                0,
                "{keyword}"
            );
        }
    }
}

#[tokio::test]
async fn pages_are_stable_and_totals_exact() {
    for Bench { db, acme, .. } in benches().await {
        for place in 0..5 {
            let mut new = jan();
            new.fields.name = format!("Person {place}");
            db.add_contact(acme, new, now()).await.expect("add");
        }
        let page = |number| Page { limit: 2, number };
        let filter = ContactFilter {
            industry: Some("retail".into()),
            ..Default::default()
        };
        let last = db.contacts(acme, &filter, page(3)).await.expect("list");
        assert_eq!(
            (
                last.total,
                last.rows.len(),
                last.rows[0].fields.name.as_str()
            ),
            (5, 1, "Person 4")
        );
        let past = db
            .contacts(acme, &filter, page(u64::MAX))
            .await
            .expect("list");
        assert_eq!((past.total, past.rows.len()), (5, 0));
    }
}

#[tokio::test]
async fn tags_are_unique_without_regard_to_case() {
    for Bench {
        db, acme, rival, ..
    } in benches().await
    {
        let vip = db.add_tag(acme, "VIP").await.expect("add");
        let again = db.add_tag(acme, "vip").await;
        assert!(
            matches!(again, Err(StoreError::Duplicate { what: "name" })),
            "{again:?}"
        );
        db.add_tag(rival, "vip")
            .await
            .expect("another company's tag is another tag");
        let other = db.add_tag(acme, "Žltý").await.expect("add");
        assert!(matches!(
            db.edit_tag(acme, other, "Vip").await,
            Err(StoreError::Duplicate { .. })
        ));
        assert!(
            db.edit_tag(acme, vip, "vip")
                .await
                .expect("a new case for itself")
        );
        assert!(!db.delete_tag(rival, vip).await.expect("foreign delete"));
    }
}

#[tokio::test]
async fn tags_come_on_and_off_a_contact() {
    for Bench {
        db, acme, rival, ..
    } in benches().await
    {
        let id = db.add_contact(acme, jan(), now()).await.expect("add");
        let added = db
            .add_tags_to_contact(acme, id, &["Lead".into(), "VIP".into()], now())
            .await
            .expect("add")
            .expect("found");
        assert_eq!(
            added
                .iter()
                .map(|tag| tag.name.as_str())
                .collect::<Vec<_>>(),
            ["Lead", "VIP"]
        );
        let removed = db
            .remove_tags_from_contact(acme, id, &["vip".into(), "ghost".into()], now())
            .await
            .expect("remove");
        assert_eq!(removed.expect("found").len(), 1);
        assert_eq!(
            db.contact(acme, id)
                .await
                .expect("read")
                .expect("found")
                .tags
                .len(),
            1
        );
        assert_eq!(
            db.add_tags_to_contact(rival, id, &["x".into()], now())
                .await
                .expect("add"),
            None
        );
        assert_eq!(
            db.tags(rival, None, Page::ALL).await.expect("list").total,
            0,
            "a refused call leaves no tag behind"
        );
    }
}

#[tokio::test]
async fn deleting_a_contact_takes_his_timeline_along() {
    for Bench { db, acme, .. } in benches().await {
        let id = db.add_contact(acme, jan(), now()).await.expect("add");
        let order = NewActivity {
            kind: ActivityKind::Order,
            name: "Order 1".into(),
            description: String::new(),
            author: String::new(),
            external_id: "A-1".into(),
            external_url: String::new(),
            activity_at: now(),
        };
        db.add_activity(acme, id, order, now())
            .await
            .expect("activity");
        db.add_note(acme, id, None, "<b>Ahoj</b>\n🙂", now())
            .await
            .expect("note");
        let found = NoteFilter {
            keyword: Some("AHOJ".into()),
            ..Default::default()
        };
        assert_eq!(
            db.notes(acme, &found, Page::ALL).await.expect("list").rows[0].note,
            "<b>Ahoj</b>\n🙂"
        );
        assert!(db.delete_contact(acme, id).await.expect("delete"));
        assert_eq!(
            db.activities(acme, &ActivityFilter::default(), Page::ALL)
                .await
                .expect("list")
                .total,
            0
        );
        assert_eq!(
            db.notes(acme, &NoteFilter::default(), Page::ALL)
                .await
                .expect("list")
                .total,
            0
        );
    }
}

#[tokio::test]
async fn the_blacklist_stops_its_direction_only() {
    for Bench {
        db, acme, rival, ..
    } in benches().await
    {
        let pest = number("+421900999999");
        db.add_blacklisted(acme, BlacklistKind::Incoming, &pest, now())
            .await
            .expect("add");
        assert!(
            db.is_blacklisted(acme, &pest, Direction::Incoming)
                .await
                .expect("ask")
        );
        assert!(
            !db.is_blacklisted(acme, &pest, Direction::Outgoing)
                .await
                .expect("ask")
        );
        assert!(
            !db.is_blacklisted(rival, &pest, Direction::Incoming)
                .await
                .expect("ask")
        );
        let again = db
            .add_blacklisted(acme, BlacklistKind::All, &pest, now())
            .await;
        assert!(
            matches!(again, Err(StoreError::Duplicate { .. })),
            "{again:?}"
        );
    }
}

#[tokio::test]
async fn a_revoked_key_is_gone_at_once() {
    for Bench { db, acme, .. } in benches().await {
        let key = NewApiKey {
            key_id: "ABCDEFGHIJKLMNOPQRSTU1".into(),
            secret_sha256: "00".into(),
            name: "test".into(),
        };
        db.add_api_key(acme, key, now()).await.expect("add");
        assert_eq!(
            db.api_key("ABCDEFGHIJKLMNOPQRSTU1")
                .await
                .expect("read")
                .expect("found")
                .tenant,
            acme
        );
        assert!(
            db.revoke_api_key(acme, "ABCDEFGHIJKLMNOPQRSTU1", now())
                .await
                .expect("revoke")
        );
        assert_eq!(
            db.api_key("ABCDEFGHIJKLMNOPQRSTU1").await.expect("read"),
            None
        );
        assert_eq!(db.api_keys(acme).await.expect("list").len(), 1);
    }
}

#[tokio::test]
async fn a_campaign_reads_back_with_its_links() {
    for Bench { db, acme, .. } in benches().await {
        let tag = db.add_tag(acme, "dialer").await.expect("tag");
        let agent = db.add_agent(acme, ann(), now()).await.expect("agent");
        let sale = CampaignButton {
            id: 0,
            title: "Sale".into(),
            kind: ButtonKind::SuccessfulPositive,
            color: "#2980b9".into(),
            description: "Sold".into(),
        };
        let new = NewCampaign {
            name: "Dialer A".into(),
            buttons: vec![sale],
            tags: vec![tag],
            agents: vec![agent],
            ..Default::default()
        };
        let id = db.add_campaign(acme, new, now()).await.expect("add");
        let read = db
            .campaigns(acme, Some(id), Page::ALL)
            .await
            .expect("list")
            .rows
            .remove(0);
        assert_eq!(
            (read.tags, read.agents, read.buttons[0].title.as_str()),
            (vec![tag], vec![agent], "Sale")
        );
        assert_eq!(read.settings, CampaignSettings::default());
    }
}

#[tokio::test]
async fn bindings_survive_and_expire() {
    for Bench { db, .. } in benches().await {
        let binding = |instance: &str, ms| Binding {
            username: "1001".into(),
            instance: instance.into(),
            binding: serde_json::json!({"contact": instance}),
            expires_at: from_ms(ms),
        };
        db.save_binding(&binding("a", 1_000)).await.expect("save");
        db.save_binding(&binding("a", 5_000))
            .await
            .expect("refresh");
        db.save_binding(&binding("b", 2_000)).await.expect("save");
        assert_eq!(
            db.load_bindings(from_ms(3_000)).await.expect("load"),
            [binding("a", 5_000)]
        );
    }
}

#[tokio::test]
async fn flows_and_call_labels_belong_to_their_company() {
    for Bench {
        db, acme, rival, ..
    } in benches().await
    {
        let flow = db
            .add_flow(
                acme,
                NewFlow {
                    name: "Main".into(),
                    flow: serde_json::json!({"start": "a"}),
                },
                now(),
            )
            .await
            .expect("flow");
        assert_eq!(
            db.flow(acme, flow)
                .await
                .expect("read")
                .expect("found")
                .flow["start"],
            "a"
        );
        assert_eq!(db.flow(rival, flow).await.expect("read"), None);
        let call = model::CallId(100_000_001);
        let tag = db.add_tag(acme, "sale").await.expect("tag");
        db.tag_call(acme, call, tag).await.expect("tag call");
        db.add_call_note(acme, call, "Call later", now())
            .await
            .expect("note");
        db.rate_call(acme, call, "agent", 5).await.expect("rate");
        let labels = db.call_labels(acme, &[call]).await.expect("read");
        let labels = &labels[&call];
        assert_eq!(
            (
                labels.tags.len(),
                labels.notes[0].note.as_str(),
                labels.ratings[0].rating
            ),
            (1, "Call later", 5)
        );
        assert!(
            db.call_labels(rival, &[call])
                .await
                .expect("read")
                .is_empty()
        );
    }
}
