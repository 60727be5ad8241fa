//! The sounds that companies upload: kept in the data folder, played by name.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use calls::flow::{Flow, Prompt};
use media::{
    Sound,
    import::{self, ImportError, RATES},
    wav,
};
use model::{TenantId, Timestamp};
use store::{Db, StoreError, recordings::StoredSound};

/// Largest file that is taken, in bytes.
pub const MOST_BYTES: usize = import::MOST_BYTES;
/// Samples kept in memory: nearly six minutes at both rates, 16 MB.
const MEMORY: usize = 8_000_000;
/// Sounds a company may have.
const MOST_SOUNDS: usize = 500;
/// Longest name, in characters.
const MOST_NAME: usize = 80;
/// Names of sounds that are always there.
pub const BUILT_IN: [&str; 3] = ["music", "beep", "ringback"];

/// Why a sound could not be taken, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum SoundError {
    /// The name can't be used.
    #[error("name: {0}")]
    Name(&'static str),
    /// The name is another sound's.
    #[error("there is a sound named {name:?} already")]
    Taken {
        /// The name.
        name: String,
    },
    /// The company has as many as it may.
    #[error("there are {MOST_SOUNDS} sounds already; delete some that are not used")]
    TooMany,
    /// Call flows play it.
    #[error("{name:?} is played by {}: choose another sound there first", flows.join(", "))]
    Used {
        /// The sound.
        name: String,
        /// The flows' names.
        flows: Vec<String>,
    },
    /// There is no such sound.
    #[error("there is no such sound")]
    NotFound,
    /// The file can't be played.
    #[error("{0}")]
    Import(#[from] ImportError),
    /// The sound can't be written or read.
    #[error("the sound can't be kept: {0}")]
    File(#[from] std::io::Error),
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
}

/// A sound and who plays it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSound {
    /// The sound.
    pub sound: StoredSound,
    /// Names of the flows that play it.
    pub used_by: Vec<String>,
}

/// A name that flows play although there is no such sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingSound {
    /// The name.
    pub name: String,
    /// Names of the flows.
    pub used_by: Vec<String>,
}

/// The uploaded sounds of this server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sounds {
    db: Db,
    root: PathBuf,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    sounds: HashMap<(TenantId, i64), Arc<Sound>>,
    samples: usize,
}

impl Sounds {
    /// Sounds below a folder.
    #[must_use]
    pub fn new(db: Db, root: PathBuf) -> Self {
        Self {
            db,
            root,
            memory: Arc::default(),
        }
    }

    /// A company's sounds with who plays them, and the names that lead nowhere.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(
        &self,
        tenant: TenantId,
    ) -> Result<(Vec<ListedSound>, Vec<MissingSound>), StoreError> {
        let sounds = self.db.sounds(tenant).await?;
        let mut uses = self.uses(tenant).await?;
        let listed = sounds
            .into_iter()
            .map(|sound| ListedSound {
                used_by: uses.remove(&sound.name).unwrap_or_default(),
                sound,
            })
            .collect();
        let mut missing: Vec<_> = uses
            .into_iter()
            .map(|(name, used_by)| MissingSound { name, used_by })
            .collect();
        missing.sort_by(|one, other| one.name.cmp(&other.name));
        Ok((listed, missing))
    }

    /// Takes an uploaded file.
    ///
    /// # Errors
    /// When the name or the file can't be used.
    pub async fn add(
        &self,
        tenant: TenantId,
        name: &str,
        bytes: Vec<u8>,
        now: Timestamp,
    ) -> Result<StoredSound, SoundError> {
        let name = checked(name)?;
        let known = self.db.sounds(tenant).await?;
        if known.len() >= MOST_SOUNDS {
            return Err(SoundError::TooMany);
        }
        let taken = || SoundError::Taken {
            name: name.to_owned(),
        };
        if known.iter().any(|sound| sound.name == name) {
            return Err(taken());
        }
        let imported = tokio::task::spawn_blocking(move || import::import(bytes))
            .await
            .map_err(std::io::Error::other)??;
        let duration_ms = imported.narrow.len() as u64 / 8;
        let sound = self.db.add_sound(tenant, name, duration_ms, now).await?;
        let sound = sound.ok_or_else(taken)?;
        let kept = async {
            tokio::fs::create_dir_all(self.root.join(tenant.to_string())).await?;
            for (rate, samples) in RATES.into_iter().zip([&imported.narrow, &imported.wide]) {
                let path = self.path(&sound, rate);
                let draft = path.with_extension("draft");
                tokio::fs::write(&draft, wav::write_at(samples, rate)).await?;
                tokio::fs::rename(&draft, &path).await?;
            }
            Ok::<_, std::io::Error>(())
        };
        if let Err(error) = kept.await {
            // A row without audio would be a sound that nobody hears.
            self.db.delete_sound(tenant, sound.id).await?;
            return Err(error.into());
        }
        Ok(sound)
    }

    /// Names a sound anew. One that flows play keeps its name.
    ///
    /// # Errors
    /// When it is played, the name can't be used or is taken, or there is no such sound.
    pub async fn rename(&self, tenant: TenantId, id: i64, name: &str) -> Result<(), SoundError> {
        let name = checked(name)?;
        let sound = self.unused(tenant, id).await?;
        if sound.name == name || self.db.rename_sound(tenant, id, name).await? {
            return Ok(());
        }
        Err(SoundError::Taken {
            name: name.to_owned(),
        })
    }

    /// Deletes a sound that no flow plays.
    ///
    /// # Errors
    /// When it is played, or there is no such sound.
    pub async fn delete(&self, tenant: TenantId, id: i64) -> Result<(), SoundError> {
        let sound = self.unused(tenant, id).await?;
        self.db.delete_sound(tenant, id).await?;
        self.forget(tenant, id);
        for rate in RATES {
            match tokio::fs::remove_file(self.path(&sound, rate)).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The file of a sound at 16 kHz, to listen to.
    ///
    /// # Errors
    /// When there is no such sound, or its file is gone.
    pub async fn file(&self, tenant: TenantId, id: i64) -> Result<Vec<u8>, SoundError> {
        let sound = self.db.sound(tenant, id).await?;
        let sound = sound.ok_or(SoundError::NotFound)?;
        Ok(tokio::fs::read(self.path(&sound, RATES[1])).await?)
    }

    /// The samples of a sound, as a call plays them.
    pub(crate) async fn samples(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Arc<Sound>, SoundError> {
        let stored = self.db.sound_named(tenant, name).await?;
        let stored = stored.ok_or(SoundError::NotFound)?;
        let key = (tenant, stored.id);
        if let Some(sound) = self.lock().sounds.get(&key) {
            return Ok(Arc::clone(sound));
        }
        let [narrow, wide] = RATES.map(|rate| self.path(&stored, rate));
        let narrow = tokio::fs::read(narrow).await?;
        let mut sound = wav::read(&narrow).map_err(std::io::Error::other)?;
        // A call without it hears the narrower sound.
        if let Ok(bytes) = tokio::fs::read(wide).await
            && let Ok(Some(wide)) = wav::read(&bytes).map(|sound| sound.wide().map(<[i16]>::to_vec))
        {
            sound = sound.with_wide(wide);
        }
        let sound = Arc::new(sound);
        let mut memory = self.lock();
        if memory.samples + sound.size() > MEMORY {
            // What is played comes back at once; what is not was taking the room.
            *memory = Memory::default();
        }
        memory.samples += sound.size();
        memory.sounds.insert(key, Arc::clone(&sound));
        Ok(sound)
    }

    async fn unused(&self, tenant: TenantId, id: i64) -> Result<StoredSound, SoundError> {
        let sound = self.db.sound(tenant, id).await?;
        let sound = sound.ok_or(SoundError::NotFound)?;
        match self.uses(tenant).await?.remove(&sound.name) {
            None => Ok(sound),
            Some(flows) => Err(SoundError::Used {
                name: sound.name,
                flows,
            }),
        }
    }

    /// Flows by the names of the sounds they play.
    async fn uses(&self, tenant: TenantId) -> Result<HashMap<String, Vec<String>>, StoreError> {
        let mut uses: HashMap<String, Vec<String>> = HashMap::new();
        for stored in self.db.flows(tenant).await? {
            let Ok(flow) = serde_json::from_value::<Flow>(stored.flow) else {
                continue;
            };
            for prompt in flow.steps.values().flat_map(|step| step.prompts()) {
                let Prompt::Sound { name } = prompt else {
                    continue;
                };
                if BUILT_IN.contains(&name.as_str()) {
                    continue;
                }
                let flows = uses.entry(name.clone()).or_default();
                if !flows.contains(&stored.name) {
                    flows.push(stored.name.clone());
                }
            }
        }
        Ok(uses)
    }

    fn path(&self, sound: &StoredSound, rate: u32) -> PathBuf {
        let file = format!("{}-{}k.wav", sound.id, rate / 1_000);
        self.root.join(sound.tenant.to_string()).join(file)
    }

    fn forget(&self, tenant: TenantId, id: i64) {
        let mut memory = self.lock();
        if let Some(sound) = memory.sounds.remove(&(tenant, id)) {
            memory.samples -= sound.size();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn checked(name: &str) -> Result<&str, SoundError> {
    let name = name.trim();
    if name.is_empty() {
        return Err(SoundError::Name("a sound needs a name"));
    }
    if name.chars().count() > MOST_NAME {
        return Err(SoundError::Name("it is longer than 80 characters"));
    }
    if name.chars().any(char::is_control) {
        return Err(SoundError::Name("it holds control characters"));
    }
    if BUILT_IN.contains(&name) {
        return Err(SoundError::Name("this is the name of a built-in sound"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use media::tone;
    use store::{company::NewTenant, directory::NewFlow};

    use super::*;

    #[tokio::test]
    async fn a_sound_is_taken_played_renamed_and_deleted_unless_a_flow_plays_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open_file(&folder.path().join("t.db"))
            .await
            .expect("open");
        let new = NewTenant {
            name: "Acme".into(),
            time_zone: "UTC".into(),
            country_code: "SK".into(),
        };
        let tenant = db.create_tenant(new, store::now()).await.expect("made").id;
        let sounds = Sounds::new(db.clone(), folder.path().join("sounds"));
        let beep = wav::write(&tone::beep());
        let now = store::now();
        let added = sounds.add(tenant, " Welcome ", beep.clone(), now).await;
        let added = added.expect("taken");
        assert_eq!((added.name.as_str(), added.duration_ms), ("Welcome", 400));
        let played = sounds.samples(tenant, "Welcome").await.expect("there");
        assert!(played.samples() == tone::beep().samples());
        assert!(played.wide().is_some_and(|wide| wide.len() == 6_400));
        assert!(sounds.file(tenant, added.id).await.expect("there").len() > 12_000);
        let other = TenantId(tenant.0 + 1);
        assert!(matches!(
            sounds.samples(other, "Welcome").await,
            Err(SoundError::NotFound)
        ));
        for (name, bytes) in [
            ("Welcome", &beep),
            ("music", &beep),
            ("", &beep),
            ("New", &vec![1]),
        ] {
            assert!(sounds.add(tenant, name, bytes.clone(), now).await.is_err());
        }

        let flow = serde_json::json!({"id": 0, "start": "a", "steps": {
            "a": {"type": "play", "prompt": {"type": "sound", "name": "Welcome"}, "next": "b"},
            "b": {"type": "play", "prompt": {"type": "sound", "name": "Gone"}},
        }});
        let new = NewFlow {
            name: "Main".to_owned(),
            flow,
        };
        let flow = db.add_flow(tenant, new, now).await.expect("added");
        let (listed, missing) = sounds.list(tenant).await.expect("listed");
        assert_eq!(listed[0].used_by, ["Main"]);
        assert_eq!((missing.len(), missing[0].name.as_str()), (1, "Gone"));
        let refused = sounds.delete(tenant, added.id).await;
        assert!(matches!(refused, Err(SoundError::Used { .. })));
        assert!(sounds.rename(tenant, added.id, "Hello").await.is_err());
        db.delete_flow(tenant, flow).await.expect("deleted");
        sounds
            .rename(tenant, added.id, "Hello")
            .await
            .expect("renamed");
        assert!(sounds.samples(tenant, "Welcome").await.is_err());
        sounds.delete(tenant, added.id).await.expect("deleted");
        assert!(sounds.list(tenant).await.expect("listed").0.is_empty());
    }
}
