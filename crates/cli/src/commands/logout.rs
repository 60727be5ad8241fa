//! `membrane logout`

use crate::error::{CliError, Result};
use crate::http::Call;
use crate::secret::Secret;
use crate::session::{CLIENT_ID, Session};
use serde_json::json;

pub fn run(session: &Session) -> Result<()> {
    let here = session.settings.api_uri.as_str();
    // What is on disk now, so that a refresh token renewed by another command is the one revoked.
    let login = session.settings.store.load()?.logins.remove(here);
    let mut revoked = Ok(());
    if let Some(login) = &login {
        // The refresh token first: while it lives, it could make new access tokens.
        if let Some(refresh) = &login.refresh_token {
            revoked = revoke(session, refresh, "refresh_token");
        }
        revoked = revoked.and(revoke(session, &login.access_token, "access_token"));
    }
    session.settings.store.update(|credentials| {
        credentials.logins.remove(here);
        if credentials.api_uri.as_deref() == Some(here) {
            credentials.api_uri = None;
        }
        Ok(())
    })?;
    session.settings.store.clear_pending()?;
    if let Err(error) = &revoked {
        // Forgotten here in any case; the person must know it may still live there.
        let message = error.message();
        session.printer.warning(format!(
            "the login is forgotten here, but the gateway could not be told to end it: {message}"
        ));
    }
    if session.printer.json {
        return session.printer.json_value(&json!({"loggedIn": false, "apiUri": here, "revoked": login.is_some() && revoked.is_ok()}));
    }
    session.printer.line(match login {
        Some(_) => format!("Logged out of {here}."),
        None => format!("There was no login at {here}."),
    })
}

/// RFC 7009. A token the gateway no longer knows counts as revoked there and here.
fn revoke(session: &Session, token: &Secret, kind: &str) -> Result<()> {
    let call = Call::post(&["oauth", "revoke"]).form(vec![
        ("token", token.expose().into()),
        ("token_type_hint", kind.into()),
        ("client_id", CLIENT_ID.into()),
    ]);
    match session.http()?.send(call) {
        Ok(_)
        | Err(CliError::Local {
            key: "not_a_gateway",
            ..
        }) => Ok(()),
        Err(error) => Err(error),
    }
}
