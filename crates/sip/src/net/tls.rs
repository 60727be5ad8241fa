//! The certificate TLS listeners show, read again when its files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::Certificate;

/// Why a certificate cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{file} cannot be read as PEM")]
    File {
        file: PathBuf,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    #[error("{file} holds no certificate")]
    Empty { file: PathBuf },
    #[error("the key in {file} cannot be used with the certificate")]
    Key {
        file: PathBuf,
        #[source]
        source: rustls::Error,
    },
}

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct Shown {
    files: Certificate,
    now: RwLock<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    key: Arc<CertifiedKey>,
    changed: Changed,
}

/// When both files were written last.
type Changed = (Option<SystemTime>, Option<SystemTime>);

impl Shown {
    pub fn load(files: Certificate) -> Result<Arc<Self>, CertificateError> {
        let changed = changed(&files);
        let key = Arc::new(read(&files)?);
        Ok(Arc::new(Self {
            files,
            now: RwLock::new(Loaded { key, changed }),
        }))
    }

    /// What accepts connections with it, now and after any change.
    pub fn acceptor(self: &Arc<Self>) -> TlsAcceptor {
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider serves the default versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        TlsAcceptor::from(Arc::new(config))
    }

    /// Reads the files again if they changed. Files that are no good, or half
    /// written, leave the old certificate in use until they change again.
    pub fn refresh(&self) {
        let changed = changed(&self.files);
        if self
            .now
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .changed
            == changed
        {
            return;
        }
        let read = read(&self.files);
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        now.changed = changed;
        match read {
            Ok(key) => {
                now.key = Arc::new(key);
                tracing::info!(file = %self.files.chain.display(), "a new certificate is shown");
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the new certificate cannot be used, the old one is shown on"
            ),
        }
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&now.key))
    }
}

/// Whom a TLS connection of ours must reach.
#[derive(Debug)]
pub(crate) struct TlsPeer {
    /// The name its certificate must show.
    pub name: ServerName<'static>,
    pub config: Arc<rustls::ClientConfig>,
    /// Name and trust: connections are shared only where both are the same.
    pub identity: Arc<str>,
}

impl TlsPeer {
    /// A peer of this name, vouched for by the authorities in a file or, without
    /// one, by the system's.
    ///
    /// # Errors
    /// In words: when the name is none, or there is no authority to trust.
    pub fn new(name: &str, authorities: Option<&Path>) -> Result<Self, String> {
        let host = ServerName::try_from(name.to_owned());
        let host = host.map_err(|_| format!("{name:?} is not a name a certificate can show"))?;
        let mut roots = rustls::RootCertStore::empty();
        match authorities {
            Some(file) => {
                let read = CertificateDer::pem_file_iter(file)
                    .and_then(Iterator::collect::<Result<Vec<_>, _>>);
                let read = read.map_err(|error| format!("{}: {error}", file.display()))?;
                roots.add_parsable_certificates(read);
            }
            None => {
                let system = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(system.certs);
            }
        }
        if roots.is_empty() {
            return Err(match authorities {
                Some(file) => format!("{} holds no certificate", file.display()),
                None => {
                    "this system has no certificate authorities (package ca-certificates)".into()
                }
            });
        }
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider serves the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let file = authorities.map_or_else(String::new, |file| file.display().to_string());
        Ok(Self {
            identity: format!("{name} {file}").into(),
            name: host,
            config: Arc::new(config),
        })
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn changed(files: &Certificate) -> Changed {
    let of = |file: &Path| std::fs::metadata(file).and_then(|m| m.modified()).ok();
    (of(&files.chain), of(&files.key))
}

fn read(files: &Certificate) -> Result<CertifiedKey, CertificateError> {
    let unreadable = |file: &PathBuf| {
        let file = file.clone();
        move |source| CertificateError::File { file, source }
    };
    let chain = CertificateDer::pem_file_iter(&files.chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(&files.chain))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty {
            file: files.chain.clone(),
        });
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable(&files.key))?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|source| CertificateError::Key {
        file: files.key.clone(),
        source,
    })
}
