//! Conference rooms: those that companies set up, and who is in them now.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use calls::{
    call::{Doors, PinVerdict, RoomInfo},
    flow::{Conference, Flow, Step},
};
use media::Room;
use model::{AgentId, FlowId, RoomId, TenantId};
use store::{
    Db, StoreError,
    rooms::{RoomChange, RoomSettings, StoredRoom},
};

use crate::{clock, phone::Phone};

/// Phones of a company dial this and a room's extension.
pub const PREFIX: &str = "*5";
/// The highest extension of a room.
const LAST_EXTENSION: u16 = 9_999;
/// How many digits a PIN has.
const PIN: std::ops::RangeInclusive<usize> = 4..=10;
/// The longest name: it is spoken to everybody who enters.
const LONGEST_NAME: usize = 60;

/// Why a room could not be set up as wanted.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// A field holds what it can't.
    #[error("{0}")]
    Invalid(String),
    /// Another room of the company has the extension.
    #[error("another room has the extension {0}")]
    ExtensionTaken(u16),
    /// The company has no such room.
    #[error("there is no such room")]
    NotFound,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A room and how many are in it.
#[derive(Clone, Debug)]
pub struct ListedRoom {
    /// As it was set up.
    pub stored: StoredRoom,
    /// Legs in it now.
    pub participants: usize,
}

/// The rooms that somebody is in.
#[derive(Debug, Default)]
pub(crate) struct OpenRooms {
    open: Mutex<HashMap<RoomId, Room>>,
    doors: Mutex<Doors>,
}

impl OpenRooms {
    /// The room's audio, begun by who comes first.
    pub(crate) fn open(&self, room: RoomId) -> Room {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other, there| *other == room || there.taken() > 0);
        open.entry(room).or_default().clone()
    }

    /// Somebody keyed in a PIN.
    pub(crate) fn pin_tried(
        &self,
        room: RoomId,
        agent: Option<AgentId>,
        is_right: bool,
    ) -> PinVerdict {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = doors.tried(clock::now(), room, agent, is_right);
        if verdict == (PinVerdict::Wrong { shuts: true }) {
            let agent = agent.map(|agent| agent.0);
            tracing::warn!(
                room.id = room.0,
                agent.id = agent,
                "too many wrong PINs: nobody enters this conference from there for a while"
            );
        }
        verdict
    }

    fn participants(&self, room: RoomId) -> usize {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&room).map_or(0, Room::taken)
    }
}

/// A company's rooms as its calls know them, and by the extensions that phones dial.
#[derive(Debug, Default)]
pub(crate) struct CompanyRooms {
    pub(crate) infos: Arc<BTreeMap<RoomId, RoomInfo>>,
    by_extension: HashMap<u16, RoomId>,
}

impl CompanyRooms {
    pub(crate) async fn load(db: &Db, tenant: TenantId) -> Result<Self, StoreError> {
        let rooms = db.rooms(tenant).await?;
        let by_extension = rooms
            .iter()
            .map(|room| (room.settings.extension, room.id))
            .collect();
        let infos = rooms.into_iter().map(|room| {
            let RoomSettings { name, pin, .. } = room.settings;
            (room.id, RoomInfo { name, pin })
        });
        Ok(Self {
            infos: Arc::new(infos.collect()),
            by_extension,
        })
    }

    /// The room that a phone dialled.
    pub(crate) fn at(&self, extension: u16) -> Option<RoomId> {
        self.by_extension.get(&extension).copied()
    }
}

/// The extension of a room, when that is what a phone dialled.
pub(crate) fn dialled(to: &str) -> Option<u16> {
    let digits = to.strip_prefix(PREFIX)?;
    let digits_only = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| digits_only)
}

/// What somebody gets who calls a room.
pub(crate) fn flow(room: RoomId) -> Flow {
    let step = Step::Conference(Conference {
        name: String::new(),
        room,
    });
    Flow {
        id: FlowId(0),
        start: "conference".to_owned(),
        steps: BTreeMap::from([("conference".to_owned(), step)]),
    }
}

/// Says what is wrong with a room's settings.
fn check(settings: &RoomSettings) -> Result<(), RoomError> {
    let length = settings.name.trim().chars().count();
    if !(1..=LONGEST_NAME).contains(&length) {
        let text = format!("name: give the room a name of 1 to {LONGEST_NAME} letters");
        return Err(RoomError::Invalid(text));
    }
    if !(1..=LAST_EXTENSION).contains(&settings.extension) {
        let text = format!("extension: choose a number from 1 to {LAST_EXTENSION}");
        return Err(RoomError::Invalid(text));
    }
    let fits =
        |pin: &String| PIN.contains(&pin.len()) && pin.bytes().all(|byte| byte.is_ascii_digit());
    if !settings.pin.as_ref().is_none_or(fits) {
        let (least, most) = (PIN.start(), PIN.end());
        let text = format!("pin: give {least} to {most} digits, or none");
        return Err(RoomError::Invalid(text));
    }
    Ok(())
}

impl Phone {
    /// A company's conference rooms.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rooms(&self, tenant: TenantId) -> Result<Vec<ListedRoom>, RoomError> {
        let open = self.open_rooms();
        let stored = self.db().rooms(tenant).await?;
        let listed = stored.into_iter().map(|stored| ListedRoom {
            participants: open.participants(stored.id),
            stored,
        });
        Ok(listed.collect())
    }

    /// Sets up a room; phones can dial it when this returns.
    ///
    /// # Errors
    /// When a setting doesn't fit, the extension is taken or the database fails.
    pub async fn add_room(
        &self,
        tenant: TenantId,
        settings: &RoomSettings,
    ) -> Result<StoredRoom, RoomError> {
        check(settings)?;
        let added = self.db().add_room(tenant, settings, clock::now()).await?;
        let room = added.ok_or(RoomError::ExtensionTaken(settings.extension))?;
        self.directory_changed(tenant).await?;
        Ok(room)
    }

    /// Sets a room anew. Who is in it stays.
    ///
    /// # Errors
    /// When a setting doesn't fit, the extension is taken, there is no such room or the database fails.
    pub async fn set_room(
        &self,
        tenant: TenantId,
        room: RoomId,
        settings: &RoomSettings,
    ) -> Result<(), RoomError> {
        check(settings)?;
        match self.db().set_room(tenant, room, settings).await? {
            RoomChange::Done => {}
            RoomChange::NoSuchRoom => return Err(RoomError::NotFound),
            RoomChange::ExtensionTaken => {
                return Err(RoomError::ExtensionTaken(settings.extension));
            }
        }
        Ok(self.directory_changed(tenant).await?)
    }

    /// Removes a room. Who is in it stays until he hangs up.
    ///
    /// # Errors
    /// When there is no such room or the database fails.
    pub async fn delete_room(&self, tenant: TenantId, room: RoomId) -> Result<(), RoomError> {
        if !self.db().delete_room(tenant, room).await? {
            return Err(RoomError::NotFound);
        }
        Ok(self.directory_changed(tenant).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_dialled_by_star_five_and_their_extension() {
        let dialled = [
            ("*51", Some(1)),
            ("*50042", Some(42)),
            ("*5", None),
            ("*5+1", None),
            ("*43", None),
            ("51", None),
            ("*599999999", None),
        ];
        for (to, room) in dialled {
            assert_eq!(super::dialled(to), room, "{to}");
        }
    }

    #[test]
    fn settings_that_do_not_fit_name_their_field() {
        let room = |name: &str, extension, pin: Option<&str>| RoomSettings {
            name: name.to_owned(),
            extension,
            pin: pin.map(str::to_owned),
        };
        assert!(check(&room("Monday", 1, Some("4711"))).is_ok());
        assert!(check(&room("Monday", 9_999, None)).is_ok());
        for (wrong, field) in [
            (room(" ", 1, None), "name"),
            (room("Monday", 0, None), "extension"),
            (room("Monday", 10_000, None), "extension"),
            (room("Monday", 1, Some("12")), "pin"),
            (room("Monday", 1, Some("12a4")), "pin"),
        ] {
            let error = check(&wrong).expect_err("it does not fit").to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }
}
