//! Registered clients and authorization codes.

use model::{Timestamp, UserId};
use sea_orm::{ActiveValue::Set, Condition, TransactionTrait, entity::prelude::*};

use super::{GrantId, NewGrant, TokenHash, grants};
use crate::{Db, StoreError, from_ms, to_ms};

mod client {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "oauth_clients")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub client_id: String,
        pub name: String,
        pub redirect_uris: String,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod code {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "oauth_codes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub code_hash: String,
        pub user_id: i64,
        pub client_id: String,
        pub redirect_uri: String,
        pub code_challenge: String,
        pub token_kind: super::TokenKind,
        pub client_name: String,
        pub created_at: i64,
        pub expires_at: i64,
        pub used_at: Option<i64>,
        pub grant_id: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Whose token a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::None)")]
pub enum TokenKind {
    /// Acts inside the company's tenant: connections and actions.
    #[sea_orm(string_value = "tenant")]
    Tenant,
    /// Acts for the person across his workspaces.
    #[sea_orm(string_value = "platform-user")]
    PlatformUser,
}

impl TokenKind {
    /// The word of the interface.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::PlatformUser => "platform-user",
        }
    }
}

/// A program that registered itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthClient {
    pub client_id: String,
    pub name: String,
    pub redirect_uris: Vec<String>,
    pub created_at: Timestamp,
}

/// A code to be handed out.
#[derive(Clone, Debug)]
pub struct NewCode {
    pub code_hash: TokenHash,
    pub user: UserId,
    pub client_id: String,
    pub redirect_uri: String,
    /// base64url of SHA-256 of the verifier (RFC 7636 §4.2).
    pub code_challenge: String,
    pub kind: TokenKind,
    pub client_name: String,
    pub expires_at: Timestamp,
}

/// What a used-up code was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedCode {
    pub user: UserId,
    pub client_id: String,
    pub redirect_uri: String,
    pub code_challenge: String,
    pub kind: TokenKind,
    pub client_name: String,
}

/// What became of a code that was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeClaim {
    /// It was good; the grant and its first refresh token exist now.
    Granted(GrantId, ClaimedCode),
    /// It was good but the check refused it. It is used up all the same.
    Refused(ClaimedCode),
    /// It had been used before. Whatever grant came of it is revoked now.
    Reused,
    /// Unknown or expired.
    Invalid,
}

impl TryFrom<client::Model> for OauthClient {
    type Error = StoreError;

    fn try_from(row: client::Model) -> Result<Self, StoreError> {
        let redirect_uris =
            serde_json::from_str(&row.redirect_uris).map_err(|source| StoreError::Corrupt {
                what: "redirect addresses of a client",
                source,
            })?;
        Ok(Self {
            client_id: row.client_id,
            name: row.name,
            redirect_uris,
            created_at: from_ms(row.created_at),
        })
    }
}

impl Db {
    /// Registers a client.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_oauth_client(&self, new: &OauthClient) -> Result<(), StoreError> {
        let row = client::ActiveModel {
            client_id: Set(new.client_id.clone()),
            name: Set(new.name.clone()),
            redirect_uris: Set(serde_json::Value::from(new.redirect_uris.clone()).to_string()),
            created_at: Set(to_ms(new.created_at)),
        };
        client::Entity::insert(row)
            .exec_without_returning(&self.conn)
            .await?;
        Ok(())
    }

    /// The registered client with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn oauth_client(&self, client_id: &str) -> Result<Option<OauthClient>, StoreError> {
        client::Entity::find_by_id(client_id)
            .one(&self.conn)
            .await?
            .map(OauthClient::try_from)
            .transpose()
    }

    /// Keeps a code that is about to be handed out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_code(&self, new: NewCode, now: Timestamp) -> Result<(), StoreError> {
        let row = code::ActiveModel {
            code_hash: Set(new.code_hash.0),
            user_id: Set(new.user.0),
            client_id: Set(new.client_id),
            redirect_uri: Set(new.redirect_uri),
            code_challenge: Set(new.code_challenge),
            token_kind: Set(new.kind),
            client_name: Set(new.client_name),
            created_at: Set(to_ms(now)),
            expires_at: Set(to_ms(new.expires_at)),
            used_at: Set(None),
            grant_id: Set(None),
        };
        code::Entity::insert(row)
            .exec_without_returning(&self.conn)
            .await?;
        Ok(())
    }

    /// Uses a code up and, when `check` likes what it was made for, creates the grant with its first
    /// refresh token: all in one transaction, so that a parallel or later second use finds the grant and
    /// revokes it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_code(
        &self,
        code_hash: &TokenHash,
        refresh_token: TokenHash,
        refresh_expires_at: Timestamp,
        now: Timestamp,
        check: impl FnOnce(&ClaimedCode) -> bool + Send,
    ) -> Result<CodeClaim, StoreError> {
        let tx = self.conn.begin().await?;
        let claimed = code::Entity::update_many()
            .col_expr(code::Column::UsedAt, Expr::value(to_ms(now)))
            .filter(code::Column::CodeHash.eq(&code_hash.0))
            .filter(code::Column::UsedAt.is_null())
            .filter(code::Column::ExpiresAt.gt(to_ms(now)))
            .exec(&tx)
            .await?
            .rows_affected
            == 1;
        let Some(row) = code::Entity::find_by_id(code_hash.0.clone())
            .one(&tx)
            .await?
        else {
            return Ok(CodeClaim::Invalid);
        };
        let outcome = if claimed {
            let grant_of = row.grant_request();
            let claim = ClaimedCode::from(row);
            if check(&claim) {
                let grant = Self::insert_grant(&tx, grant_of, now).await?;
                Self::insert_refresh_token(&tx, grant, refresh_token, now, refresh_expires_at)
                    .await?;
                code::Entity::update_many()
                    .col_expr(code::Column::GrantId, Expr::value(grant.0))
                    .filter(code::Column::CodeHash.eq(&code_hash.0))
                    .exec(&tx)
                    .await?;
                CodeClaim::Granted(grant, claim)
            } else {
                CodeClaim::Refused(claim)
            }
        } else if row.used_at.is_some() {
            if let Some(grant) = row.grant_id {
                grants::revoke(&tx, grant, now).await?;
            }
            CodeClaim::Reused
        } else {
            CodeClaim::Invalid
        };
        tx.commit().await?;
        Ok(outcome)
    }

    /// Forgets codes that ran out before `before`. Used ones are kept until then: a replay must be seen.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_codes(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done = code::Entity::delete_many()
            .filter(Condition::all().add(code::Column::ExpiresAt.lt(to_ms(before))))
            .exec(&self.conn)
            .await?;
        Ok(done.rows_affected)
    }
}

impl code::Model {
    fn grant_request(&self) -> NewGrant {
        NewGrant {
            user: UserId(self.user_id),
            client_id: self.client_id.clone(),
            kind: self.token_kind,
            client_name: self.client_name.clone(),
        }
    }
}

impl From<code::Model> for ClaimedCode {
    fn from(row: code::Model) -> Self {
        Self {
            user: UserId(row.user_id),
            client_id: row.client_id,
            redirect_uri: row.redirect_uri,
            code_challenge: row.code_challenge,
            kind: row.token_kind,
            client_name: row.client_name,
        }
    }
}
