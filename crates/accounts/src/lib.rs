//! Who may come in: people, passwords, sessions, the first owner's link, and the OAuth server that
//! hands tokens to programs acting for a person.
//!
//! Refuses to know HTML, HTTP routes and what an access token looks like inside: the gateway signs
//! those, behind [`TokenIssuer`]. Takes the time as an argument everywhere.
//!
//! Start with [`Accounts`]; its OAuth half is [`OauthServer`], and [`Grants::is_live`] is what the
//! gateway asks before it honours a token.

mod cookie;
mod oauth;
mod password;
mod people;
mod sessions;
mod setup;
mod throttle;
mod token;

pub use cookie::{CookiePolicy, SESSION_COOKIE};
pub use oauth::{
    AuthorizeParams, AuthorizeProblem, AuthorizeRequest, CLI_CLIENT_ID, Client, ClientMetadata,
    CodeExchange, GrantedTokens, Grants, IssueError, IssueFor, IssuedToken, OauthConfig,
    OauthServer, RefreshExchange, RegisterError, TokenError, TokenIssuer,
};
pub use people::{Accounts, CreateUserError, NewPerson};
pub use sessions::{Credentials, SessionToken, SignInError, SignedIn, csrf_of};
pub use setup::{CompanyCreator, CompanyError, NewCompany, OwnerForm, SetupError, SetupToken};
pub use store::accounts::{Grant, GrantId, Role, TokenKind, User};
pub use throttle::{Attempt, Throttle, ThrottleRule};
pub use token::{random_token, secrets_match};
