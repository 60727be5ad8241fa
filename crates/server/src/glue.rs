//! Where the services meet: each defines a small trait for what it needs of another, and here are the
//! implementations.

use std::sync::Arc;

use accounts::{
    CompanyCreator, CompanyError, IssueError, IssueFor, IssuedToken, NewCompany, TokenIssuer,
};
use async_trait::async_trait;
use gateway::{Gateway, LocalKeyError, LocalPhone, NewWorkspace, TokenSpec, Workspace};
use model::TenantId;
use rand::RngExt;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use store::{
    Db,
    accounts::{GrantId, Role, TokenKind},
    company::NewTenant,
    directory::NewApiKey,
};
use url::Url;

/// A company and its workspace.
pub struct Company {
    pub tenant: TenantId,
    pub workspace: Workspace,
}

/// Creates a company: its row in the phone system and its workspace in the gateway.
///
/// # Errors
/// When the database fails.
pub async fn create_company(
    db: &Db,
    gateway: &Gateway,
    name: &str,
    time_zone: &str,
    country_code: &str,
) -> anyhow::Result<Company> {
    let new = NewTenant {
        name: name.to_owned(),
        time_zone: time_zone.to_owned(),
        country_code: country_code.to_owned(),
    };
    let tenant = db.create_tenant(new, store::now()).await?.id;
    let workspace = NewWorkspace {
        tenant,
        name: name.to_owned(),
        default_tenant_key: "company".to_owned(),
    };
    Ok(Company {
        tenant,
        workspace: gateway.create_workspace(workspace).await?,
    })
}

/// Makes companies for the set-up page.
pub struct Companies {
    pub db: Db,
    pub gateway: Gateway,
}

#[async_trait]
impl CompanyCreator for Companies {
    async fn create_company(&self, new: NewCompany) -> Result<TenantId, CompanyError> {
        let made = create_company(
            &self.db,
            &self.gateway,
            &new.name,
            &new.time_zone,
            &new.country_code,
        )
        .await;
        made.map(|company| company.tenant)
            .map_err(|error| CompanyError(error.into()))
    }
}

/// Access tokens for people who signed in: workspace tokens of the gateway. The gateway itself asks for
/// the grants' liveness, so it is set after both exist.
pub struct Issuer {
    pub gateway: Arc<std::sync::OnceLock<Gateway>>,
}

impl Issuer {
    fn gateway(&self) -> &Gateway {
        self.gateway
            .get()
            .expect("wiring sets the gateway before the first request is served")
    }
}

#[async_trait]
impl TokenIssuer for Issuer {
    async fn issue(&self, request: IssueFor) -> Result<IssuedToken, IssueError> {
        let failed = |error: gateway::GatewayError| IssueError(Box::new(error));
        let workspace = self
            .gateway()
            .workspace_of(request.tenant)
            .await
            .map_err(failed)?;
        let workspace =
            workspace.ok_or_else(|| IssueError("the company has no workspace".into()))?;
        let tenant_key = Some(workspace.default_tenant_key.clone());
        let spec = TokenSpec {
            tenant_key: tenant_key.clone(),
            // Only who runs the company may hold a token that reaches all of its tenants.
            is_admin: request.kind == TokenKind::PlatformUser
                && matches!(request.user.role, Role::Owner | Role::Admin),
            name: None,
            fields: None,
            expires_in: request.expires_in.try_into().ok(),
            grant: Some(request.grant.0.to_string()),
        };
        let access_token = self
            .gateway()
            .issue(&workspace, spec, request.now)
            .map_err(failed)?;
        Ok(IssuedToken {
            access_token,
            workspace_key: workspace.key,
            tenant_key,
        })
    }

    async fn grant_of(&self, access_token: &str) -> Option<GrantId> {
        self.gateway()
            .grant_of(access_token)
            .await?
            .parse()
            .ok()
            .map(GrantId)
    }
}

/// Whether permissions people gave still hold.
pub struct LiveGrants(pub accounts::Grants);

#[async_trait]
impl gateway::Grants for LiveGrants {
    async fn is_live(&self, grant: &str) -> bool {
        let Ok(grant) = grant.parse() else {
            return false;
        };
        match self.0.is_live(GrantId(grant)).await {
            Ok(live) => live,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a grant could not be looked up; its token is refused"
                );
                false
            }
        }
    }
}

/// This installation's phone system, as the gateway's first app.
pub struct ThisPhone {
    pub db: Db,
    pub base_url: Url,
}

#[async_trait]
impl LocalPhone for ThisPhone {
    async fn issue_key(
        &self,
        owner: TenantId,
        name: &str,
    ) -> Result<(String, SecretString), LocalKeyError> {
        let (key_id, secret) = new_api_key();
        let new = NewApiKey {
            key_id: key_id.clone(),
            secret_sha256: sha256_hex(&secret),
            name: name.to_owned(),
        };
        match self.db.add_api_key(owner, new, store::now()).await {
            Ok(()) => Ok((key_id, secret.into())),
            Err(error) => Err(LocalKeyError(Box::new(error))),
        }
    }

    async fn revoke_key(&self, owner: TenantId, key_id: &str) -> Result<(), LocalKeyError> {
        let revoked = self.db.revoke_api_key(owner, key_id, store::now()).await;
        revoked
            .map(drop)
            .map_err(|error| LocalKeyError(Box::new(error)))
    }

    async fn owns_key(&self, key_id: &str) -> bool {
        matches!(self.db.api_key(key_id).await, Ok(Some(_)))
    }

    fn base_url(&self) -> Url {
        self.base_url.clone()
    }
}

/// A new API key: its public id and its secret.
pub fn new_api_key() -> (String, String) {
    const CAPITALS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    (random_of(CAPITALS, 22), random_text(40))
}

/// Letters and digits that nobody can guess. Without the ones that look alike.
pub fn random_text(length: usize) -> String {
    random_of(
        b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789",
        length,
    )
}

fn random_of(alphabet: &[u8], length: usize) -> String {
    let mut random = rand::rng();
    (0..length)
        .map(|_| char::from(alphabet[random.random_range(0..alphabet.len())]))
        .collect()
}

/// Hex SHA-256.
pub fn sha256_hex(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
