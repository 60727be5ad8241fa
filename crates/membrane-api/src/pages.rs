//! Connect pages: where a person completes a connection. Plain HTML for any browser, in a tab or in a frame.
//!
//! A page opens for two kinds of people: whoever is signed in at the company's console, and whoever an
//! application sent here with the tenant's token. The second kind may sit in a frame of that application, and
//! can't have keys of this phone system made: that takes a person of the company.

mod form;
mod render;

use std::collections::HashMap;

use async_trait::async_trait;
use axum::{
    Router,
    extract::{Form, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use gateway::{
    Caller, Connection, ConnectionRequest, CustomerId, Gateway, GatewayError, Reach, Workspace,
};
use http::{HeaderMap, StatusCode};
use model::TenantId;
use serde_json::{Map, Value};

use crate::{MembraneApi, body::Members, connections::wanted, params::Params, views};

pub(crate) use render::Pages;

/// Somebody who is signed in at the console.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// How he is called on the page.
    pub name: String,
    /// His company.
    pub tenant: TenantId,
    /// Whether he may have API keys of the phone system made.
    pub may_issue_keys: bool,
    /// Value for the form's hidden field, bound to his session.
    pub csrf: String,
}

/// Tells who is signed in at a browser.
#[async_trait]
pub trait Viewers: Send + Sync + 'static {
    /// The person behind a request's cookies.
    async fn signed_in(&self, headers: &HeaderMap) -> Option<SignedIn>;

    /// The page on which somebody signs in to come back to `return_to` (a path of this site with its query).
    fn sign_in_url(&self, return_to: &str) -> String;
}

pub(crate) fn routes() -> Router<MembraneApi> {
    Router::new()
        .route("/screens/connections", get(show).post(submit))
        .route("/screens/connect", get(open_by_query).post(open_by_form))
}

/// Who looks at a page.
pub(crate) enum Viewer {
    Person {
        who: SignedIn,
        workspace: Box<Workspace>,
        customer: CustomerId,
    },
    Token {
        token: String,
        caller: Box<Caller>,
    },
}

impl Viewer {
    /// The requests he may see: all of his company's for those who run it, the shared tenant's for others.
    fn reach(&self) -> Reach {
        match self {
            Self::Person { who, workspace, .. } if who.may_issue_keys => {
                Reach::workspace(workspace.id)
            }
            Self::Person {
                workspace,
                customer,
                ..
            } => Reach::customer(workspace.id, *customer),
            Self::Token { caller, .. } => caller.reach(),
        }
    }

    fn workspace(&self) -> &Workspace {
        match self {
            Self::Person { workspace, .. } => workspace,
            Self::Token { caller, .. } => &caller.workspace,
        }
    }
}

impl MembraneApi {
    async fn viewer(
        &self,
        headers: &HeaderMap,
        token: Option<&str>,
    ) -> Result<Option<Viewer>, GatewayError> {
        if let Some(token) = token {
            let caller = Box::new(self.gateway.authenticate(token).await?);
            return Ok(Some(Viewer::Token {
                token: token.to_owned(),
                caller,
            }));
        }
        let Some(who) = self.viewers.signed_in(headers).await else {
            return Ok(None);
        };
        let Some(caller) = self.gateway.caller_of_company(who.tenant).await? else {
            return Ok(None);
        };
        let customer = caller.owner()?.id;
        Ok(Some(Viewer::Person {
            who,
            workspace: Box::new(caller.workspace),
            customer,
        }))
    }

    /// Everything a connect page is about, or the page that says why not.
    async fn subject(&self, viewer: Viewer, request_id: &str) -> Result<Subject, GatewayError> {
        let (request, connection) = self
            .gateway
            .connection_request(viewer.reach(), request_id)
            .await?;
        if connection.archived_at.is_some() {
            return Err(GatewayError::not_found("connection request", request_id));
        }
        let own = self
            .gateway
            .is_companys_own(&connection, viewer.workspace())
            .await?;
        let may_issue = matches!(&viewer, Viewer::Person { who, .. } if who.may_issue_keys);
        let local = connection
            .connector_key
            .as_deref()
            .is_some_and(|key| self.gateway.offers_this_phone(key));
        let owner = self.gateway.owner_of(&connection).await?;
        Ok(Subject {
            one_click: own && may_issue && local,
            is_companys_own: own,
            tenant: owner.map(|owner| owner.name.unwrap_or(owner.internal_id)),
            viewer,
            request,
            connection,
        })
    }
}

/// What a connect page is about.
pub(crate) struct Subject {
    pub viewer: Viewer,
    pub request: ConnectionRequest,
    pub connection: Connection,
    /// Whether the button for this phone system is there.
    pub one_click: bool,
    pub is_companys_own: bool,
    pub tenant: Option<String>,
}

async fn show(State(api): State<MembraneApi>, headers: HeaderMap, params: Params) -> Response {
    let Some(request_id) = params.text("connectionRequestId") else {
        return api.pages.problem(
            StatusCode::NOT_FOUND,
            "This link is not complete",
            "Ask for a new link to connect.",
        );
    };
    let viewer = match api.viewer(&headers, params.get("token")).await {
        Ok(Some(viewer)) => viewer,
        Ok(None) => return to_sign_in(&api, &request_id),
        Err(error) => return api.pages.error(&error),
    };
    match api.subject(viewer, &request_id).await {
        Ok(subject) => api.pages.connect(
            &api.gateway,
            &subject,
            &form::Typed::default(),
            None,
            StatusCode::OK,
        ),
        Err(error) => api.pages.error(&error),
    }
}

fn to_sign_in(api: &MembraneApi, request_id: &str) -> Response {
    let full = api.gateway.connect_url(request_id);
    let path = url::Url::parse(&full)
        .map(|url| url[url::Position::BeforePath..].to_owned())
        .unwrap_or_default();
    Redirect::to(&api.viewers.sign_in_url(&path)).into_response()
}

/// `/screens/connect` opened as a link.
async fn open_by_query(
    State(api): State<MembraneApi>,
    headers: HeaderMap,
    uri: http::Uri,
) -> Response {
    let fields = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    open(&api, &headers, fields).await
}

/// `/screens/connect` as the SDK opens it in a frame.
async fn open_by_form(
    State(api): State<MembraneApi>,
    headers: HeaderMap,
    Form(fields): Form<HashMap<String, String>>,
) -> Response {
    open(&api, &headers, fields).await
}

async fn open(
    api: &MembraneApi,
    headers: &HeaderMap,
    mut fields: HashMap<String, String>,
) -> Response {
    let token = fields.remove("token").filter(|token| !token.is_empty());
    if token.is_none() {
        if let Some(id) = fields
            .get("connectionRequestId")
            .filter(|id| !id.is_empty())
        {
            let params = Params::parse(&format!(
                "connectionRequestId={}",
                percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC)
            ));
            return show(State(api.clone()), headers.clone(), params).await;
        }
        let text = "The page that sent you here gave no token. Go back and try again.";
        return api
            .pages
            .problem(StatusCode::UNAUTHORIZED, "You can't be recognised", text);
    }
    match opened(api, headers, token.as_deref(), fields).await {
        Ok(subject) => api.pages.connect(
            &api.gateway,
            &subject,
            &form::Typed::default(),
            None,
            StatusCode::OK,
        ),
        Err(error) => api.pages.error(&error),
    }
}

/// The request a `/screens/connect` call means: the one it names, or a new one for what it asks.
async fn opened(
    api: &MembraneApi,
    headers: &HeaderMap,
    token: Option<&str>,
    fields: HashMap<String, String>,
) -> Result<Subject, GatewayError> {
    let viewer = api
        .viewer(headers, token)
        .await?
        .ok_or_else(|| GatewayError::not_authenticated("sign in first"))?;
    let Viewer::Token { caller, .. } = &viewer else {
        return Err(GatewayError::not_authenticated("a token is needed here"));
    };
    if let Some(id) = fields
        .get("connectionRequestId")
        .filter(|id| !id.is_empty())
    {
        let id = id.clone();
        return api.subject(viewer, &id).await;
    }
    let mut members = Members::from_value(Value::Object(form_members(fields)?))?;
    let connection = members.any_text(&["connectionId", "connectionKey"])?;
    let new = wanted(&mut members)?;
    let request = api
        .gateway
        .request_connection(
            caller,
            connection.as_deref(),
            new,
            Value::Object(Map::new()),
        )
        .await?;
    let id = request.public_id;
    api.subject(viewer, &id).await
}

fn form_members(fields: HashMap<String, String>) -> Result<Map<String, Value>, GatewayError> {
    let mut members = Map::new();
    for (name, value) in fields {
        if value.trim().is_empty() {
            continue;
        }
        let value = if name == "connectorParameters" {
            serde_json::from_str(&value).map_err(|_| {
                GatewayError::field("connectorParameters", "connectorParameters is not JSON")
            })?
        } else {
            Value::String(value)
        };
        members.insert(name, value);
    }
    Ok(members)
}

async fn submit(
    State(api): State<MembraneApi>,
    headers: HeaderMap,
    Form(mut fields): Form<HashMap<String, String>>,
) -> Response {
    let token = fields.remove("token").filter(|token| !token.is_empty());
    let request_id = fields.remove("connectionRequestId").unwrap_or_default();
    let viewer = match api.viewer(&headers, token.as_deref()).await {
        Ok(Some(viewer)) => viewer,
        Ok(None) => return to_sign_in(&api, &request_id),
        Err(error) => return api.pages.error(&error),
    };
    if let Viewer::Person { who, .. } = &viewer
        && !form::same(&who.csrf, fields.get("csrf").map_or("", String::as_str))
    {
        let text = "The page was open for too long, or was not ours. Open the link again.";
        return api
            .pages
            .problem(StatusCode::FORBIDDEN, "Please try again", text);
    }
    let subject = match api.subject(viewer, &request_id).await {
        Ok(subject) => subject,
        Err(error) => return api.pages.error(&error),
    };
    let typed = form::Typed::of(fields);
    match connect(&api.gateway, &subject, &typed).await {
        Ok(ready) => match connected(&api.gateway, &subject, &ready).await {
            Ok(view) => api.pages.done(&subject, &ready, &view),
            Err(error) => api.pages.error(&error),
        },
        Err(error) => {
            let status =
                StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::BAD_REQUEST);
            // What changed meanwhile is shown too: the connection keeps the last error.
            api.pages
                .connect(&api.gateway, &subject, &typed, Some(&error), status)
        }
    }
}

async fn connect(
    gateway: &Gateway,
    subject: &Subject,
    typed: &form::Typed,
) -> Result<Connection, GatewayError> {
    if typed.wants_this_phone() {
        if !subject.one_click {
            return Err(GatewayError::access_denied(
                "you may not connect this phone system here",
            ));
        }
        return gateway
            .connect_this_phone(&subject.connection, subject.viewer.workspace())
            .await;
    }
    gateway
        .connect_with_input(&subject.connection, typed.input(), None, None)
        .await
}

/// The connection as the page hands it to the application around it.
async fn connected(
    gateway: &Gateway,
    subject: &Subject,
    ready: &Connection,
) -> Result<Value, GatewayError> {
    let owner = gateway.owner_of(ready).await?;
    Ok(views::connection(
        gateway,
        subject.viewer.workspace(),
        ready,
        owner.as_ref(),
        views::Extra::default(),
    ))
}
