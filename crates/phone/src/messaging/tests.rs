use std::sync::Arc;

use model::{PhoneNumber, TenantId};
use store::{
    Db,
    company::NewTenant,
    directory::{ContactFields, Message, MessageFilter, NewContact, NewNumber, Page},
    now,
};

use super::*;

const OURS: &str = "+421200000001";
const SILENT: &str = "+421200000002";
const THEIRS: &str = "+421200000009";
const OUTSIDE: &str = "+421900111222";

struct House {
    db: Db,
    acme: TenantId,
    rival: TenantId,
    _dir: tempfile::TempDir,
}

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).expect("valid number")
}

async fn house() -> House {
    let dir = tempfile::tempdir().expect("temp dir");
    let db = Db::open_file(&dir.path().join("t.db")).await.expect("open");
    let company = |name: &str| NewTenant {
        name: name.into(),
        time_zone: "UTC".into(),
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
    for (tenant, e164, sms_enabled) in [
        (acme, OURS, true),
        (acme, SILENT, false),
        (rival, THEIRS, true),
    ] {
        let new = NewNumber {
            number: number(e164),
            area_code: String::new(),
            internal_name: "Main".into(),
            is_redirected: false,
            sms_enabled,
            route: None,
            trunk: None,
        };
        db.add_number(tenant, new, now()).await.expect("number");
    }
    House {
        db,
        acme,
        rival,
        _dir: dir,
    }
}

fn sms(sender: &str, recipient: &str) -> SendSms {
    SendSms {
        sender: number(sender),
        recipient: number(recipient),
        text: "Ahoj 🙂".into(),
    }
}

async fn inbox(db: &Db, tenant: TenantId) -> Vec<Message> {
    db.messages(tenant, &MessageFilter::default(), Page::ALL)
        .await
        .expect("list")
        .rows
}

#[tokio::test]
async fn a_message_to_a_number_of_the_house_arrives() {
    let House {
        db,
        acme,
        rival,
        _dir,
    } = house().await;
    let fields = ContactFields {
        name: "Acme".into(),
        ..Default::default()
    };
    let acme_at_rival = db
        .add_contact(
            rival,
            NewContact {
                fields,
                numbers: vec![number(OURS)],
                ..Default::default()
            },
            now(),
        )
        .await
        .expect("contact");
    let messaging = Messaging::new(db.clone(), Arc::new(LoopbackCarrier::new(db.clone())));
    let outcome = messaging
        .send(acme, sms(OURS, THEIRS), now())
        .await
        .expect("send");
    let sent = inbox(&db, acme).await.remove(0);
    assert_eq!(outcome, SendOutcome::Accepted(sent.id));
    assert_eq!(
        (sent.direction, sent.state),
        (MessageDirection::Outgoing, MessageState::Delivered)
    );
    let received = inbox(&db, rival).await.remove(0);
    assert_eq!(
        (received.direction, received.text.as_str()),
        (MessageDirection::Incoming, "Ahoj 🙂")
    );
    assert_eq!(received.contact, Some(acme_at_rival));
}

#[tokio::test]
async fn a_message_to_the_outside_is_sent_and_not_delivered() {
    let House { db, acme, .. } = &house().await;
    let messaging = Messaging::new(db.clone(), Arc::new(LoopbackCarrier::new(db.clone())));
    messaging
        .send(*acme, sms(OURS, OUTSIDE), now())
        .await
        .expect("send");
    let kept = inbox(db, *acme).await;
    assert_eq!((kept.len(), kept[0].state), (1, MessageState::Sent));
}

#[tokio::test]
async fn only_own_numbers_that_may_send_do() {
    let House { db, acme, .. } = &house().await;
    let messaging = Messaging::new(db.clone(), Arc::new(LoopbackCarrier::new(db.clone())));
    for sender in [SILENT, THEIRS, OUTSIDE] {
        let refused = messaging.send(*acme, sms(sender, OUTSIDE), now()).await;
        assert!(
            matches!(refused, Err(SendError::SenderNotAllowed)),
            "{sender}: {refused:?}"
        );
    }
    assert!(
        inbox(db, *acme).await.is_empty(),
        "a refused sender leaves nothing behind"
    );
}

struct Picky;

#[async_trait::async_trait]
impl SmsCarrier for Picky {
    async fn send(&self, _: OutgoingSms) -> Result<Accepted, SmsRefused> {
        Err(SmsRefused::CountryNotAllowed)
    }
}

#[tokio::test]
async fn a_refusal_is_kept_with_its_reason() {
    let House { db, acme, .. } = &house().await;
    let messaging = Messaging::new(db.clone(), Arc::new(Picky));
    let outcome = messaging
        .send(*acme, sms(OURS, OUTSIDE), now())
        .await
        .expect("send");
    assert!(
        matches!(
            outcome,
            SendOutcome::Refused(_, SmsRefused::CountryNotAllowed)
        ),
        "{outcome:?}"
    );
    let kept = inbox(db, *acme).await.remove(0);
    assert_eq!(
        (kept.state, kept.reason.as_deref()),
        (MessageState::Failed, Some("Not allowed country."))
    );
}

#[tokio::test]
async fn a_text_that_no_carrier_takes_is_refused_before() {
    let House { db, acme, .. } = &house().await;
    let messaging = Messaging::new(db.clone(), Arc::new(LoopbackCarrier::new(db.clone())));
    let long = SendSms {
        text: "x".repeat(MAX_CHARACTERS + 1),
        ..sms(OURS, OUTSIDE)
    };
    let outcome = messaging.send(*acme, long, now()).await.expect("send");
    assert!(
        matches!(outcome, SendOutcome::Refused(_, SmsRefused::LimitExceeded)),
        "{outcome:?}"
    );
}
