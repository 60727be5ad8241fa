//! Downloading and erasing recordings.

use std::ops::Range;

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use model::{CallId, CallRecord};

use super::Asked;
use crate::{
    Channels, RecordingFile,
    call_json::has_audio,
    error::CoreError,
    range::{self, Wanted},
    reply,
};

pub(super) async fn download(asked: Asked<'_>) -> Result<Response, CoreError> {
    let context = asked.context;
    let call = call(&asked).await?;
    if !has_audio(&call) {
        return Err(CoreError::NotFound);
    }
    // Captures of the original are mono; asking for the two channels as they were recorded is the default here.
    let channels = match context.query.get("channels") {
        Some("1") => Channels::Mono,
        _ => Channels::AsRecorded,
    };
    let recording = context
        .state
        .hooks
        .recording(context.tenant, call.id, channels)
        .await?;
    let audio = match recording {
        RecordingFile::Audio(audio) => audio,
        RecordingFile::Erased => return Err(CoreError::Gone("Recording expired.")),
        RecordingFile::None => return Err(CoreError::NotFound),
    };
    let wanted = range::wanted(context.headers.get(header::RANGE), audio.length);
    let (mut response, part) = framed(wanted, audio.length);
    if let Some(part) = part {
        *response.body_mut() = (audio.read)(part);
    }
    let name = format!("attachment; filename=\"{}.wav\"", call.id);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("audio/x-wav"),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(name) = name.parse() {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

pub(super) async fn delete(asked: Asked<'_>) -> Result<Response, CoreError> {
    let call = call(&asked).await?;
    if !asked
        .context
        .state
        .hooks
        .erase_recording(asked.context.tenant, call.id)
        .await?
    {
        return Err(CoreError::Gone("Recording not found."));
    }
    Ok(reply::done())
}

async fn call(asked: &Asked<'_>) -> Result<CallRecord, CoreError> {
    asked
        .context
        .db()
        .call(asked.context.tenant, CallId(asked.id))
        .await?
        .ok_or(CoreError::NotFound)
}

/// Status and lengths of an answer, and which bytes belong in it.
fn framed(wanted: Wanted, length: u64) -> (Response, Option<Range<u64>>) {
    let mut response = Response::new(Body::empty());
    let (status, part, note) = match wanted {
        Wanted::All => (StatusCode::OK, Some(0..length), None),
        Wanted::Part(part) => {
            let note = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            (StatusCode::PARTIAL_CONTENT, Some(part), Some(note))
        }
        Wanted::Impossible => (
            StatusCode::RANGE_NOT_SATISFIABLE,
            None,
            Some(format!("bytes */{length}")),
        ),
    };
    *response.status_mut() = status;
    let sent = part.as_ref().map_or(0, |part| part.end - part.start);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, sent.into());
    if let Some(note) = note.and_then(|note| note.parse().ok()) {
        response.headers_mut().insert(header::CONTENT_RANGE, note);
    }
    (response, part)
}
