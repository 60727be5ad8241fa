//! What was said on the wire for a call. It shows addresses of phones and carriers: for those who run the company.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use model::CallId;
use phone::signalling::Signalling;
use serde::Serialize;

use crate::{Console, error::ConsoleError, session::Person};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    /// Empty when nothing is remembered.
    ladder: String,
    messages: Vec<Message>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    at: String,
    summary: String,
    from: String,
    to: String,
    transport: &'static str,
    text: String,
}

pub(crate) async fn show(
    State(console): State<Console>,
    person: Person,
    Path(id): Path<String>,
) -> Result<Json<Shown>, ConsoleError> {
    let (_, signalling) = find(&console, &person, &id).await?;
    let messages = signalling.messages().map(|message| Message {
        at: message.at.to_string(),
        summary: message.summary,
        from: message.from,
        to: message.to,
        transport: message.transport,
        text: message.text,
    });
    let messages: Vec<Message> = messages.collect();
    let ladder = if messages.is_empty() {
        String::new()
    } else {
        signalling.ladder()
    };
    Ok(Json(Shown { ladder, messages }))
}

/// The same as a file for Wireshark.
pub(crate) async fn capture(
    State(console): State<Console>,
    person: Person,
    Path(id): Path<String>,
) -> Result<Response, ConsoleError> {
    let (id, signalling) = find(&console, &person, &id).await?;
    let mut response = signalling.capture().into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/vnd.tcpdump.pcap"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-store"),
    );
    if let Ok(name) = HeaderValue::try_from(format!("attachment; filename=\"call-{id}.pcap\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

async fn find(
    console: &Console,
    person: &Person,
    id: &str,
) -> Result<(CallId, Signalling), ConsoleError> {
    const MISSING: ConsoleError = ConsoleError::NotFound("call");
    person.must_manage()?;
    let id: CallId = id.parse().map_err(|_| MISSING)?;
    let call = console.db.call(person.tenant(), id).await?;
    call.map(|_| (id, console.phone.signalling(id)))
        .ok_or(MISSING)
}
