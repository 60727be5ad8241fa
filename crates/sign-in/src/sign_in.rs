//! Signing in and out.

use accounts::{Credentials, SESSION_COOKIE, SignInError};
use axum::{
    Form,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderValue, StatusCode, header};
use jiff::SignedDuration;
use minijinja::context;
use model::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    SignIn, Visitor,
    form::{form_matches, form_token},
    return_to::same_site,
};

#[derive(Deserialize)]
pub(crate) struct ShowQuery {
    #[serde(default)]
    return_to: String,
}

pub(crate) async fn show(
    State(state): State<SignIn>,
    visitor: Visitor,
    Query(query): Query<ShowQuery>,
) -> Response {
    let return_to = same_site(&state.inner.public_base, &query.return_to);
    match state
        .inner
        .accounts
        .signed_in(&visitor.cookies, state.now())
        .await
    {
        Ok(Some(_)) => Redirect::to(&return_to).into_response(),
        Ok(None) => {
            form(
                &state,
                &visitor,
                StatusCode::OK,
                &Shown {
                    return_to: &return_to,
                    ..Shown::default()
                },
            )
            .await
        }
        Err(error) => state.inner.pages.failure(&error),
    }
}

#[derive(Deserialize)]
pub(crate) struct SignInForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: SecretString,
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    return_to: String,
}

pub(crate) async fn submit(
    State(state): State<SignIn>,
    visitor: Visitor,
    Form(typed): Form<SignInForm>,
) -> Response {
    if !form_matches(&state.inner.accounts, &visitor, &typed.csrf) {
        return state.inner.pages.stale_form();
    }
    let return_to = same_site(&state.inner.public_base, &typed.return_to);
    let now = state.now();
    let credentials = Credentials {
        email: typed.email.clone(),
        password: typed.password,
        source: visitor.source.clone(),
        user_agent: visitor.user_agent.clone(),
    };
    let again = |problem| Shown {
        return_to: &return_to,
        email: &typed.email,
        problem,
    };
    match state.inner.accounts.sign_in(credentials, now).await {
        Ok((token, _)) => {
            let cookie = state
                .inner
                .accounts
                .cookies()
                .set(SESSION_COOKIE, token.expose(), None);
            with_cookie(
                Redirect::to(&return_to).into_response(),
                HeaderValue::try_from(cookie).ok(),
            )
        }
        Err(SignInError::Wrong) => {
            let problem = "Email or password is wrong. Check both and try again.";
            form(&state, &visitor, StatusCode::UNAUTHORIZED, &again(problem)).await
        }
        Err(SignInError::TooMany { until }) => {
            let problem = format!("Too many attempts. Try again in {}.", wait_text(now, until));
            let page = form(
                &state,
                &visitor,
                StatusCode::TOO_MANY_REQUESTS,
                &again(&problem),
            )
            .await;
            with_retry_after(page, now, until)
        }
        Err(SignInError::Busy) => {
            let problem = "Many people are signing in at this moment. Try again in a few seconds.";
            form(
                &state,
                &visitor,
                StatusCode::SERVICE_UNAVAILABLE,
                &again(problem),
            )
            .await
        }
        Err(error @ SignInError::Store(_)) => state.inner.pages.failure(&error),
    }
}

#[derive(Deserialize)]
pub(crate) struct SignOutForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    return_to: String,
}

pub(crate) async fn sign_out(
    State(state): State<SignIn>,
    visitor: Visitor,
    Form(form): Form<SignOutForm>,
) -> Response {
    let accounts = &state.inner.accounts;
    match accounts.signed_in(&visitor.cookies, state.now()).await {
        Ok(Some(signed_in)) if !signed_in.csrf_matches(&form.csrf) => {
            return state.inner.pages.stale_form();
        }
        Ok(_) => {}
        Err(error) => return state.inner.pages.failure(&error),
    }
    if let Err(error) = accounts.sign_out(&visitor.cookies).await {
        return state.inner.pages.failure(&error);
    }
    let cleared = accounts.cookies().set(SESSION_COOKIE, "", Some(0));
    let return_to = same_site(&state.inner.public_base, &form.return_to);
    with_cookie(
        Redirect::to(&sign_in_path(&return_to)).into_response(),
        HeaderValue::try_from(cleared).ok(),
    )
}

/// The sign-in page that leads back to `return_to`.
pub(crate) fn sign_in_path(return_to: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", return_to)
        .finish();
    format!("/sign-in?{query}")
}

#[derive(Default)]
struct Shown<'a> {
    return_to: &'a str,
    email: &'a str,
    problem: &'a str,
}

async fn form(
    state: &SignIn,
    visitor: &Visitor,
    status: StatusCode,
    shown: &Shown<'_>,
) -> Response {
    let needs_owner = match state.inner.accounts.needs_owner().await {
        Ok(needs) => needs,
        Err(error) => return state.inner.pages.failure(&error),
    };
    let token = form_token(&state.inner.accounts, visitor);
    let values = context! {
        csrf => token.field,
        return_to => shown.return_to,
        email => shown.email,
        problem => shown.problem,
        needs_owner,
    };
    with_cookie(
        state.inner.pages.page(status, "sign_in.html", values),
        token.set_cookie,
    )
}

pub(crate) fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

pub(crate) fn with_retry_after(
    mut response: Response,
    now: Timestamp,
    until: Timestamp,
) -> Response {
    response.headers_mut().insert(
        header::RETRY_AFTER,
        HeaderValue::from(whole_seconds(now, until)),
    );
    response
}

fn whole_seconds(now: Timestamp, until: Timestamp) -> u64 {
    let wait = until.duration_since(now) + SignedDuration::from_millis(999);
    u64::try_from(wait.as_secs()).unwrap_or(0).max(1)
}

/// A wait as a person says it.
fn wait_text(now: Timestamp, until: Timestamp) -> String {
    match whole_seconds(now, until) {
        1 => "one second".to_owned(),
        seconds @ 2..90 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_as_people_say_them() {
        let at = |ms| Timestamp::from_millisecond(ms).expect("in range");
        assert_eq!(wait_text(at(0), at(29_001)), "30 seconds");
        assert_eq!(wait_text(at(0), at(120_000)), "2 minutes");
        assert_eq!(wait_text(at(500), at(0)), "one second");
    }
}
