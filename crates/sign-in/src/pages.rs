//! Rendering: templates, the style sheet and the headers every page carries.

use axum::response::{Html, IntoResponse, Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, StatusCode, header};
use minijinja::{Environment, Value, context};
use sha2::{Digest, Sha256};

/// One sheet for all server-rendered pages; other faces may use it as well.
pub const STYLE_SHEET: &str = include_str!("../templates/pages.css");

const TEMPLATES: [(&str, &str); 6] = [
    ("layout.html", include_str!("../templates/layout.html")),
    ("sign_in.html", include_str!("../templates/sign_in.html")),
    ("setup.html", include_str!("../templates/setup.html")),
    ("consent.html", include_str!("../templates/consent.html")),
    ("code.html", include_str!("../templates/code.html")),
    ("message.html", include_str!("../templates/message.html")),
];

pub(crate) struct Pages {
    templates: Environment<'static>,
    /// The inline sheet, as the content policy names it.
    style_hash: String,
}

impl Pages {
    pub(crate) fn new() -> Self {
        let mut templates = Environment::new();
        for (name, source) in TEMPLATES {
            templates
                .add_template(name, source)
                .expect("our own templates parse; a test renders each");
        }
        let style_hash = format!(
            "sha256-{}",
            BASE64_STANDARD.encode(Sha256::digest(STYLE_SHEET.as_bytes()))
        );
        Self {
            templates,
            style_hash,
        }
    }

    /// A page whose forms go to this site only.
    pub(crate) fn page(&self, status: StatusCode, template: &str, values: Value) -> Response {
        self.page_with_forms_to(status, template, values, "")
    }

    /// A page whose form may end in a redirect to `target` (an origin): browsers apply `form-action` to
    /// the redirect that answers a form as well.
    pub(crate) fn page_with_forms_to(
        &self,
        status: StatusCode,
        template: &str,
        values: Value,
        target: &str,
    ) -> Response {
        let values =
            context! { style => Value::from_safe_string(STYLE_SHEET.to_owned()), ..values };
        let html = match self
            .templates
            .get_template(template)
            .and_then(|template| template.render(values))
        {
            Ok(html) => html,
            Err(error) => {
                tracing::error!(%error, template, "a page could not be rendered");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        };
        let policy = format!(
            "default-src 'none'; style-src '{}'; img-src data:; form-action 'self' {target}; base-uri 'none'; \
             frame-ancestors 'none'",
            self.style_hash
        );
        let mut response = (status, Html(html)).into_response();
        let headers = response.headers_mut();
        for (name, value) in PAGE_HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(policy) = HeaderValue::try_from(policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }

    /// A page that only says something.
    pub(crate) fn message(&self, status: StatusCode, title: &str, text: &str) -> Response {
        self.page(status, "message.html", context! { title, text })
    }

    /// A form that did not come from one of our pages, or whose cookie is gone.
    pub(crate) fn stale_form(&self) -> Response {
        self.message(
            StatusCode::FORBIDDEN,
            "This page is out of date",
            "For your safety we only accept forms that we made for this browser. Go back, reload the page and try \
             again. If it keeps happening, allow cookies for this site.",
        )
    }

    /// Our own failure.
    pub(crate) fn failure(&self, error: &(dyn std::error::Error + 'static)) -> Response {
        tracing::error!(error, "a page failed");
        self.message(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong on our side",
            "Nothing was changed. Try again in a moment; if it stays, the server's log says why.",
        )
    }
}

const PAGE_HEADERS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
];

pub(crate) async fn style_sheet() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=300"),
    ];
    (headers, STYLE_SHEET).into_response()
}
