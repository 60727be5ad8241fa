//! Who asks: every route but the app's own files needs somebody signed in.

use accounts::{Role, SignedIn};
use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};
use model::{AgentId, TenantId};
use store::StoreError;

use crate::{Console, error::ConsoleError};

/// A person with a live session.
pub(crate) struct Person(pub(crate) SignedIn);

/// Whose calls somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    Everybody,
    Own(AgentId),
    Nothing,
}

impl Person {
    pub(crate) fn tenant(&self) -> TenantId {
        self.0.user.tenant
    }

    /// Agents see their own calls; they are known by the address they sign in with.
    pub(crate) async fn sight(&self, console: &Console) -> Result<Sight, StoreError> {
        if self.0.user.role != Role::Agent {
            return Ok(Sight::Everybody);
        }
        let agent = console.db.agent_by_email(&self.0.user.email).await?;
        let own = agent
            .map(|(agent, _)| agent)
            .filter(|agent| agent.tenant == self.tenant());
        Ok(own.map_or(Sight::Nothing, |agent| Sight::Own(agent.id)))
    }

    /// Sets up the company: owners and administrators.
    pub(crate) fn manages(&self) -> bool {
        matches!(self.0.user.role, Role::Owner | Role::Admin)
    }

    /// Looks after running calls.
    pub(crate) fn supervises(&self) -> bool {
        self.manages() || self.0.user.role == Role::Supervisor
    }

    /// Connections carry what a whole company can do elsewhere.
    pub(crate) fn may_see_connections(&self) -> bool {
        matches!(self.0.user.role, Role::Owner | Role::Admin)
    }
}

impl Person {
    /// Carriers cost money, and their settings say how; signalling says where everybody is.
    pub(crate) fn must_manage(&self) -> Result<(), ConsoleError> {
        if matches!(self.0.user.role, Role::Owner | Role::Admin) {
            Ok(())
        } else {
            Err(ConsoleError::Forbidden)
        }
    }
}

/// Somebody who may change what concerns the whole company.
pub(crate) struct Manager(Person);

impl Manager {
    pub(crate) fn tenant(&self) -> TenantId {
        self.0.tenant()
    }

    pub(crate) fn email(&self) -> &str {
        &self.0.0.user.email
    }
}

impl FromRequestParts<Console> for Manager {
    type Rejection = ConsoleError;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Console,
    ) -> Result<Self, ConsoleError> {
        let Acting(person) = Acting::from_request_parts(parts, console).await?;
        person.must_manage()?;
        Ok(Self(person))
    }
}

impl FromRequestParts<Console> for Person {
    type Rejection = ConsoleError;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Console,
    ) -> Result<Self, ConsoleError> {
        find(console, &parts.headers)
            .await?
            .ok_or(ConsoleError::NotSignedIn)
    }
}

/// A person whose request changes something. The token that the page holds must come with it, so
/// that no other site can make the browser send it.
pub(crate) struct Acting(pub(crate) Person);

/// Where the token is sent.
const TOKEN: &str = "x-csrf-token";

impl FromRequestParts<Console> for Acting {
    type Rejection = ConsoleError;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Console,
    ) -> Result<Self, ConsoleError> {
        let person = Person::from_request_parts(parts, console).await?;
        let token = parts
            .headers
            .get(TOKEN)
            .and_then(|value| value.to_str().ok());
        if token.is_some_and(|token| person.0.csrf_matches(token)) {
            Ok(Self(person))
        } else {
            Err(ConsoleError::WrongToken)
        }
    }
}

pub(crate) async fn find(
    console: &Console,
    headers: &HeaderMap,
) -> Result<Option<Person>, StoreError> {
    let cookies: Vec<&str> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let found = console
        .accounts
        .signed_in(&cookies.join("; "), (console.clock)())
        .await?;
    Ok(found.map(Person))
}
