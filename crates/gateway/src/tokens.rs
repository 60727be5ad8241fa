//! Bearer tokens: workspace JWTs and personal tokens.

use std::time::Duration;

use async_trait::async_trait;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use model::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use store::gateway::{Customer, CustomerSeen, PersonalToken, Workspace};

use crate::{Caller, Gateway, GatewayError, ids};

/// Clocks of others may differ from ours by this much.
const SKEW_SECONDS: i64 = 60;
const PERSONAL_PREFIX: &str = "pat-";
/// Longer than any honest token; what is longer is refused before it is read.
const LONGEST_TOKEN: usize = 16 * 1024;
/// Longest key of a tenant.
const LONGEST_TENANT_KEY: usize = 255;

/// Asked whether the permission behind a token still holds.
#[async_trait]
pub trait Grants: Send + Sync + 'static {
    /// False when the person took it back, or there never was one.
    async fn is_live(&self, grant: &str) -> bool;
}

/// What a token is to say.
#[derive(Clone, Debug, Default)]
pub struct TokenSpec {
    /// Required unless `is_admin`.
    pub tenant_key: Option<String>,
    pub is_admin: bool,
    pub name: Option<String>,
    pub fields: Option<Value>,
    /// `None`: the token does not expire.
    pub expires_in: Option<Duration>,
    /// Id of the permission behind it; see [`Grants`].
    pub grant: Option<String>,
}

/// A personal token to be.
#[derive(Clone, Debug)]
pub struct NewPersonalToken {
    pub name: String,
    /// `None` makes a manager's token.
    pub tenant_key: Option<String>,
    pub expires_in: Option<Duration>,
}

impl Gateway {
    /// Signs a token of a workspace.
    ///
    /// # Errors
    /// When it would name neither a tenant nor a manager, or the vault's keys don't fit.
    pub fn issue(
        &self,
        workspace: &Workspace,
        spec: TokenSpec,
        now: Timestamp,
    ) -> Result<SecretString, GatewayError> {
        if spec.tenant_key.is_none() && !spec.is_admin {
            return Err(GatewayError::bad_request(
                "a token needs \"tenantKey\" or \"isAdmin\"",
            ));
        }
        if let Some(key) = &spec.tenant_key {
            check_tenant_key(key)?;
        }
        let mut claims = Map::new();
        claims.insert("workspaceKey".into(), workspace.key.clone().into());
        claims.insert("iss".into(), workspace.key.clone().into());
        if let Some(key) = spec.tenant_key {
            claims.insert("tenantKey".into(), key.clone().into());
            claims.insert("id".into(), key.into());
        }
        let optional = [
            ("name", spec.name.map(Value::String)),
            ("fields", spec.fields),
            ("grant", spec.grant.map(Value::String)),
        ];
        claims.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?))),
        );
        if spec.is_admin {
            claims.insert("isAdmin".into(), true.into());
        }
        claims.insert("iat".into(), now.as_second().into());
        if let Some(span) = spec.expires_in {
            let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
            claims.insert("exp".into(), now.as_second().saturating_add(seconds).into());
        }
        let secret = self.workspace_secret(workspace)?;
        let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
            .map_err(|error| GatewayError::internal("a token could not be signed", &error))?;
        Ok(token.into())
    }

    /// Finds out who holds a token. A tenant it names for the first time comes into being.
    ///
    /// # Errors
    /// `not_authenticated` when it is no good, whatever the reason.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, GatewayError> {
        self.authenticate_at(token, store::now()).await
    }

    /// [`Gateway::authenticate`] at a given time.
    ///
    /// # Errors
    /// As there.
    pub async fn authenticate_at(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Caller, GatewayError> {
        if token.len() > LONGEST_TOKEN {
            return Err(refused("the token is too long"));
        }
        if token.starts_with(PERSONAL_PREFIX) {
            return self.authenticate_personal(token, now).await;
        }
        let (workspace, claims) = self.verify(token).await?;
        check_times(&claims, now)?;
        let grant = optional_text(&claims, "grant")?;
        self.check_grant(grant.as_deref()).await?;
        let is_admin = claims.get("isAdmin") == Some(&Value::Bool(true));
        let tenant_key = either_claim(&claims, "tenantKey", "id")?;
        let Some(tenant_key) = tenant_key else {
            if is_admin {
                return Ok(Caller {
                    workspace,
                    customer: None,
                    is_admin,
                    grant,
                });
            }
            return Err(refused(
                "the token names no tenant (claim \"tenantKey\" or \"id\")",
            ));
        };
        check_tenant_key(&tenant_key).map_err(|error| refused(&error.message))?;
        let name = claims.get("name").and_then(Value::as_str);
        let fields = claims.get("fields").filter(|fields| fields.is_object());
        let customer = self
            .customer_named(&workspace, &tenant_key, name, fields)
            .await?;
        Ok(Caller {
            workspace,
            customer: Some(customer),
            is_admin,
            grant,
        })
    }

    /// The grant a token of ours names, if its signature holds. Its expiry does not matter: this serves
    /// taking permissions back.
    pub async fn grant_of(&self, token: &str) -> Option<String> {
        let (_, claims) = self.verify(token).await.ok()?;
        claims.get("grant")?.as_str().map(str::to_owned)
    }

    /// Whether a caller who has waited may still have his answer.
    ///
    /// # Errors
    /// `not_authenticated` when the permission was taken back meanwhile.
    pub async fn still_welcome(&self, caller: &Caller) -> Result<(), GatewayError> {
        self.check_grant(caller.grant.as_deref()).await
    }

    /// Makes a personal token. It is shown once and kept as a hash.
    ///
    /// # Errors
    /// When the caller is no manager but asks for a manager's or another tenant's token.
    pub async fn create_personal_token(
        &self,
        caller: &Caller,
        new: NewPersonalToken,
    ) -> Result<(PersonalToken, SecretString), GatewayError> {
        let own = caller
            .customer
            .as_ref()
            .map(|customer| customer.internal_id.as_str());
        if new.tenant_key.is_none() || new.tenant_key.as_deref() != own {
            caller.require_admin()?;
        }
        let customer = match &new.tenant_key {
            Some(key) => {
                check_tenant_key(key)?;
                Some(
                    self.customer_named(&caller.workspace, key, None, None)
                        .await?,
                )
            }
            None => None,
        };
        let token = format!("{PERSONAL_PREFIX}{}", ids::secret_hex(32));
        let now = store::now();
        let row = store::gateway::NewPersonalToken {
            public_id: ids::public_id(),
            workspace: caller.workspace.id,
            is_admin: customer.is_none(),
            customer: customer.map(|customer| customer.id),
            name: new.name,
            sha256: hash(&token),
            expires_at: new.expires_in.and_then(|span| now.checked_add(span).ok()),
        };
        let row = self.inner.db.create_personal_token(row, now).await?;
        Ok((row, token.into()))
    }

    async fn authenticate_personal(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Caller, GatewayError> {
        let unknown = || refused("the personal token is not valid");
        let row = self
            .inner
            .db
            .personal_token(&hash(token))
            .await?
            .ok_or_else(unknown)?;
        if row.revoked_at.is_some() || row.expires_at.is_some_and(|at| at <= now) {
            return Err(unknown());
        }
        let workspace = self
            .inner
            .db
            .workspace(row.workspace)
            .await?
            .ok_or_else(unknown)?;
        let customer = match row.customer {
            Some(id) => Some(
                self.inner
                    .db
                    .customer_by_id(workspace.id, id)
                    .await?
                    .ok_or_else(unknown)?,
            ),
            None => None,
        };
        if customer.is_none() && !row.is_admin {
            return Err(unknown());
        }
        Ok(Caller {
            workspace,
            customer,
            is_admin: row.is_admin,
            grant: None,
        })
    }

    /// Checks the signature and nothing else.
    async fn verify(&self, token: &str) -> Result<(Workspace, Map<String, Value>), GatewayError> {
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| refused("the token is not a valid JWT"))?;
        // The list is ours, not the token's: neither "none" nor a public-key algorithm gets further.
        if !matches!(
            header.alg,
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512
        ) {
            return Err(refused(
                "the token's algorithm is not accepted; use HS256, HS384 or HS512",
            ));
        }
        let unverified = jsonwebtoken::dangerous::insecure_decode::<Map<String, Value>>(token)
            .map_err(|_| refused("the token is not a valid JWT"))?;
        let key = either_claim(&unverified.claims, "workspaceKey", "iss")?.ok_or_else(|| {
            refused("the token names no workspace (claim \"workspaceKey\" or \"iss\")")
        })?;
        let workspace = self
            .inner
            .db
            .workspace_by_key(&key)
            .await?
            .ok_or_else(bad_signature)?;
        let secret = self.workspace_secret(&workspace)?;
        let mut validation = Validation::new(header.alg);
        validation.required_spec_claims.clear();
        // Times are checked by `check_times`, against the time that was handed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let key = DecodingKey::from_secret(secret.expose_secret().as_bytes());
        let verified = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation)
            .map_err(|_| bad_signature())?;
        Ok((workspace, verified.claims))
    }

    async fn check_grant(&self, grant: Option<&str>) -> Result<(), GatewayError> {
        let Some(grant) = grant else { return Ok(()) };
        let live = match &self.inner.grants {
            Some(grants) => grants.is_live(grant).await,
            None => false,
        };
        if live {
            Ok(())
        } else {
            Err(refused(
                "the permission behind this token was taken back; log in again",
            ))
        }
    }

    pub(crate) async fn customer_named(
        &self,
        workspace: &Workspace,
        key: &str,
        name: Option<&str>,
        fields: Option<&Value>,
    ) -> Result<Customer, GatewayError> {
        let public_id = ids::public_id();
        let seen = CustomerSeen {
            workspace: workspace.id,
            internal_id: key,
            name,
            fields,
            public_id: &public_id,
        };
        Ok(self.inner.db.customer_seen(seen, store::now()).await?)
    }
}

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

fn refused(message: &str) -> GatewayError {
    GatewayError::not_authenticated(message)
}

/// One answer for an unknown workspace and a wrong secret: neither tells which workspaces exist.
fn bad_signature() -> GatewayError {
    refused("the token's signature does not fit its workspace")
        .with_data(json!({ "hint": "check workspaceKey and workspaceSecret" }))
}

fn check_tenant_key(key: &str) -> Result<(), GatewayError> {
    if key.is_empty() || key.len() > LONGEST_TENANT_KEY || key.chars().any(char::is_control) {
        return Err(GatewayError::field(
            "tenantKey",
            format!("tenantKey must have 1 to {LONGEST_TENANT_KEY} printable bytes"),
        ));
    }
    Ok(())
}

fn optional_text(claims: &Map<String, Value>, name: &str) -> Result<Option<String>, GatewayError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        // Older callers use their numeric user ids.
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(refused(&format!(
            "the token's claim \"{name}\" is not text"
        ))),
    }
}

/// A claim by either of its names. Two names that disagree are an attempt at something.
fn either_claim(
    claims: &Map<String, Value>,
    name: &str,
    alias: &str,
) -> Result<Option<String>, GatewayError> {
    let (first, second) = (optional_text(claims, name)?, optional_text(claims, alias)?);
    match (first, second) {
        (Some(a), Some(b)) if a != b => Err(refused(&format!(
            "the token's claims \"{name}\" and \"{alias}\" disagree"
        ))),
        (first, second) => Ok(first.or(second)),
    }
}

fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), GatewayError> {
    let seconds = |name: &str| match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "fractions of a second do not matter; out of range saturates"
        )]
        Some(value) => value
            .as_f64()
            .map(|at| Some(at as i64))
            .ok_or_else(|| refused(&format!("the token's claim \"{name}\" is not a time"))),
    };
    let now = now.as_second();
    if seconds("exp")?.is_some_and(|exp| exp.saturating_add(SKEW_SECONDS) <= now) {
        return Err(refused("the token has expired"));
    }
    if seconds("nbf")?.is_some_and(|nbf| nbf.saturating_sub(SKEW_SECONDS) > now) {
        return Err(refused("the token is not valid yet"));
    }
    Ok(())
}
