//! Consent: a program sent a person here; he says yes or no.

use accounts::{AuthorizeParams, AuthorizeProblem, AuthorizeRequest, SignedIn, TokenKind};
use axum::{
    Form,
    extract::{Query, RawQuery, State, rejection::QueryRejection},
    response::{IntoResponse, Redirect, Response},
};
use http::StatusCode;
use minijinja::context;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use crate::{SignIn, Visitor, sign_in::sign_in_path};

pub(crate) async fn show(
    State(state): State<SignIn>,
    visitor: Visitor,
    RawQuery(raw): RawQuery,
    params: Result<Query<AuthorizeParams>, QueryRejection>,
) -> Response {
    let Ok(Query(params)) = params else {
        return not_asked(&state, "The address you came by can't be read.");
    };
    let request = match state.inner.oauth.check(&params).await {
        Ok(request) => request,
        Err(problem) => return refuse(&state, problem),
    };
    match state
        .inner
        .accounts
        .signed_in(&visitor.cookies, state.now())
        .await
    {
        Ok(Some(signed_in)) => {
            consent_page(&state, &request, &raw.unwrap_or_default(), &signed_in).await
        }
        Ok(None) => {
            Redirect::to(&sign_in_path(&own_path(&state, &raw.unwrap_or_default()))).into_response()
        }
        Err(error) => state.inner.pages.failure(&error),
    }
}

/// Sends a person from another address of the gateway to the public one.
pub(crate) async fn go_to_public_base(
    State(state): State<SignIn>,
    RawQuery(raw): RawQuery,
) -> Response {
    let target = format!(
        "{}/oauth/authorize?{}",
        state.inner.oauth.issuer_id(),
        raw.unwrap_or_default()
    );
    Redirect::to(&target).into_response()
}

#[derive(Deserialize)]
pub(crate) struct ConsentForm {
    /// The query the page was shown for. Checked anew: what comes back from a browser is not believed.
    #[serde(default)]
    request: String,
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    decision: String,
}

pub(crate) async fn submit(
    State(state): State<SignIn>,
    visitor: Visitor,
    Form(form): Form<ConsentForm>,
) -> Response {
    let signed_in = match state
        .inner
        .accounts
        .signed_in(&visitor.cookies, state.now())
        .await
    {
        Ok(Some(signed_in)) => signed_in,
        Ok(None) => {
            return Redirect::to(&sign_in_path(&own_path(&state, &form.request))).into_response();
        }
        Err(error) => return state.inner.pages.failure(&error),
    };
    if !signed_in.csrf_matches(&form.csrf) {
        return state.inner.pages.stale_form();
    }
    let Some(params) = parse_query(&form.request) else {
        return not_asked(&state, "The form you sent can't be read.");
    };
    let request = match state.inner.oauth.check(&params).await {
        Ok(request) => request,
        Err(problem) => return refuse(&state, problem),
    };
    if form.decision != "allow" {
        return refuse(&state, denied(request));
    }
    match state
        .inner
        .oauth
        .allow(&request, &signed_in.user, state.now())
        .await
    {
        Ok(code) => hand_over(&state, &request, &code),
        Err(error) => state.inner.pages.failure(&error),
    }
}

/// Somebody opened the headless return address by hand; the code is only ever in the answer to a form,
/// never in an address that histories and logs keep.
pub(crate) async fn code_page(State(state): State<SignIn>) -> Response {
    not_asked(
        &state,
        "Codes are shown after you allow a program to act for you. Start with: membrane login --tenant",
    )
}

fn hand_over(state: &SignIn, request: &AuthorizeRequest, code: &SecretString) -> Response {
    if request.headless {
        let code = code.expose_secret();
        return state.inner.pages.page(
            StatusCode::OK,
            "code.html",
            context! { code, client_name => &request.client_name },
        );
    }
    answer(
        state,
        &request.redirect_uri,
        &[
            ("code", code.expose_secret()),
            ("state", request.state.as_deref().unwrap_or("")),
        ],
    )
}

async fn consent_page(
    state: &SignIn,
    request: &AuthorizeRequest,
    raw: &str,
    signed_in: &SignedIn,
) -> Response {
    let company = match state
        .inner
        .accounts
        .company_name(signed_in.user.tenant)
        .await
    {
        Ok(name) => name,
        Err(error) => return state.inner.pages.failure(&error),
    };
    let values = context! {
        client_name => &request.client_name,
        user_name => &signed_in.user.name,
        email => &signed_in.user.email,
        company,
        whole_account => request.kind == TokenKind::PlatformUser,
        headless => request.headless,
        returns_to => place_of(&request.redirect_uri),
        request => raw,
        csrf => &signed_in.csrf,
        own_path => own_path(state, raw),
    };
    let origin = if request.headless {
        String::new()
    } else {
        origin_of(&request.redirect_uri)
    };
    state
        .inner
        .pages
        .page_with_forms_to(StatusCode::OK, "consent.html", values, &origin)
}

fn denied(request: AuthorizeRequest) -> AuthorizeProblem {
    AuthorizeProblem::Answer {
        redirect_uri: request.redirect_uri,
        headless: request.headless,
        state: request.state,
        error: "access_denied",
        description: "the person said no".into(),
    }
}

fn refuse(state: &SignIn, problem: AuthorizeProblem) -> Response {
    match problem {
        AuthorizeProblem::Tell(why) => not_asked(state, &why),
        AuthorizeProblem::Answer {
            headless: true,
            error: "access_denied",
            ..
        } => state.inner.pages.message(
            StatusCode::OK,
            "Nothing was allowed",
            "You can close this page.",
        ),
        AuthorizeProblem::Answer {
            headless: true,
            description,
            ..
        } => not_asked(
            state,
            &format!("The program's request is wrong: {description}."),
        ),
        AuthorizeProblem::Answer {
            redirect_uri,
            state: echoed,
            error,
            description,
            ..
        } => {
            let echoed = echoed.unwrap_or_default();
            answer(
                state,
                &redirect_uri,
                &[
                    ("error", error),
                    ("error_description", &description),
                    ("state", &echoed),
                ],
            )
        }
        AuthorizeProblem::Store(error) => state.inner.pages.failure(&error),
    }
}

/// Redirects to the program with these parameters and `iss` (RFC 9207), keeping a query it has.
fn answer(state: &SignIn, redirect_uri: &str, parameters: &[(&str, &str)]) -> Response {
    let Ok(mut url) = Url::parse(redirect_uri) else {
        return not_asked(state, "The program's return address can't be read.");
    };
    {
        let mut query = url.query_pairs_mut();
        for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query.append_pair("iss", state.inner.oauth.issuer_id());
    }
    let mut response = Redirect::to(url.as_str()).into_response();
    response.headers_mut().insert(
        http::header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-store"),
    );
    response
}

fn not_asked(state: &SignIn, why: &str) -> Response {
    state.inner.pages.message(
        StatusCode::BAD_REQUEST,
        "This request can't be answered",
        why,
    )
}

/// This page's own path with a query, for coming back after sign-in.
fn own_path(state: &SignIn, query: &str) -> String {
    format!(
        "{}/oauth/authorize?{query}",
        state
            .inner
            .oauth
            .gateway_base()
            .path()
            .trim_end_matches('/')
    )
}

fn parse_query(query: &str) -> Option<AuthorizeParams> {
    let uri: http::Uri = format!("/?{query}").parse().ok()?;
    Query::try_from_uri(&uri).ok().map(|Query(params)| params)
}

fn origin_of(uri: &str) -> String {
    Url::parse(uri)
        .map(|url| url.origin().ascii_serialization())
        .unwrap_or_default()
}

/// Where an answer goes, as a person would say it.
fn place_of(uri: &str) -> String {
    let host = Url::parse(uri)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default();
    match host.as_str() {
        "127.0.0.1" | "localhost" | "[::1]" => "this computer".into(),
        _ => host,
    }
}
