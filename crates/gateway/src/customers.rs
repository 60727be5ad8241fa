//! What a tenant may do about itself, and a manager about the tenants.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use store::gateway::{Customer, PageOf};

use crate::{Caller, Gateway, GatewayError, Page, TokenSpec};

/// Tokens made of a token live this long unless told otherwise.
const DEFAULT_LIFE: Duration = Duration::from_hours(1);
/// The longest life of a token made of a token.
const LONGEST_LIFE: Duration = Duration::from_hours(30 * 24);

impl Gateway {
    /// Sets what a tenant says about itself.
    ///
    /// # Errors
    /// When the token names no tenant.
    pub async fn update_self(
        &self,
        caller: &Caller,
        name: Option<&str>,
        fields: Option<&Value>,
        credentials: Option<&Value>,
    ) -> Result<Customer, GatewayError> {
        let owner = caller.owner()?;
        let sealed = match credentials {
            Some(value) => Some(
                self.seal_customer_credentials(owner.workspace, owner.id, value)
                    .await?,
            ),
            None => None,
        };
        let db = &self.inner.db;
        db.update_customer(caller.reach(), owner.id, name, fields, sealed.as_deref())
            .await?;
        let found = db.customer_by_id(owner.workspace, owner.id).await?;
        found.ok_or_else(|| GatewayError::not_found("tenant", &owner.internal_id))
    }

    /// Tenants within reach.
    ///
    /// # Errors
    /// When the cursor is none of ours.
    pub async fn list_customers(
        &self,
        caller: &Caller,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Customer>, GatewayError> {
        let page = PageOf {
            after: Page::<Customer>::position(cursor)?,
            limit: limit as u64 + 1,
        };
        Ok(Page::of(
            self.inner.db.customers(caller.reach(), page).await?,
            limit,
            |customer| customer.id.0,
        ))
    }

    /// A tenant by id or key.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn customer(
        &self,
        caller: &Caller,
        selector: &str,
    ) -> Result<Customer, GatewayError> {
        let found = self.inner.db.customer(caller.reach(), selector).await?;
        found.ok_or_else(|| GatewayError::not_found("tenant", selector))
    }

    /// A token made of a token: a manager's for anybody in the workspace, a tenant's for itself. It ends with
    /// the permission behind the first one.
    ///
    /// # Errors
    /// `access_denied` when it would allow more than the first.
    pub fn derive_token(
        &self,
        caller: &Caller,
        tenant: Option<String>,
        is_admin: bool,
        mut spec: TokenSpec,
    ) -> Result<SecretString, GatewayError> {
        let own = caller.customer.as_ref();
        let tenant =
            tenant.or_else(|| own.filter(|_| !is_admin).map(|own| own.internal_id.clone()));
        let is_own = own.is_some_and(|own| {
            tenant
                .as_deref()
                .is_some_and(|name| name == own.internal_id || name == own.public_id)
        });
        if is_admin || !is_own {
            caller.require_admin()?;
        }
        spec.tenant_key = match tenant {
            Some(_) if is_own => own.map(|own| own.internal_id.clone()),
            other => other,
        };
        spec.is_admin = is_admin;
        spec.grant.clone_from(&caller.grant);
        spec.expires_in = Some(spec.expires_in.unwrap_or(DEFAULT_LIFE).min(LONGEST_LIFE));
        self.issue(&caller.workspace, spec, store::now())
    }
}
