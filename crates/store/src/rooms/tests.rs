use model::TenantId;

use super::*;
use crate::testing;

const ONE: TenantId = TenantId(1);
const OTHER: TenantId = TenantId(2);

fn settings(extension: u16, pin: Option<&str>) -> RoomSettings {
    RoomSettings {
        name: format!("Room {extension}"),
        extension,
        pin: pin.map(str::to_owned),
    }
}

#[tokio::test]
async fn rooms_belong_to_their_company_and_extensions_are_its_own() {
    for (db, _dir) in testing::databases().await {
        let now = from_ms(1_000);
        let second = settings(2, Some("4711"));
        let room = db.add_room(ONE, &second, now).await.expect("stored");
        let room = room.expect("the extension is free");
        assert_eq!(room.settings, second);
        assert!(
            db.add_room(ONE, &second, now)
                .await
                .expect("asked")
                .is_none()
        );
        assert!(
            db.add_room(OTHER, &second, now)
                .await
                .expect("asked")
                .is_some()
        );
        let first = settings(1, None);
        db.add_room(ONE, &first, now).await.expect("stored");
        let rooms = db.rooms(ONE).await.expect("read");
        let listed: Vec<_> = rooms.into_iter().map(|room| room.settings).collect();
        assert_eq!(listed, [first.clone(), second]);

        let changed = |tenant, settings| {
            let (db, id) = (&db, room.id);
            async move { db.set_room(tenant, id, &settings).await.expect("asked") }
        };
        assert_eq!(changed(ONE, first).await, RoomChange::ExtensionTaken);
        assert_eq!(
            changed(OTHER, settings(9, None)).await,
            RoomChange::NoSuchRoom
        );
        assert_eq!(changed(ONE, settings(9, None)).await, RoomChange::Done);

        assert!(!db.delete_room(OTHER, room.id).await.expect("asked"));
        assert!(db.delete_room(ONE, room.id).await.expect("asked"));
        assert_eq!(db.rooms(ONE).await.expect("read").len(), 1);
    }
}
