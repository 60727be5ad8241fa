//! The token that proves a form came from one of our own pages.

use accounts::{Accounts, CookiePolicy, csrf_of, random_token, secrets_match};
use http::HeaderValue;

use crate::Visitor;

/// Somebody who has no session yet gets this cookie, so that signing in is protected too: nobody can sign
/// a stranger's browser into his own account.
const FORM_COOKIE: &str = "trunkline_form";

/// The form token for a visitor without session, and the cookie to set if he had none.
pub(crate) struct FormToken {
    pub(crate) field: String,
    pub(crate) set_cookie: Option<HeaderValue>,
}

pub(crate) fn form_token(accounts: &Accounts, visitor: &Visitor) -> FormToken {
    let policy = accounts.cookies();
    if let Some(cookie) = policy.find(FORM_COOKIE, &visitor.cookies) {
        return FormToken {
            field: csrf_of(&cookie),
            set_cookie: None,
        };
    }
    let cookie = random_token();
    FormToken {
        field: csrf_of(&cookie),
        set_cookie: cookie_header(policy, &cookie),
    }
}

/// Whether the field of a submitted form belongs to the visitor's cookie.
pub(crate) fn form_matches(accounts: &Accounts, visitor: &Visitor, field: &str) -> bool {
    let cookie = accounts.cookies().find(FORM_COOKIE, &visitor.cookies);
    cookie.is_some_and(|cookie| secrets_match(&csrf_of(&cookie), field))
}

fn cookie_header(policy: CookiePolicy, value: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(policy.set(FORM_COOKIE, value, None)).ok()
}
