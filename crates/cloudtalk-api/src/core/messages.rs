//! `sms/send`. It fails with 400 where others say 406, and a carrier's refusal is a 200.

use axum::response::Response;
use model::PhoneNumber;
use serde_json::json;

use super::Asked;
use crate::{SmsOutcome, SmsRequest, error::CoreError, reply};

pub(super) async fn send(asked: Asked<'_>) -> Result<Response, CoreError> {
    let Asked {
        context, fields, ..
    } = asked;
    let text_of = |name: &str| fields.text(name).unwrap_or_default();
    let (sender, recipient, message) =
        (text_of("sender"), text_of("recipient"), text_of("message"));
    let has_media = fields.has_files
        || ["images", "images_by_url", "file", "file_by_url"]
            .iter()
            .any(|name| fields.says_something(name));
    if sender.trim().is_empty()
        || recipient.trim().is_empty()
        || message.trim().is_empty() && !has_media
    {
        return Err(CoreError::BadRequest);
    }
    // Pictures and WhatsApp need a carrier that has them: a feature that is not enabled.
    if has_media || sender.starts_with("whatsapp:") || recipient.starts_with("whatsapp:") {
        return Err(CoreError::UnauthorizedAction);
    }
    let recipient = PhoneNumber::parse(&recipient).map_err(|_| CoreError::BadRequest)?;
    // What is no number is not one of ours either.
    let sender = PhoneNumber::parse(&sender).map_err(|_| CoreError::UnauthorizedAction)?;
    let country_code = fields
        .text("country_code")
        .filter(|code| !code.is_empty())
        .or_else(|| recipient.calling_code().map(|code| code.to_string()))
        .unwrap_or_default();
    let request = SmsRequest {
        sender: sender.clone(),
        recipient: recipient.clone(),
        text: message.clone(),
    };
    match context
        .state
        .hooks
        .send_sms(context.tenant, request)
        .await?
    {
        SmsOutcome::Accepted => Ok(reply::data(json!({"success": true, "data": {
            "recipient": recipient.as_str(),
            "message": message,
            "sender": sender.as_str(),
            "country_code": country_code,
        }}))),
        SmsOutcome::Refused(reason) => Ok(reply::data(json!({"success": false, "data": reason}))),
        SmsOutcome::SenderNotAllowed => Err(CoreError::UnauthorizedAction),
    }
}
