use model::ContactId;
use serde_json::{Value, json};

use crate::actors::{Actor, App};

const ADD: &str = "/api/contacts/add.json";

fn jan() -> Value {
    json!({
        "name": "Jan Vzor", "company": "Acme & Co", "country_id": "203", "email": "ignored",
        "ContactNumber": [{"public_number": 421_900_111_222_u64}],
        "ContactEmail": [{"email": "jan@example.test"}],
        "ContactsTag": [{"name": "vip"}],
        "ExternalUrl": [{"name": "CRM", "url": "https://crm.example.test/1"}],
    })
}

#[tokio::test]
async fn a_contact_is_made_listed_and_shown() {
    let app = App::new().await;
    let plan = app
        .db
        .add_attribute(app.acme, "Plan")
        .await
        .expect("attribute")
        .0;
    let mut body = jan();
    body["ContactAttribute"] = json!([{"id": plan, "value": "gold"}]);
    let id = app.ask(Actor::Acme, "PUT", ADD, body).await.created();
    let stored = app
        .db
        .contact(app.acme, ContactId(id))
        .await
        .expect("read")
        .expect("stored");
    assert_eq!(stored.numbers[0].as_str(), "+421900111222");

    let list = app
        .get("/api/contacts/index.json?keyword=+421900&limit=5")
        .await
        .data();
    assert_eq!(list["itemsCount"], 1);
    assert_eq!(
        list["data"][0],
        json!({
            "Contact": {"id": id.to_string(), "name": "Jan Vzor", "company": "Acme & Co",
                        "contact_numbers": ["+421900111222"], "contact_emails": ["jan@example.test"]},
            "ContactNumber": {"public_number": "+421900111222"},
            "ContactEmail": {"email": "jan@example.test"},
        })
    );
    let shown = app
        .get(&format!("/api/contacts/show/{id}.json"))
        .await
        .data();
    assert_eq!(shown["Contact"]["country_id"], "203");
    assert_eq!(shown["Contact"]["zip"], Value::Null);
    assert_eq!(shown["Tag"], shown["ContactsTag"]);
    assert_eq!(
        shown["ContactNumber"],
        json!([{"public_number": "+421900111222", "contact_id": id.to_string()}])
    );
    assert_eq!(
        shown["ContactAttribute"],
        json!([{"attribute_id": plan.to_string(), "title": "Plan", "value": "gold"}])
    );
    let created = shown["Contact"]["created"].as_str().expect("a date");
    assert!(created.len() == 25 && !created.ends_with('Z'), "{created}");
}

#[tokio::test]
async fn a_php_form_makes_the_same_contact() {
    let app = App::new().await;
    let body = "name=Ann&ContactNumber[0][public_number]=%2B421900111222&ContactsTag[0][name]=vip&ContactsTag[1][name]=new";
    let id = app.form(Actor::Acme, "PUT", ADD, body).await.created();
    let stored = app
        .db
        .contact(app.acme, ContactId(id))
        .await
        .expect("read")
        .expect("stored");
    assert_eq!((stored.numbers.len(), stored.tags.len()), (1, 2));
}

#[tokio::test]
async fn an_edit_is_partial_and_sets_are_replaced() {
    let app = App::new().await;
    let id = app.ask(Actor::Acme, "PUT", ADD, jan()).await.created();
    let edit = format!("/api/contacts/edit/{id}.json");
    assert_eq!(
        app.ask(
            Actor::Acme,
            "POST",
            &edit,
            json!({"company": "", "ContactEmail": ""})
        )
        .await
        .is(200)
        .data(),
        json!({"status": 200})
    );
    let contact = app
        .db
        .contact(app.acme, ContactId(id))
        .await
        .expect("read")
        .expect("stored");
    assert_eq!(
        (
            contact.fields.name.as_str(),
            contact.fields.company.as_str()
        ),
        ("Jan Vzor", "")
    );
    assert_eq!(
        (
            contact.emails.len(),
            contact.numbers.len(),
            contact.urls.len()
        ),
        (0, 1, 1)
    );
    app.ask(
        Actor::Acme,
        "POST",
        &edit,
        json!({"ContactNumber": [{"public_number": "+421900333444"}], "ExternalUrl": []}),
    )
    .await
    .is(200);
    let contact = app
        .db
        .contact(app.acme, ContactId(id))
        .await
        .expect("read")
        .expect("stored");
    assert_eq!(
        (
            contact.numbers[0].as_str(),
            contact.numbers.len(),
            contact.urls.len()
        ),
        ("+421900333444", 1, 0)
    );
    app.ask(Actor::Acme, "POST", &edit, json!({"name": ""}))
        .await
        .invalid("name");
}

#[tokio::test]
async fn bad_contacts_are_refused_field_by_field() {
    let app = App::new().await;
    for name in [
        json!({}),
        json!({"name": null}),
        json!({"name": ""}),
        Value::Null,
    ] {
        assert_eq!(
            app.ask(Actor::Acme, "PUT", ADD, name).await.invalid("name"),
            "This field is required."
        );
    }
    for (field, key, value) in [
        ("country_id", "country_id", json!("9999")),
        ("favorite_agent", "favorite_agent", json!(77)),
        ("email", "ContactEmail", json!([{"email": "nope"}])),
        (
            "attribute_id",
            "ContactAttribute",
            json!([{"attribute_id": 9, "value": "x"}]),
        ),
        ("title", "title", json!("x".repeat(256))),
        ("zip", "zip", json!("x".repeat(16))),
        (
            "ExternalUrl",
            "ExternalUrl",
            json!([{"url": "a"}, {"url": "b"}, {"url": "c"}, {"url": "d"}]),
        ),
    ] {
        let reply = app
            .ask(Actor::Acme, "PUT", ADD, json!({"name": "X", key: value}))
            .await;
        assert!(!reply.invalid(field).is_empty());
    }
    let number = json!({"name": "X", "ContactNumber": [{"public_number": "12ab"}]});
    assert_eq!(
        app.ask(Actor::Acme, "PUT", ADD, number)
            .await
            .invalid("public_number"),
        "Please supply only valid numbers. Number 12ab is not valid."
    );
    assert_eq!(
        app.get("/api/contacts/index.json").await.data()["itemsCount"],
        0,
        "nothing was stored"
    );
}

#[tokio::test]
async fn malformed_json_has_no_field_to_blame() {
    let app = App::new().await;
    let request = app
        .request(Actor::Acme, "PUT", ADD)
        .header("content-type", "application/json; charset=utf-8");
    let reply = app
        .send(request.body("{\"name\": ".into()).expect("a request"))
        .await;
    assert_eq!(
        reply.is(406).json(),
        json!({"responseData": {"status": 406, "message": "Invalid input data."}})
    );
}

#[tokio::test]
async fn tags_are_added_and_removed_by_name() {
    let app = App::new().await;
    let id = app.ask(Actor::Acme, "PUT", ADD, jan()).await.created();
    let added = app
        .ask(
            Actor::Acme,
            "PUT",
            &format!("/api/contacts/addTags/{id}.json"),
            json!({"tags": ["new", "VIP"]}),
        )
        .await;
    let data = added.is(200).data();
    assert_eq!(data["message"], "Tags were sucessfully added.");
    assert_eq!(
        (
            data["data"]["contact_id"].clone(),
            data["data"]["tags"].as_array().map(Vec::len)
        ),
        (json!(id.to_string()), Some(2))
    );
    let remove = format!("/api/contacts/removeTags/{id}.json");
    let removed = app
        .ask(
            Actor::Acme,
            "DELETE",
            &remove,
            json!({"tags": ["new", "ghost"]}),
        )
        .await
        .is(200)
        .data();
    assert_eq!(removed["message"], "Tags were successfully removed.");
    assert_eq!(removed["data"]["tags"].as_array().map(Vec::len), Some(1));
    let by_query = app
        .ask(
            Actor::Acme,
            "DELETE",
            &format!("{remove}?tags[]=vip"),
            Value::Null,
        )
        .await
        .is(200)
        .data();
    assert_eq!(by_query["data"]["tags"][0]["name"], "vip");
    for bad in [
        json!({}),
        json!({"tags": []}),
        json!({"tags": [""]}),
        json!({"tags": [["x"]]}),
    ] {
        app.ask(
            Actor::Acme,
            "PUT",
            &format!("/api/contacts/addTags/{id}.json"),
            bad,
        )
        .await
        .invalid("tags");
    }
    app.ask(
        Actor::Acme,
        "PUT",
        "/api/contacts/addTags/999.json",
        json!({"tags": ["x"]}),
    )
    .await
    .is(404);
}

#[tokio::test]
async fn a_deleted_contact_is_gone() {
    let app = App::new().await;
    let id = app.ask(Actor::Acme, "PUT", ADD, jan()).await.created();
    let delete = format!("/api/contacts/delete/{id}.json");
    assert_eq!(
        app.ask(Actor::Acme, "DELETE", &delete, Value::Null)
            .await
            .is(200)
            .data(),
        json!({"status": 200})
    );
    app.ask(Actor::Acme, "DELETE", &delete, Value::Null)
        .await
        .is(404);
    app.get("/api/contacts/show/abc.json").await.is(404);
}
