//! Conference rooms: which there are, who may set them up, how full they are.

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use model::RoomId;
use phone::conference::{PREFIX, RoomError};
use serde::{Deserialize, Serialize};
use store::rooms::{RoomSettings, StoredRoom};

use crate::{
    Console,
    error::ConsoleError,
    session::{Acting, Person},
};

#[derive(Serialize)]
pub(crate) struct Rooms {
    items: Vec<Room>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Room {
    id: RoomId,
    name: String,
    extension: u16,
    /// What phones of the company dial.
    dial: String,
    /// Told to those only who may change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<String>,
    has_pin: bool,
    participants: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    name: String,
    extension: u16,
    #[serde(default)]
    pin: Option<String>,
}

impl From<Wanted> for RoomSettings {
    fn from(wanted: Wanted) -> Self {
        Self {
            name: wanted.name.trim().to_owned(),
            extension: wanted.extension,
            pin: wanted.pin.filter(|pin| !pin.is_empty()),
        }
    }
}

impl From<RoomError> for ConsoleError {
    fn from(error: RoomError) -> Self {
        match error {
            RoomError::Invalid(text) => Self::Invalid(text),
            RoomError::ExtensionTaken(_) => Self::Conflict(error.to_string()),
            RoomError::NotFound => Self::NotFound("room"),
            RoomError::Store(error) => Self::Store(error),
        }
    }
}

fn shown(room: StoredRoom, participants: usize, manages: bool) -> Room {
    let RoomSettings {
        name,
        extension,
        pin,
    } = room.settings;
    Room {
        id: room.id,
        name,
        extension,
        dial: format!("{PREFIX}{extension}"),
        has_pin: pin.is_some(),
        pin: pin.filter(|_| manages),
        participants,
    }
}

pub(crate) async fn list(
    State(console): State<Console>,
    person: Person,
) -> Result<Json<Rooms>, ConsoleError> {
    let rooms = console.phone.rooms(person.tenant()).await?;
    let items = rooms
        .into_iter()
        .map(|room| shown(room.stored, room.participants, person.manages()));
    Ok(Json(Rooms {
        items: items.collect(),
    }))
}

pub(crate) async fn add(
    State(console): State<Console>,
    Acting(person): Acting,
    Json(wanted): Json<Wanted>,
) -> Result<(StatusCode, Json<Room>), ConsoleError> {
    if !person.manages() {
        return Err(ConsoleError::Forbidden);
    }
    let settings = wanted.into();
    let room = console.phone.add_room(person.tenant(), &settings).await?;
    Ok((StatusCode::CREATED, Json(shown(room, 0, true))))
}

pub(crate) async fn save(
    State(console): State<Console>,
    Acting(person): Acting,
    Path(id): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Result<StatusCode, ConsoleError> {
    if !person.manages() {
        return Err(ConsoleError::Forbidden);
    }
    let (room, settings) = (known(&id)?, wanted.into());
    let tenant = person.tenant();
    console.phone.set_room(tenant, room, &settings).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn remove(
    State(console): State<Console>,
    Acting(person): Acting,
    Path(id): Path<String>,
) -> Result<StatusCode, ConsoleError> {
    if !person.manages() {
        return Err(ConsoleError::Forbidden);
    }
    let room = known(&id)?;
    console.phone.delete_room(person.tenant(), room).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is no id is no room either.
fn known(id: &str) -> Result<RoomId, ConsoleError> {
    id.parse().map_err(|_| ConsoleError::NotFound("room"))
}
