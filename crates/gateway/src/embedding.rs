//! Search by meaning with an embedding model of the operator's own.
//!
//! Actions are embedded once, in the background; an intent is embedded while somebody waits. What takes longer
//! than its time is left out, and the bundled model stands in, which is part of every index.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use connector::search::{StaticModel, normalised, text_for_embedding};
use http::{HeaderValue, Method, header};
use outbound::{Allow, AllowEntry, Outbound, OutboundRequest, RequestBody};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::Gateway;

/// Texts in one request to a remote model.
const BATCH: usize = 64;
/// Largest answer: 64 vectors of 4,096 values as JSON, with room.
const LARGEST_ANSWER: u64 = 8 * 1024 * 1024;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An action's description, embedded once.
    Action,
    /// What somebody asks for; never kept.
    Intent,
}

/// No vectors came.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The model's server can't be reached, or does not answer in time.
    #[error("the embedding server can't be reached")]
    Unreachable(#[source] outbound::OutboundError),
    /// It answered, but not with vectors.
    #[error("the embedding server answered with {0}")]
    Answer(String),
    /// The vectors don't fit.
    #[error(transparent)]
    Vectors(#[from] connector::search::VectorsError),
}

/// Makes vectors of texts.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// One vector for each text, in the same order, all of one length.
    ///
    /// # Errors
    /// When the model can't be reached or does not answer with vectors.
    async fn embed(&self, texts: &[String], purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError>;
}

#[async_trait]
impl Embedder for StaticModel {
    async fn embed(&self, texts: &[String], _: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts
            .iter()
            .map(|text| StaticModel::embed(self, text))
            .collect())
    }
}

/// A server with the widespread interface `POST /v1/embeddings`.
pub struct RemoteEmbedder {
    outbound: Outbound,
    url: Url,
    model: String,
    key: Option<SecretString>,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Embedded>,
}

#[derive(Deserialize)]
struct Embedded {
    index: usize,
    embedding: Vec<f32>,
}

impl RemoteEmbedder {
    /// The full URL of the interface, the model's name there, and a key if it wants one.
    #[must_use]
    pub fn new(outbound: Outbound, url: Url, model: String, key: Option<SecretString>) -> Self {
        Self {
            outbound,
            url,
            model,
            key,
        }
    }

    async fn batch(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut request = OutboundRequest::new(Method::POST, self.url.clone());
        request.max_response_bytes = LARGEST_ANSWER;
        // The operator named this address himself, so it may be a private one.
        if let Some(origin) = AllowEntry::origin_of(&self.url) {
            request.allow = Allow::nothing().and(origin);
        }
        let json = HeaderValue::from_static("application/json");
        request.headers.insert(header::CONTENT_TYPE, json);
        if let Some(key) = &self.key {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()));
            let mut value = value.map_err(|_| {
                EmbedError::Answer("nothing: the key has characters no header may have".to_owned())
            })?;
            value.set_sensitive(true);
            request.headers.insert(header::AUTHORIZATION, value);
        }
        let body = json!({ "model": self.model, "input": texts, "encoding_format": "float" });
        request.body = RequestBody::Bytes(Bytes::from(body.to_string()));
        let response = self.outbound.send(request).await;
        let response = response.map_err(EmbedError::Unreachable)?;
        if !response.status.is_success() {
            return Err(EmbedError::Answer(format!("status {}", response.status)));
        }
        let bytes = response.body.bytes().await;
        let bytes = bytes.map_err(EmbedError::Unreachable)?;
        let mut answer: Answer = serde_json::from_slice(&bytes)
            .map_err(|error| EmbedError::Answer(format!("something else: {error}")))?;
        answer.data.sort_by_key(|embedded| embedded.index);
        if answer.data.len() != texts.len() {
            return Err(EmbedError::Answer(format!(
                "{} vectors for {} texts",
                answer.data.len(),
                texts.len()
            )));
        }
        Ok(answer
            .data
            .into_iter()
            .map(|embedded| embedded.embedding)
            .collect())
    }
}

#[async_trait]
impl Embedder for RemoteEmbedder {
    async fn embed(&self, texts: &[String], _: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            vectors.extend(self.batch(batch).await?);
        }
        Ok(vectors)
    }
}

/// The model in use, and how long an intent may take it.
pub(crate) struct Understanding {
    embedder: Arc<dyn Embedder>,
    budget: Duration,
}

impl Gateway {
    /// From now on search goes by words alone, without the bundled model.
    pub fn search_by_words_alone(&self) {
        let _ = self.inner.words_alone.set(());
    }

    pub(crate) fn by_words_alone(&self) -> bool {
        self.inner.words_alone.get().is_some()
    }

    /// Has the actions of all connectors embedded, and from then on intents too. Until it returns, and whenever
    /// the model takes longer than `budget`, the bundled one stands in. A second model is not taken.
    ///
    /// # Errors
    /// When the model makes no vectors for the actions.
    pub async fn understand(
        &self,
        embedder: Arc<dyn Embedder>,
        budget: Duration,
    ) -> Result<(), EmbedError> {
        for connector in self.inner.catalog.connectors() {
            let actions = connector.manifest.actions.iter();
            let texts: Vec<String> = actions
                .map(|action| text_for_embedding(&action.search_doc()))
                .collect();
            let vectors = embedder.embed(&texts, Purpose::Action).await?;
            connector.set_meaning(vectors)?;
        }
        let _ = self
            .inner
            .understanding
            .set(Understanding { embedder, budget });
        Ok(())
    }

    /// The vector of an intent, where there is a model and it answers in time.
    pub(crate) async fn meant(&self, intent: &str) -> Option<Vec<f32>> {
        let understanding = self.inner.understanding.get()?;
        let texts = [intent.to_owned()];
        let asked = understanding.embedder.embed(&texts, Purpose::Intent);
        match tokio::time::timeout(understanding.budget, asked).await {
            Ok(Ok(vectors)) => vectors.into_iter().next().map(normalised),
            Ok(Err(error)) => {
                tracing::debug!(%error, "an intent was not embedded; the bundled model stands in");
                None
            }
            Err(_) => None,
        }
    }
}
