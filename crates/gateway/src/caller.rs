//! Who asks.

use store::gateway::{Customer, Reach, Workspace};

use crate::GatewayError;

/// Somebody whose token was good.
#[derive(Clone, Debug)]
pub struct Caller {
    pub workspace: Workspace,
    /// The tenant the token names; a manager's may name none.
    pub customer: Option<Customer>,
    /// A manager: sees all tenants of the workspace.
    pub is_admin: bool,
    /// The person's permission behind the token, asked again when a request has waited.
    pub(crate) grant: Option<String>,
}

impl Caller {
    /// The rows he may see.
    ///
    /// # Panics
    /// Never: a caller without tenant is a manager by construction.
    #[must_use]
    pub fn reach(&self) -> Reach {
        match &self.customer {
            Some(customer) if !self.is_admin => Reach::customer(self.workspace.id, customer.id),
            _ => Reach::workspace(self.workspace.id),
        }
    }

    /// The tenant that will own what he makes.
    ///
    /// # Errors
    /// When a manager's token names no tenant.
    pub fn owner(&self) -> Result<&Customer, GatewayError> {
        self.customer.as_ref().ok_or_else(|| {
            GatewayError::bad_request("this needs a tenant: use a token with \"tenantKey\"")
        })
    }

    /// Refuses whoever is no manager.
    ///
    /// # Errors
    /// `access_denied`.
    pub fn require_admin(&self) -> Result<(), GatewayError> {
        if self.is_admin {
            return Ok(());
        }
        Err(GatewayError::access_denied(
            "this needs a manager token (\"isAdmin\": true)",
        ))
    }
}
