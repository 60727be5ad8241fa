//! Files for keeps: a folder of this machine, or a bucket that speaks S3.
//!
//! Knows nothing of what the files hold; whoever puts them here seals them first. Start with [`Archive`].

use std::{ops::Range, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3Builder, S3ConditionalPut},
    buffered::BufWriter,
    local::LocalFileSystem,
    path::Path as Key,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// The name of the archive in the recordings folder itself.
pub const LOCAL: &str = "local";
/// Bytes gathered before they are sent: the least that S3 takes as a part.
const PART: usize = 5 * 1024 * 1024;
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(60);

/// Why something could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The settings name no bucket.
    #[error("{url} is no bucket: write s3://BUCKET or s3://BUCKET/PREFIX")]
    Url {
        /// What was given.
        url: String,
    },
    /// The bucket needs credentials.
    #[error("the bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")]
    Credentials,
    /// There is no such file.
    #[error("{key} is not in the archive")]
    NotFound {
        /// Which.
        key: String,
    },
    /// The store refused, or can't be reached.
    #[error("the archive failed: {0}")]
    Store(#[source] object_store::Error),
}

impl From<object_store::Error> for ArchiveError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { path, .. } => Self::NotFound { key: path },
            error => Self::Store(error),
        }
    }
}

/// A bucket and the way to it.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// `s3://BUCKET/PREFIX`.
    pub url: Url,
    /// Where the service is, for services other than Amazon's.
    pub endpoint: Option<Url>,
    /// Its region.
    pub region: String,
    /// Who we are there.
    pub access_key_id: SecretString,
    /// And the proof of it.
    pub secret_access_key: SecretString,
}

/// A place for files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    name: String,
    prefix: Key,
}

impl Archive {
    /// A folder, which must exist.
    ///
    /// # Errors
    /// When it does not.
    pub fn folder(root: &Path) -> Result<Self, ArchiveError> {
        let store = LocalFileSystem::new_with_prefix(root)?.with_automatic_cleanup(false);
        Ok(Self {
            store: Arc::new(store),
            name: LOCAL.to_owned(),
            prefix: Key::default(),
        })
    }

    /// A bucket. Nothing is sent before the first file.
    ///
    /// # Errors
    /// When the settings are no bucket's.
    pub fn bucket(bucket: &Bucket) -> Result<Self, ArchiveError> {
        let refused = || ArchiveError::Url {
            url: bucket.url.to_string(),
        };
        let name = bucket
            .url
            .host_str()
            .filter(|_| bucket.url.scheme() == "s3")
            .ok_or_else(refused)?;
        let prefix = Key::from_url_path(bucket.url.path()).map_err(|_| refused())?;
        let retry = RetryConfig {
            max_retries: 2,
            retry_timeout: Duration::from_secs(30),
            backoff: BackoffConfig::default(),
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_region(&bucket.region)
            .with_access_key_id(bucket.access_key_id.expose_secret())
            .with_secret_access_key(bucket.secret_access_key.expose_secret())
            .with_conditional_put(S3ConditionalPut::Disabled)
            .with_retry(retry)
            .with_client_options(ClientOptions::new().with_timeout(REQUEST));
        if let Some(endpoint) = &bucket.endpoint {
            builder = builder
                .with_endpoint(endpoint.as_str().trim_end_matches('/'))
                .with_allow_http(endpoint.scheme() == "http");
        }
        Ok(Self {
            store: Arc::new(builder.build()?),
            name: bucket.url.as_str().trim_end_matches('/').to_owned(),
            prefix,
        })
    }

    /// What tells this archive from others: [`LOCAL`], or the bucket's URL.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins a file, which exists once it is finished and replaces one of the same key.
    #[must_use]
    pub fn write(&self, key: &str) -> Writer {
        let writer = BufWriter::with_capacity(Arc::clone(&self.store), self.key(key), PART);
        Writer {
            writer: writer.with_max_concurrency(1),
        }
    }

    /// Reads a part of a file.
    ///
    /// # Errors
    /// When it isn't there, is shorter, or the store fails.
    pub async fn read(&self, key: &str, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        Ok(self.store.get_range(&self.key(key), range).await?)
    }

    /// How long a file is, in bytes.
    ///
    /// # Errors
    /// When it isn't there or the store fails.
    pub async fn length(&self, key: &str) -> Result<u64, ArchiveError> {
        Ok(self.store.head(&self.key(key)).await?.size)
    }

    /// Deletes a file; one that isn't there is deleted already.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete(&self, key: &str) -> Result<(), ArchiveError> {
        match self.store.delete(&self.key(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes, reads and deletes a small file: whether all of that is permitted.
    ///
    /// # Errors
    /// When one of them fails.
    pub async fn probe(&self) -> Result<(), ArchiveError> {
        const KEY: &str = "trunkline-probe";
        let mut writer = self.write(KEY);
        writer.append(Bytes::from_static(b"probe")).await?;
        writer.finish().await?;
        self.read(KEY, 0..5).await?;
        self.delete(KEY).await
    }

    fn key(&self, key: &str) -> Key {
        let parts = self.prefix.parts().chain(key.split('/').map(Into::into));
        parts.collect()
    }
}

/// A file that is being written.
pub struct Writer {
    writer: BufWriter,
}

impl Writer {
    /// Adds bytes.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn append(&mut self, bytes: Bytes) -> Result<(), ArchiveError> {
        Ok(self.writer.put(bytes).await?)
    }

    /// Makes the file exist.
    ///
    /// # Errors
    /// When the store fails; there is no file then.
    pub async fn finish(mut self) -> Result<(), ArchiveError> {
        use tokio::io::AsyncWriteExt;
        let done = self.writer.shutdown().await;
        done.map_err(|error| match error.downcast::<object_store::Error>() {
            Ok(error) => error.into(),
            Err(error) => ArchiveError::Store(object_store::Error::Generic {
                store: "archive",
                source: Box::new(error),
            }),
        })
    }

    /// Gives up; what was sent is removed.
    pub async fn abandon(mut self) {
        // The store forgets unfinished files by itself in the end.
        let _ = self.writer.abort().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_keeps_reads_and_deletes() {
        let folder = tempfile::tempdir().expect("a folder");
        let archive = Archive::folder(folder.path()).expect("an archive");
        archive.probe().await.expect("everything works");
        let mut writer = archive.write("1/2026/a.wav");
        for _ in 0..3 {
            writer
                .append(Bytes::from(vec![7; PART]))
                .await
                .expect("written");
        }
        assert!(archive.length("1/2026/a.wav").await.is_err());
        writer.finish().await.expect("finished");
        let all = 3 * PART as u64;
        assert_eq!(archive.length("1/2026/a.wav").await.expect("there"), all);
        let end = archive
            .read("1/2026/a.wav", all - 2..all)
            .await
            .expect("read");
        assert_eq!(&end[..], [7, 7]);
        archive.delete("1/2026/a.wav").await.expect("deleted");
        archive.delete("1/2026/a.wav").await.expect("deleted twice");
        assert!(matches!(
            archive.length("1/2026/a.wav").await,
            Err(ArchiveError::NotFound { .. })
        ));
    }

    #[test]
    fn what_is_no_bucket_is_refused() {
        let bucket = Bucket {
            url: "https://example.test/a".parse().expect("a url"),
            endpoint: None,
            region: "eu-central-1".to_owned(),
            access_key_id: "a".to_owned().into(),
            secret_access_key: "b".to_owned().into(),
        };
        assert!(matches!(
            Archive::bucket(&bucket),
            Err(ArchiveError::Url { .. })
        ));
        let url = "s3://calls/north".parse().expect("a url");
        let archive = Archive::bucket(&Bucket { url, ..bucket }).expect("a bucket");
        assert_eq!(archive.key("1/a.wav").as_ref(), "north/1/a.wav");
        assert_eq!(archive.name(), "s3://calls/north");
    }
}
