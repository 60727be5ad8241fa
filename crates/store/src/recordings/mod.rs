//! What companies have set about recordings, how each file fares, and receipts of what was deleted.

mod archive;
mod m037_recordings;
mod m038_sounds;
mod receipts;
mod settings;
mod sounds;
#[cfg(test)]
mod tests;

pub use archive::{Archived, Backlog};
pub use receipts::{Deleted, Receipt};
pub(crate) use receipts::{kind_of, kind_text};
pub use settings::{AgentRecording, RecordingSettings};
pub use sounds::StoredSound;

use sea_orm_migration::prelude::*;

pub(crate) fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(m037_recordings::KeepRecordings),
        Box::new(m038_sounds::CreateSounds),
    ]
}
