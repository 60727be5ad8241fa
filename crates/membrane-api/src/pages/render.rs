//! Templates and the headers of every page.

use axum::response::{Html, IntoResponse, Response};
use gateway::{Connection, ConnectionState, ErrorKind, Gateway, GatewayError};
use http::{HeaderName, HeaderValue, StatusCode, header};
use minijinja::{Environment, Value as Context, context};
use serde_json::Value;

use super::{Subject, Viewer, form};
use crate::views;

const TEMPLATES: [(&str, &str); 4] = [
    ("layout.html", include_str!("../../templates/layout.html")),
    ("connect.html", include_str!("../../templates/connect.html")),
    ("done.html", include_str!("../../templates/done.html")),
    ("problem.html", include_str!("../../templates/problem.html")),
];
const HANDSHAKE: &str = include_str!("../../templates/handshake.js");

const HEADERS: [(HeaderName, &str); 3] = [
    // The address may hold a token.
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// Where a page may be framed.
#[derive(Clone, Copy, PartialEq)]
enum Frame {
    /// Only as a page of its own: it acts with somebody's session.
    Never,
    /// In the application that gave the token.
    Anywhere,
}

pub(crate) struct Pages {
    templates: Environment<'static>,
    style: &'static str,
}

impl Pages {
    /// Pages in the house's style sheet.
    pub(crate) fn new(style: &'static str) -> Self {
        let mut templates = Environment::new();
        for (name, source) in TEMPLATES {
            templates
                .add_template(name, source)
                .expect("our own templates parse; a test renders each");
        }
        Self { templates, style }
    }

    /// The page that asks for what a connection needs.
    pub(crate) fn connect(
        &self,
        gateway: &Gateway,
        subject: &Subject,
        typed: &form::Typed,
        error: Option<&GatewayError>,
        status: StatusCode,
    ) -> Response {
        let connection = &subject.connection;
        let connector = connection
            .connector_key
            .as_deref()
            .and_then(|key| gateway.catalog().connector(key));
        let Some(connector) = connector else {
            let text = connection
                .error
                .clone()
                .unwrap_or_else(|| "There is nothing here that could be connected.".to_owned());
            return self.problem(
                StatusCode::NOT_FOUND,
                "This app can't be connected yet",
                &text,
            );
        };
        let manifest = &connector.manifest;
        let Some(option) = manifest.auth_option(connection.auth_option.as_deref()) else {
            return self.problem(
                StatusCode::NOT_FOUND,
                "This app can't be connected",
                "Its way to sign in is not known here.",
            );
        };
        let (token, csrf, person) = match &subject.viewer {
            Viewer::Token { token, .. } => (Some(token.as_str()), None, None),
            Viewer::Person { who, .. } => (None, Some(who.csrf.as_str()), Some(who.name.as_str())),
        };
        let fields = form::fields(&option.input_schema, typed, error);
        let frame = frame(subject);
        let values = context! {
            app => manifest.name.as_str(),
            about => manifest.description.as_str(),
            mark => manifest.logo.text.as_str(),
            color => manifest.logo.color.as_deref().filter(|color| views::is_color(color)).unwrap_or("#55616f"),
            name => connection.name.as_str(),
            tenant => if subject.is_companys_own { None } else { subject.tenant.as_deref() },
            person => person,
            action => format!("{}/screens/connections", gateway.base_url()),
            request_id => subject.request.public_id.as_str(),
            token => token,
            csrf => csrf,
            one_click => subject.one_click,
            show_form => !subject.one_click || !typed.wants_this_phone() && error.is_some(),
            option_title => option.title.as_str(),
            option_help => option.description.replace("**", ""),
            fields => fields,
            error => error.map(|error| error.message.clone()),
            ready => connection.state == ConnectionState::Ready,
        };
        self.page(status, "connect.html", values, frame)
    }

    /// The page after it worked.
    pub(crate) fn done(
        &self,
        subject: &Subject,
        connection: &Connection,
        view: &Value,
    ) -> Response {
        let values = context! {
            name => connection.name.as_str(),
            app => view["integration"]["name"].as_str().unwrap_or(&connection.name),
            result => script_json(view),
        };
        self.page(StatusCode::OK, "done.html", values, frame(subject))
    }

    /// A page that says why there is no other.
    pub(crate) fn problem(&self, status: StatusCode, title: &str, text: &str) -> Response {
        self.page(
            status,
            "problem.html",
            context! { title => title, text => text },
            Frame::Anywhere,
        )
    }

    /// What went wrong, for a person.
    pub(crate) fn error(&self, error: &GatewayError) -> Response {
        let status =
            StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match error.kind {
            ErrorKind::NotFound => self.problem(
                status,
                "There is nothing to connect here",
                "The link is wrong or out of date. Ask for a new one.",
            ),
            ErrorKind::NotAuthenticated => self.problem(
                status,
                "You can't be recognised",
                "The link is out of date. Go back and try again.",
            ),
            ErrorKind::Internal => self.problem(
                status,
                "Something went wrong on our side",
                "Try again in a moment.",
            ),
            _ => self.problem(status, "That did not work", &error.message),
        }
    }

    fn page(&self, status: StatusCode, template: &str, values: Context, frame: Frame) -> Response {
        let nonce = nonce();
        let values = context! {
            style => Context::from_safe_string(self.style.to_owned()),
            script => Context::from_safe_string(HANDSHAKE.to_owned()),
            nonce => nonce.as_str(),
            framed => frame == Frame::Anywhere,
            ..values
        };
        let html = match self
            .templates
            .get_template(template)
            .and_then(|template| template.render(values))
        {
            Ok(html) => html,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    template,
                    "a page could not be rendered"
                );
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        };
        let ancestors = if frame == Frame::Anywhere {
            "*"
        } else {
            "'none'"
        };
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; form-action 'self'; base-uri 'none'; \
             frame-ancestors {ancestors}"
        );
        let mut response = (status, Html(html)).into_response();
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}

fn frame(subject: &Subject) -> Frame {
    match subject.viewer {
        Viewer::Person { .. } => Frame::Never,
        Viewer::Token { .. } => Frame::Anywhere,
    }
}

/// JSON that can stand in a script element: nothing in it can end the element.
fn script_json(value: &Value) -> Context {
    let text = value
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026");
    Context::from_safe_string(text)
}

fn nonce() -> String {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes[..]);
    base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_result_ends_its_script() {
        let text =
            script_json(&serde_json::json!({ "name": "</script><script>alert(1)" })).to_string();
        assert!(!text.contains('<'), "{text}");
    }

    #[test]
    fn a_problem_is_shown_as_text() {
        let pages = Pages::new("");
        let html = pages
            .templates
            .get_template("problem.html")
            .expect("template");
        let page = html
            .render(context! { title => "<b>x</b>", text => "t" })
            .expect("renders");
        assert!(
            page.contains("&lt;b&gt;x") && !page.contains("<b>x"),
            "{page}"
        );
    }
}
