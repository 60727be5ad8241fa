//! What a company has set about recording.

use std::collections::{BTreeMap, BTreeSet};

use model::{AgentId, NumberId, PauseMode, TenantId};
use sea_orm::{ActiveValue::Set, TransactionTrait, entity::prelude::*, sea_query::OnConflict};

use crate::{Db, StoreError};

mod entity {
    pub(super) mod company {
        use sea_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "recording_settings")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub tenant_id: i64,
            pub incoming: bool,
            pub outgoing: bool,
            pub internal: bool,
            pub agents_may_switch: bool,
            pub pause_mode: String,
            pub conversation_days: Option<i32>,
            pub voicemail_days: Option<i32>,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}
    }

    pub(super) mod number {
        use sea_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "number_recording")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub number_id: i64,
            pub tenant_id: i64,
            pub record: bool,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}
    }

    pub(super) mod agent {
        use sea_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "agent_recording")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub agent_id: i64,
            pub tenant_id: i64,
            pub record: Option<bool>,
            pub may_switch: Option<bool>,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}
    }
}

/// A company's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingSettings {
    /// Keep calls from outside.
    pub incoming: bool,
    /// Keep calls to the outside.
    pub outgoing: bool,
    /// Keep calls between agents.
    pub internal: bool,
    /// Agents may switch recording on and off in their conversations.
    pub agents_may_switch: bool,
    /// What becomes of the parts during which it was off.
    pub pause_mode: PauseMode,
    /// Days after which conversations are deleted; absent: never.
    pub conversation_days: Option<u32>,
    /// Days after which messages are deleted; absent: never.
    pub voicemail_days: Option<u32>,
    /// Numbers that differ from the company's switches.
    pub numbers: BTreeMap<NumberId, bool>,
    /// Agents that differ from the company's switches.
    pub agents: BTreeMap<AgentId, AgentRecording>,
}

/// What differs for one agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentRecording {
    pub record: Option<bool>,
    pub may_switch: Option<bool>,
}

impl Default for RecordingSettings {
    fn default() -> Self {
        Self {
            incoming: true,
            outgoing: true,
            internal: false,
            agents_may_switch: false,
            pause_mode: PauseMode::Cut,
            conversation_days: None,
            voicemail_days: None,
            numbers: BTreeMap::new(),
            agents: BTreeMap::new(),
        }
    }
}

impl Db {
    /// What a company has set; the defaults when it has set nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recording_settings(
        &self,
        tenant: TenantId,
    ) -> Result<RecordingSettings, StoreError> {
        let mut settings = RecordingSettings::default();
        let row = entity::company::Entity::find()
            .filter(entity::company::Column::TenantId.eq(tenant.0))
            .one(&self.conn)
            .await?;
        if let Some(row) = row {
            let days = |days: Option<i32>| days.and_then(|days| u32::try_from(days).ok());
            settings = RecordingSettings {
                incoming: row.incoming,
                outgoing: row.outgoing,
                internal: row.internal,
                agents_may_switch: row.agents_may_switch,
                pause_mode: if row.pause_mode == SILENCE {
                    PauseMode::Silence
                } else {
                    PauseMode::Cut
                },
                conversation_days: days(row.conversation_days),
                voicemail_days: days(row.voicemail_days),
                ..settings
            };
        }
        let numbers = entity::number::Entity::find()
            .filter(entity::number::Column::TenantId.eq(tenant.0))
            .all(&self.conn)
            .await?;
        settings.numbers = numbers
            .into_iter()
            .map(|row| (NumberId(row.number_id), row.record))
            .collect();
        let agents = entity::agent::Entity::find()
            .filter(entity::agent::Column::TenantId.eq(tenant.0))
            .all(&self.conn)
            .await?;
        settings.agents = agents
            .into_iter()
            .map(|row| {
                let rules = AgentRecording {
                    record: row.record,
                    may_switch: row.may_switch,
                };
                (AgentId(row.agent_id), rules)
            })
            .collect();
        Ok(settings)
    }

    /// Replaces all that a company has set. Numbers and agents that are not its own are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_recording_settings(
        &self,
        tenant: TenantId,
        settings: &RecordingSettings,
    ) -> Result<(), StoreError> {
        let agents: BTreeSet<AgentId> =
            self.agents_of(tenant).await?.iter().map(|a| a.id).collect();
        let mut numbers = BTreeSet::new();
        for number in settings.numbers.keys() {
            if self.number(tenant, *number).await?.is_some() {
                numbers.insert(*number);
            }
        }
        let change = self.conn.begin().await?;
        let days = |days: Option<u32>| days.and_then(|days| i32::try_from(days).ok());
        let row = entity::company::ActiveModel {
            tenant_id: Set(tenant.0),
            incoming: Set(settings.incoming),
            outgoing: Set(settings.outgoing),
            internal: Set(settings.internal),
            agents_may_switch: Set(settings.agents_may_switch),
            pause_mode: Set(match settings.pause_mode {
                PauseMode::Cut => CUT.to_owned(),
                PauseMode::Silence => SILENCE.to_owned(),
            }),
            conversation_days: Set(days(settings.conversation_days)),
            voicemail_days: Set(days(settings.voicemail_days)),
        };
        use entity::company::Column;
        let columns = [
            Column::Incoming,
            Column::Outgoing,
            Column::Internal,
            Column::AgentsMaySwitch,
            Column::PauseMode,
            Column::ConversationDays,
            Column::VoicemailDays,
        ];
        entity::company::Entity::insert(row)
            .on_conflict(
                OnConflict::column(Column::TenantId)
                    .update_columns(columns)
                    .to_owned(),
            )
            .exec_without_returning(&change)
            .await?;
        entity::number::Entity::delete_many()
            .filter(entity::number::Column::TenantId.eq(tenant.0))
            .exec(&change)
            .await?;
        for (number, record) in settings
            .numbers
            .iter()
            .filter(|(id, _)| numbers.contains(id))
        {
            let row = entity::number::ActiveModel {
                number_id: Set(number.0),
                tenant_id: Set(tenant.0),
                record: Set(*record),
            };
            entity::number::Entity::insert(row)
                .exec_without_returning(&change)
                .await?;
        }
        entity::agent::Entity::delete_many()
            .filter(entity::agent::Column::TenantId.eq(tenant.0))
            .exec(&change)
            .await?;
        for (agent, rules) in settings.agents.iter().filter(|(id, _)| agents.contains(id)) {
            let row = entity::agent::ActiveModel {
                agent_id: Set(agent.0),
                tenant_id: Set(tenant.0),
                record: Set(rules.record),
                may_switch: Set(rules.may_switch),
            };
            entity::agent::Entity::insert(row)
                .exec_without_returning(&change)
                .await?;
        }
        change.commit().await?;
        Ok(())
    }
}

const CUT: &str = "cut";
const SILENCE: &str = "silence";
