use serde_json::{Value, json};

use crate::actors::{Actor, App};

#[tokio::test]
async fn another_companys_things_are_not_found_and_not_listed() {
    let app = App::new().await;
    let agent = json!({"email": "a@example.test", "firstname": "A", "lastname": "B", "pass": "x"});
    let agent = app
        .ask(Actor::Acme, "PUT", "/api/agents/add.json", agent)
        .await
        .created();
    let contact = app
        .ask(
            Actor::Acme,
            "PUT",
            "/api/contacts/add.json",
            json!({"name": "Jan"}),
        )
        .await
        .created();
    let tag = app
        .ask(
            Actor::Acme,
            "PUT",
            "/api/tags/add.json",
            json!({"name": "vip"}),
        )
        .await
        .created();
    let note = app
        .ask(
            Actor::Acme,
            "PUT",
            &format!("/api/notes/add/{contact}.json"),
            json!({"note": "x"}),
        )
        .await
        .created();
    let order = json!({"type": "order", "name": "x"});
    let activity = app
        .ask(
            Actor::Acme,
            "PUT",
            &format!("/api/activity/add/{contact}.json"),
            order.clone(),
        )
        .await
        .created();
    let pest = json!({"type": "all", "public_number": "+421900999999"});
    let blocked = app
        .ask(Actor::Acme, "PUT", "/api/blacklist/add.json", pest.clone())
        .await
        .created();
    let group = app.group("Sales").await;

    for (method, path, body) in [
        (
            "POST",
            format!("agents/edit/{agent}"),
            json!({"lastname": "X"}),
        ),
        ("DELETE", format!("agents/delete/{agent}"), Value::Null),
        ("GET", format!("contacts/show/{contact}"), Value::Null),
        (
            "POST",
            format!("contacts/edit/{contact}"),
            json!({"name": "X"}),
        ),
        (
            "PUT",
            format!("contacts/addTags/{contact}"),
            json!({"tags": ["x"]}),
        ),
        (
            "DELETE",
            format!("contacts/removeTags/{contact}"),
            json!({"tags": ["x"]}),
        ),
        ("DELETE", format!("contacts/delete/{contact}"), Value::Null),
        ("PUT", format!("notes/add/{contact}"), json!({"note": "x"})),
        ("POST", format!("notes/edit/{note}"), json!({"note": "x"})),
        ("DELETE", format!("notes/delete/{note}"), Value::Null),
        ("PUT", format!("activity/add/{contact}"), order),
        (
            "POST",
            format!("activity/edit/{activity}"),
            json!({"name": "x"}),
        ),
        ("DELETE", format!("activity/delete/{activity}"), Value::Null),
        ("POST", format!("tags/edit/{tag}"), json!({"name": "x"})),
        ("DELETE", format!("tags/delete/{tag}"), Value::Null),
        ("POST", format!("blacklist/edit/{blocked}"), pest),
        ("DELETE", format!("blacklist/delete/{blocked}"), Value::Null),
        (
            "DELETE",
            format!("groups/delete/{agent}"),
            json!({"group_id": group}),
        ),
    ] {
        let reply = app
            .ask(Actor::Rival, method, &format!("/api/{path}.json"), body)
            .await;
        assert_eq!(
            reply.status,
            404,
            "{method} {path}: {}",
            String::from_utf8_lossy(&reply.bytes)
        );
        assert_eq!(
            reply.data(),
            json!({"status": 404, "message": "Not found."})
        );
    }
    for resource in [
        "agents",
        "groups",
        "contacts",
        "notes",
        "activity",
        "blacklist",
        "tags",
        "campaigns",
        "numbers",
        "calls",
    ] {
        let listed = app
            .ask(
                Actor::Rival,
                "GET",
                &format!("/api/{resource}/index.json"),
                Value::Null,
            )
            .await
            .is(200)
            .data();
        assert_eq!(listed["itemsCount"], 0, "{resource}");
    }
    let members = json!({"group_id": group, "agent_id": agent});
    app.ask(Actor::Rival, "PUT", "/api/groups/add.json", members)
        .await
        .invalid("group_id");
    assert_eq!(
        app.get("/api/contacts/index.json").await.data()["data"][0]["Contact"]["name"],
        "Jan"
    );
}
