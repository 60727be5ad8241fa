//! Row keys, and who may see which rows.

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);
    )*};
}

keys! {
    /// A workspace: the gateway's side of a company.
    WorkspaceId;
    /// A tenant of a workspace.
    CustomerId;
    /// A customer's link to an app.
    ConnectionId;
    /// An invitation to connect.
    RequestId;
    /// One execution of an action.
    RunId;
    /// A personal token.
    TokenId;
}

/// The rows a caller may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Always one workspace.
    pub workspace: WorkspaceId,
    /// One customer, or all of the workspace's for a manager.
    pub customer: Option<CustomerId>,
}

impl Reach {
    /// All customers of a workspace.
    #[must_use]
    pub fn workspace(workspace: WorkspaceId) -> Self {
        Self {
            workspace,
            customer: None,
        }
    }

    /// One customer.
    #[must_use]
    pub fn customer(workspace: WorkspaceId, customer: CustomerId) -> Self {
        Self {
            workspace,
            customer: Some(customer),
        }
    }
}
