//! The company's sounds: what flows can play, and who plays it.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use phone::sounds::{BUILT_IN, SoundError};
use serde::{Deserialize, Serialize};
use store::recordings::StoredSound;

use crate::{
    Console,
    error::ConsoleError,
    session::{Acting, Person},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sounds {
    items: Vec<Sound>,
    /// Names that flows play although there is no such sound.
    missing: Vec<Missing>,
    /// Names that are always there.
    built_in: [&'static str; 3],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sound {
    id: i64,
    name: String,
    duration_ms: u64,
    created_at: String,
    /// Names of the flows that play it.
    used_by: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Missing {
    name: String,
    used_by: Vec<String>,
}

fn shown(sound: StoredSound, used_by: Vec<String>) -> Sound {
    Sound {
        id: sound.id,
        name: sound.name,
        duration_ms: sound.duration_ms,
        created_at: sound.created_at.to_string(),
        used_by,
    }
}

pub(crate) async fn list(
    State(console): State<Console>,
    person: Person,
) -> Result<Json<Sounds>, ConsoleError> {
    if !person.supervises() {
        return Err(ConsoleError::Forbidden);
    }
    let (sounds, missing) = console.phone.sounds().list(person.tenant()).await?;
    let items = sounds
        .into_iter()
        .map(|listed| shown(listed.sound, listed.used_by));
    let missing = missing.into_iter().map(|missing| Missing {
        name: missing.name,
        used_by: missing.used_by,
    });
    Ok(Json(Sounds {
        items: items.collect(),
        missing: missing.collect(),
        built_in: BUILT_IN,
    }))
}

#[derive(Deserialize)]
pub(crate) struct Named {
    name: String,
}

/// Takes a file as it is, of any kind that can be read, under the name in the query.
pub(crate) async fn add(
    State(console): State<Console>,
    Acting(person): Acting,
    Query(Named { name }): Query<Named>,
    body: Bytes,
) -> Result<(StatusCode, Json<Sound>), ConsoleError> {
    if !person.manages() {
        return Err(ConsoleError::Forbidden);
    }
    let now = (console.clock)();
    let sound = console
        .phone
        .sounds()
        .add(person.tenant(), &name, body.to_vec(), now)
        .await?;
    Ok((StatusCode::CREATED, Json(shown(sound, Vec::new()))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Renamed {
    name: String,
}

pub(crate) async fn rename(
    State(console): State<Console>,
    Acting(person): Acting,
    Path(id): Path<String>,
    Json(Renamed { name }): Json<Renamed>,
) -> Result<StatusCode, ConsoleError> {
    if !person.manages() {
        return Err(ConsoleError::Forbidden);
    }
    let sounds = console.phone.sounds();
    sounds.rename(person.tenant(), known(&id)?, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn delete(
    State(console): State<Console>,
    Acting(person): Acting,
    Path(id): Path<String>,
) -> Result<StatusCode, ConsoleError> {
    if !person.manages() {
        return Err(ConsoleError::Forbidden);
    }
    let sounds = console.phone.sounds();
    sounds.delete(person.tenant(), known(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The sound as a WAV file at 16 kHz.
pub(crate) async fn audio(
    State(console): State<Console>,
    person: Person,
    Path(id): Path<String>,
) -> Result<Response, ConsoleError> {
    if !person.supervises() {
        return Err(ConsoleError::Forbidden);
    }
    let sounds = console.phone.sounds();
    let bytes = sounds.file(person.tenant(), known(&id)?).await?;
    let headers = [
        (header::CONTENT_TYPE, "audio/wav"),
        (header::CACHE_CONTROL, "private, no-store"),
    ];
    Ok((headers, bytes).into_response())
}

fn known(id: &str) -> Result<i64, ConsoleError> {
    id.parse().map_err(|_| ConsoleError::NotFound("sound"))
}

impl From<SoundError> for ConsoleError {
    fn from(error: SoundError) -> Self {
        match error {
            SoundError::NotFound => Self::NotFound("sound"),
            SoundError::Taken { .. } | SoundError::TooMany | SoundError::Used { .. } => {
                Self::Conflict(error.to_string())
            }
            SoundError::Name(_) | SoundError::Import(_) => Self::Invalid(error.to_string()),
            SoundError::Store(error) => Self::Store(error),
            SoundError::File(error) => Self::Audio(error.into()),
        }
    }
}
