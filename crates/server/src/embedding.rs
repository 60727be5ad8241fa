//! The embedding model that helps finding actions, where the operator has one.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use async_trait::async_trait;
use connector::search::StaticModel;
use gateway::{EmbedError, Embedder, Gateway, Purpose, RemoteEmbedder};
use outbound::Outbound;
use sha2::{Digest as _, Sha256};

use crate::config::{Config, SearchModel};

/// Until the actions are embedded, a server that can't be reached is asked again so often.
const AGAIN: Duration = Duration::from_secs(60);

/// The operator's model, if any: a folder, or a server whose vectors are kept in the data folder.
///
/// # Errors
/// When the folder holds no model.
pub fn embedder(config: &Config, outbound: &Outbound) -> anyhow::Result<Option<Arc<dyn Embedder>>> {
    if let SearchModel::Folder(folder) = &config.search_model {
        return Ok(Some(Arc::new(read_model(folder)?)));
    }
    Ok(config.search_embeddings.clone().map(|remote| {
        let name = format!("{} {}", remote.url, remote.model);
        let inner = RemoteEmbedder::new(outbound.clone(), remote.url, remote.model, remote.key);
        let kept: Arc<dyn Embedder> = Arc::new(Kept {
            inner,
            name,
            folder: config.data.join("embeddings"),
        });
        kept
    }))
}

/// Reads a static embedding model: `tokenizer.json` and `model.safetensors` in a folder.
///
/// # Errors
/// When one is missing or is not what it should be.
pub fn read_model(folder: &Path) -> anyhow::Result<StaticModel> {
    let at = |name: &str| folder.join(name);
    let tokenizer = at("tokenizer.json");
    let tokenizer = fs::read_to_string(&tokenizer)
        .with_context(|| format!("can't read {}", tokenizer.display()))?;
    let tensors = at("model.safetensors");
    let tensors =
        fs::read(&tensors).with_context(|| format!("can't read {}", tensors.display()))?;
    StaticModel::parse(&tokenizer, &tensors)
        .with_context(|| format!("{} holds no static embedding model", folder.display()))
}

/// Has the actions embedded; while that fails, words stand alone.
pub async fn understand(gateway: Gateway, embedder: Arc<dyn Embedder>, budget: Duration) {
    while let Err(error) = gateway.understand(embedder.clone(), budget).await {
        tracing::warn!(error = %chain(&error), "actions are not embedded yet; search goes by the bundled model");
        tokio::time::sleep(AGAIN).await;
    }
    tracing::info!("search goes by words and the operator's model");
}

fn chain(error: &EmbedError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A model whose vectors of actions are kept in files named for model and text.
struct Kept {
    inner: RemoteEmbedder,
    name: String,
    folder: PathBuf,
}

impl Kept {
    fn file(&self, text: &str) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(self.name.as_bytes());
        hash.update([0]);
        hash.update(text.as_bytes());
        self.folder.join(hex::encode(hash.finalize()))
    }
}

#[async_trait]
impl Embedder for Kept {
    async fn embed(&self, texts: &[String], purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        if purpose == Purpose::Intent {
            return self.inner.embed(texts, purpose).await;
        }
        let mut known: Vec<Option<Vec<f32>>> =
            texts.iter().map(|text| read(&self.file(text))).collect();
        let missing: Vec<String> = texts
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none())
            .map(|(text, _)| text.clone())
            .collect();
        let mut new = self.inner.embed(&missing, purpose).await?.into_iter();
        for (text, known) in texts.iter().zip(&mut known) {
            if known.is_none()
                && let Some(vector) = new.next()
            {
                // A vector that can't be kept is asked for again at the next start.
                if let Err(error) = write(&self.file(text), &vector) {
                    tracing::warn!(%error, "a vector can't be kept");
                }
                *known = Some(vector);
            }
        }
        Ok(known.into_iter().flatten().collect())
    }
}

fn read(file: &Path) -> Option<Vec<f32>> {
    let bytes = fs::read(file).ok().filter(|bytes| !bytes.is_empty())?;
    let (values, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| {
        values
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect()
    })
}

fn write(file: &Path, vector: &[f32]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let new = file.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(new, file)
}
