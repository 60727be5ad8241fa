//! The one-time page on which the first owner and his company come into being.

use accounts::{CreateUserError, NewCompany, OwnerForm, SESSION_COOKIE, SetupError};
use axum::{
    Form,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderValue, StatusCode};
use minijinja::context;
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    SignIn, Visitor,
    form::{form_matches, form_token},
    sign_in::with_cookie,
};

#[derive(Default, Deserialize)]
pub(crate) struct SetupForm {
    #[serde(default)]
    company: String,
    #[serde(default)]
    time_zone: String,
    #[serde(default)]
    country: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: SecretString,
    #[serde(default)]
    csrf: String,
}

pub(crate) async fn show(
    State(state): State<SignIn>,
    visitor: Visitor,
    Path(token): Path<String>,
) -> Response {
    match state
        .inner
        .accounts
        .setup_link_is_open(&token, state.now())
        .await
    {
        Ok(true) => form(
            &state,
            &visitor,
            StatusCode::OK,
            &SetupForm::default(),
            None,
        ),
        Ok(false) => used_up(&state),
        Err(error) => state.inner.pages.failure(&error),
    }
}

pub(crate) async fn submit(
    State(state): State<SignIn>,
    visitor: Visitor,
    Path(token): Path<String>,
    Form(typed): Form<SetupForm>,
) -> Response {
    if !form_matches(&state.inner.accounts, &visitor, &typed.csrf) {
        return state.inner.pages.stale_form();
    }
    let owner = OwnerForm {
        company: NewCompany {
            name: typed.company.trim().to_owned(),
            time_zone: typed.time_zone.trim().to_owned(),
            country_code: typed.country.trim().to_ascii_uppercase(),
        },
        name: typed.name.clone(),
        email: typed.email.clone(),
        password: typed.password.clone(),
    };
    let now = state.now();
    let accounts = &state.inner.accounts;
    let user = match accounts
        .set_up(&token, owner, &*state.inner.companies, now)
        .await
    {
        Ok(user) => user,
        Err(SetupError::Link) => return used_up(&state),
        Err(
            error @ (SetupError::Store(_)
            | SetupError::Company(_)
            | SetupError::Owner(CreateUserError::Store(_))),
        ) => {
            return state.inner.pages.failure(&error);
        }
        Err(error) => {
            return form(
                &state,
                &visitor,
                StatusCode::UNPROCESSABLE_ENTITY,
                &typed,
                Some(&error),
            );
        }
    };
    match accounts.open_session(&user, &visitor.user_agent, now).await {
        Ok(token) => {
            let cookie = accounts.cookies().set(SESSION_COOKIE, token.expose(), None);
            with_cookie(
                Redirect::to("/").into_response(),
                HeaderValue::try_from(cookie).ok(),
            )
        }
        Err(error) => state.inner.pages.failure(&error),
    }
}

fn form(
    state: &SignIn,
    visitor: &Visitor,
    status: StatusCode,
    typed: &SetupForm,
    error: Option<&SetupError>,
) -> Response {
    let token = form_token(&state.inner.accounts, visitor);
    let zones: Vec<String> = jiff::tz::db()
        .available()
        .map(|zone| zone.to_string())
        .filter(|zone| zone.contains('/'))
        .collect();
    let values = context! {
        csrf => token.field,
        company => &typed.company,
        time_zone => &typed.time_zone,
        country => &typed.country,
        name => &typed.name,
        email => &typed.email,
        zones,
        problem => error.map(sentence),
        wrong_field => error.map(field_of),
    };
    with_cookie(
        state.inner.pages.page(status, "setup.html", values),
        token.set_cookie,
    )
}

fn sentence(error: &SetupError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str())
    })
}

/// The field the cursor should stand in.
fn field_of(error: &SetupError) -> &'static str {
    match error {
        SetupError::CompanyName => "company",
        SetupError::TimeZone(_) => "time_zone",
        SetupError::Country => "country",
        SetupError::Owner(CreateUserError::Name) => "name",
        SetupError::Owner(CreateUserError::Email | CreateUserError::EmailTaken) => "email",
        _ => "password",
    }
}

fn used_up(state: &SignIn) -> Response {
    state.inner.pages.message(
        StatusCode::NOT_FOUND,
        "This set-up link does not work any more",
        "It was used already, has expired, or the server was started again since and printed a newer one. If nobody \
         has set this server up yet, restart it and open the link it prints.",
    )
}
