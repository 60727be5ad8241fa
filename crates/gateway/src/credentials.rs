//! Sealing and opening what a connection signs in with.
//!
//! A credential is opened in the function that sends it and nowhere else.

use connector::Credentials;
use secrecy::ExposeSecret;
use serde_json::Value;
use store::gateway::{Connection, CustomerId, WorkspaceId};
use vault::{Context, DataKey, WrappedKey};

use crate::{ErrorKind, Gateway, GatewayError, redact::Secrets};

const FIELD: &str = "credential";

/// An opened credential and the texts that must not leave with a record.
pub(crate) struct Opened {
    pub credentials: Credentials,
    pub secrets: Secrets,
}

impl Gateway {
    /// Seals what somebody gave for a connection.
    pub(crate) async fn seal_credential(
        &self,
        connection: &Connection,
        input: &Value,
    ) -> Result<String, GatewayError> {
        let label = label(connection.workspace, connection.customer);
        let key = self
            .customer_key(connection.workspace, connection.customer, &label)
            .await?;
        let context = Context {
            tenant: &label,
            connection: &connection.public_id,
            field: FIELD,
        };
        Ok(vault::seal(
            &key,
            &context,
            &input.to_string().into_bytes().into(),
        ))
    }

    /// Opens a connection's credential.
    pub(crate) async fn open_credential(
        &self,
        connection: &Connection,
    ) -> Result<Opened, GatewayError> {
        let sealed = connection.sealed_credential.as_deref().ok_or_else(|| {
            GatewayError::new(
                ErrorKind::ConnectionDefunct,
                "the connection has no credential; it must be connected again",
            )
        })?;
        let label = label(connection.workspace, connection.customer);
        let key = self
            .customer_key(connection.workspace, connection.customer, &label)
            .await?;
        let context = Context {
            tenant: &label,
            connection: &connection.public_id,
            field: FIELD,
        };
        let plain = vault::open(&key, &context, sealed)?;
        let value: Value = serde_json::from_slice(plain.expose_secret())
            .map_err(|_| vault::VaultError::Malformed)?;
        Ok(opened(value))
    }

    /// Seals the free credentials of a tenant itself.
    pub(crate) async fn seal_customer_credentials(
        &self,
        workspace: WorkspaceId,
        customer: CustomerId,
        value: &Value,
    ) -> Result<String, GatewayError> {
        let label = label(workspace, customer);
        let key = self.customer_key(workspace, customer, &label).await?;
        let context = Context {
            tenant: &label,
            connection: "",
            field: "tenant-credentials",
        };
        Ok(vault::seal(
            &key,
            &context,
            &value.to_string().into_bytes().into(),
        ))
    }

    /// The tenant's data key, made with its first secret.
    async fn customer_key(
        &self,
        workspace: WorkspaceId,
        customer: CustomerId,
        label: &str,
    ) -> Result<DataKey, GatewayError> {
        let db = &self.inner.db;
        let row = db.customer_by_id(workspace, customer).await?;
        let wrapped = match row.and_then(|row| row.wrapped_key) {
            Some(wrapped) => wrapped,
            None => {
                let (_, wrapped) = self.inner.keys.new_data_key(label);
                db.customer_data_key(workspace, customer, &wrapped.0)
                    .await?
            }
        };
        Ok(self.inner.keys.unwrap(label, &WrappedKey(wrapped))?)
    }
}

pub(crate) fn opened(value: Value) -> Opened {
    let secrets = Secrets::of(&value);
    Opened {
        credentials: Credentials::new(value),
        secrets,
    }
}

/// The tenant's name inside sealed records.
fn label(workspace: WorkspaceId, customer: CustomerId) -> String {
    format!("{}/{}", workspace.0, customer.0)
}
