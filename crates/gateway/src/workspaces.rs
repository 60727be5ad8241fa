//! One workspace for each company.

use model::TenantId;
use secrecy::{ExposeSecret, SecretString};
use store::gateway::Workspace;
use vault::{Context, WrappedKey};

use crate::{Caller, Gateway, GatewayError, ids};

const SECRET: Context<'static> = Context {
    tenant: "workspace",
    connection: "",
    field: "token-secret",
};

/// A company's workspace to be.
#[derive(Clone, Debug)]
pub struct NewWorkspace {
    /// The company.
    pub tenant: TenantId,
    pub name: String,
    /// The tenant key that the company's own people share.
    pub default_tenant_key: String,
}

impl Gateway {
    /// Creates a company's workspace with a random key and secret.
    ///
    /// # Errors
    /// When the company has one already or the database fails.
    pub async fn create_workspace(&self, new: NewWorkspace) -> Result<Workspace, GatewayError> {
        let key = ids::public_id();
        let (data_key, wrapped) = self.inner.keys.new_data_key(&key);
        let secret = ids::secret_hex(32);
        let sealed = vault::seal(
            &data_key,
            &Context {
                tenant: &key,
                ..SECRET
            },
            &secret.into_bytes().into(),
        );
        let row = store::gateway::NewWorkspace {
            public_id: ids::public_id(),
            tenant: new.tenant,
            key,
            name: new.name,
            default_tenant_key: new.default_tenant_key,
            wrapped_key: wrapped.0,
            sealed_secret: sealed,
        };
        Ok(self.inner.db.create_workspace(row, store::now()).await?)
    }

    /// A company's workspace.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workspace_of(&self, tenant: TenantId) -> Result<Option<Workspace>, GatewayError> {
        Ok(self.inner.db.workspace_of_tenant(tenant).await?)
    }

    /// The secret that signs a workspace's tokens, for showing to its owner.
    ///
    /// # Errors
    /// When the vault's keys don't fit.
    pub fn workspace_secret(&self, workspace: &Workspace) -> Result<SecretString, GatewayError> {
        let wrapped = WrappedKey(workspace.wrapped_key.clone());
        let data_key = self.inner.keys.unwrap(&workspace.key, &wrapped)?;
        let plain = vault::open(
            &data_key,
            &Context {
                tenant: &workspace.key,
                ..SECRET
            },
            &workspace.sealed_secret,
        )?;
        let text = String::from_utf8(plain.expose_secret().to_vec())
            .map_err(|_| vault::VaultError::Malformed)?;
        Ok(text.into())
    }

    /// The people of a company act for its default tenant: what a signed-in session may do here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn caller_of_company(
        &self,
        tenant: TenantId,
    ) -> Result<Option<Caller>, GatewayError> {
        let Some(workspace) = self.workspace_of(tenant).await? else {
            return Ok(None);
        };
        let customer = self
            .customer_named(
                &workspace,
                &workspace.default_tenant_key.clone(),
                None,
                None,
            )
            .await?;
        Ok(Some(Caller {
            workspace,
            customer: Some(customer),
            is_admin: false,
            grant: None,
        }))
    }
}
