//! Downloading and erasing recordings.

use std::{ops::Range, path::Path};

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use model::{CallId, CallRecord};
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};
use tokio_util::io::ReaderStream;

use super::Asked;
use crate::{
    PhoneFailed, RecordingFile,
    call_json::has_audio,
    error::CoreError,
    reply,
    wav::{self, Wanted},
};

pub(super) async fn download(asked: Asked<'_>) -> Result<Response, CoreError> {
    let context = asked.context;
    let call = call(&asked).await?;
    if !has_audio(&call) {
        return Err(CoreError::NotFound);
    }
    let path = match context
        .state
        .hooks
        .recording(context.tenant, call.id)
        .await?
    {
        RecordingFile::File(path) => path,
        RecordingFile::Erased => return Err(CoreError::Gone("Recording expired.")),
        RecordingFile::None => return Err(CoreError::NotFound),
    };
    let wants_mono = context.query.get("channels") == Some("1");
    let range = context.headers.get(header::RANGE);
    let mut response = if wants_mono {
        mono(&path, range).await
    } else {
        as_it_is(&path, range).await
    }
    .map_err(unreadable)?;
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

fn unreadable(error: std::io::Error) -> CoreError {
    CoreError::Phone(PhoneFailed(format!("the recording can't be read: {error}")))
}

async fn as_it_is(path: &Path, range: Option<&HeaderValue>) -> std::io::Result<Response> {
    let mut file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    let (mut response, part) = framed(wav::wanted(range, length), length);
    if let Some(part) = part {
        file.seek(SeekFrom::Start(part.start)).await?;
        *response.body_mut() =
            Body::from_stream(ReaderStream::new(file.take(part.end - part.start)));
    }
    Ok(response)
}

/// Mixed on request. A file that is mono already, or that we did not write, goes out as it is.
async fn mono(path: &Path, range: Option<&HeaderValue>) -> std::io::Result<Response> {
    let Some(layout) = wav::layout(path)
        .await?
        .filter(|layout| layout.channels == 2)
    else {
        return as_it_is(path, range).await;
    };
    let path = path.to_owned();
    let bytes = tokio::task::spawn_blocking(move || wav::mixed(&path, layout))
        .await
        .map_err(std::io::Error::other)??;
    let length = bytes.len() as u64;
    let (mut response, part) = framed(wav::wanted(range, length), length);
    if let Some(part) = part {
        let part = usize::try_from(part.start).unwrap_or(0)..usize::try_from(part.end).unwrap_or(0);
        *response.body_mut() = Body::from(bytes[part].to_vec());
    }
    Ok(response)
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
