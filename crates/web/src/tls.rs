//! The server's own certificate: read from its files, and read again when they change, so that a renewed certificate needs
//! no restart. A renewal that cannot be read changes nothing.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use engine::config::Tls;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::Instant;

/// The files are looked at for a change at most this often.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Largest file of certificates or keys.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// What shows that a file is another: time of change and size.
type Marks = [Option<(SystemTime, u64)>; 2];

struct Loaded {
    config: Arc<ServerConfig>,
    marks: Marks,
    looked_at: Instant,
}

/// The certificate in use.
pub struct Certificate {
    files: Tls,
    loaded: Mutex<Loaded>,
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn load(files: Tls) -> Result<Self, String> {
        let (marks, config) = (marks(&files), read(&files)?);
        Ok(Self { files, loaded: Mutex::new(Loaded { config, marks, looked_at: Instant::now() }) })
    }

    /// The configuration for the next connection. Looks at the files when they were not looked at for a while.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.looked_at.elapsed() >= LOOK_EVERY {
            loaded.looked_at = Instant::now();
            self.renew(&mut loaded);
        }
        Arc::clone(&loaded.config)
    }

    fn renew(&self, loaded: &mut Loaded) {
        let marks = marks(&self.files);
        if marks == loaded.marks {
            return;
        }
        match read(&self.files) {
            Ok(config) => {
                tracing::info!(cert = %self.files.cert.display(), "the server's certificate was read again");
                (loaded.config, loaded.marks) = (config, marks);
            }
            // Perhaps only one of the two files is written yet: the next look decides.
            Err(why) => tracing::warn!("the server's certificate changed and cannot be used, the old one stays: {why}"),
        }
    }
}

fn marks(files: &Tls) -> Marks {
    [&files.cert, &files.key].map(|path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    })
}

fn read(files: &Tls) -> Result<Arc<ServerConfig>, String> {
    let bad = |path: &Path, why: String| format!("{}: {why}", path.display());
    let pem = |path: &Path| {
        let size = std::fs::metadata(path).map_err(|e| bad(path, e.to_string()))?.len();
        if size > MAX_PEM_BYTES {
            return Err(bad(path, format!("{size} bytes are too many for a PEM file")));
        }
        std::fs::read(path).map_err(|e| bad(path, e.to_string()))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem(&files.cert)?).collect();
    let chain = chain.map_err(|e| bad(&files.cert, format!("no certificate in PEM form: {e}")))?;
    if chain.is_empty() {
        return Err(bad(&files.cert, "holds no certificate in PEM form".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem(&files.key)?);
    let key = key.map_err(|_| bad(&files.key, "holds no private key in PEM form".to_owned()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| e.to_string())?.with_no_client_auth();
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|e| bad(&files.cert, format!("certificate and key do not fit: {e}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
