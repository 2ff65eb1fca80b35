//! Whom to trust: the TLS keys of every kind, and the rustls configuration they become. Owns reading and caching of
//! certificates from disk; opens no socket.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::verify::Verifier;

pub use crate::tls::{CLIENT_CERTIFICATE_WANTED, PeerCertificate, TlsConnection, peer_certificate};

/// Which certificates are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The roots of the operating system.
    #[default]
    System,
    /// The certificates of this PEM file, and no others.
    CaFile(PathBuf),
    /// Everything. The reading says so.
    Insecure,
}

/// How to speak TLS with one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsOptions {
    /// Which certificates are believed.
    pub trust: Trust,
    /// PEM files of our own certificate chain and its key.
    pub client_cert: Option<(PathBuf, PathBuf)>,
    /// Name to expect and to send (SNI) in place of the address's host.
    pub server_name: Option<String>,
}

/// Longest path of a file in the configuration, in bytes (Linux PATH_MAX).
const MAX_PATH_BYTES: usize = 4096;
/// Longest host name (RFC 1035 section 2.3.4).
const MAX_NAME_BYTES: usize = 255;
/// Largest PEM file: the roots of a whole operating system take 250 KiB.
const MAX_PEM_BYTES: u64 = 4 * 1024 * 1024;
/// Most configurations kept: one per different set of TLS keys, which are few; when full the cache starts anew.
const MAX_CACHED: usize = 256;

/// The keys that every kind with TLS has. Each kind appends them to its own.
pub const TLS_FIELDS: [Field; 5] = [
    Field::new(
        "tls_trust",
        Type::Choice(&["system", "insecure"]),
        "Which certificates are believed: those the operating system trusts, or any (insecure; shown on every reading).",
    )
    .default("system"),
    Field::new(
        "ca_file",
        Type::Text { max: MAX_PATH_BYTES },
        "PEM file with the only certificates to believe: authorities, or the peer's own self-signed certificate.",
    ),
    Field::new(
        "client_cert",
        Type::Text { max: MAX_PATH_BYTES },
        "PEM file with the certificate to present when the peer asks for one; needs client_key.",
    ),
    Field::new("client_key", Type::Text { max: MAX_PATH_BYTES }, "PEM file with the private key of client_cert."),
    Field::new(
        "server_name",
        Type::Text { max: MAX_NAME_BYTES },
        "Host name to send and to expect in the certificate, when it is not the host of the URL.",
    ),
];

impl TlsOptions {
    /// Reads the keys of [`TLS_FIELDS`] from a section that has them. What contradicts itself becomes a problem.
    #[must_use]
    pub fn read(section: &Section<'_>, problems: &mut Vec<Problem>) -> Self {
        let insecure = section.text("tls_trust").as_deref() == Some("insecure");
        let trust = match (section.text("ca_file"), insecure) {
            (Some(_), true) => {
                problems.push(
                    Problem::new(
                        section.place_of("ca_file"),
                        section.path_of("ca_file"),
                        "ca_file has no effect while tls_trust is insecure",
                    )
                    .with_remedy("remove one of the two"),
                );
                Trust::Insecure
            }
            (Some(file), false) => Trust::CaFile(file.into()),
            (None, true) => Trust::Insecure,
            (None, false) => Trust::System,
        };
        let client_cert = match (section.text("client_cert"), section.text("client_key")) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            (cert, _) => {
                let (there, missing) =
                    if cert.is_some() { ("client_cert", "client_key") } else { ("client_key", "client_cert") };
                problems.push(
                    Problem::new(
                        section.place_of(there),
                        section.path_of(there),
                        format!("{there} is given without {missing}"),
                    )
                    .with_remedy(format!("add {missing}, or remove {there}")),
                );
                None
            }
        };
        Self { trust, client_cert, server_name: section.text("server_name") }
    }

    /// The files by the keys of [`TLS_FIELDS`].
    pub fn named_files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let ca = match &self.trust {
            Trust::CaFile(file) => Some(("ca_file", file.as_path())),
            Trust::System | Trust::Insecure => None,
        };
        let pair = self.client_cert.iter();
        let pair = pair.flat_map(|(cert, key)| [("client_cert", cert.as_path()), ("client_key", key.as_path())]);
        ca.into_iter().chain(pair)
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        self.named_files().map(|(_, file)| file)
    }

    /// Size and change time of every file: a replaced certificate takes effect with the next look.
    fn stamps(&self) -> Vec<Option<(u64, SystemTime)>> {
        self.files()
            .map(|file| std::fs::metadata(file).ok().and_then(|m| Some((m.len(), m.modified().ok()?))))
            .collect()
    }
}

struct Cached {
    stamps: Vec<Option<(u64, SystemTime)>>,
    config: Arc<ClientConfig>,
}

/// Configurations by options. Process-wide because the system's roots are: reading them takes milliseconds.
static CACHE: LazyLock<Mutex<HashMap<TlsOptions, Cached>>> = LazyLock::new(Mutex::default);
static SYSTEM_ROOTS: LazyLock<Result<Arc<RootCertStore>, String>> = LazyLock::new(system_roots);

/// The one TLS implementation of the process, handed around: no process-wide default is ever relied upon.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}

/// The configuration for `options`, if it is at hand and its files have not changed. Costs one `stat` per file.
pub(crate) fn cached(options: &TlsOptions) -> Option<Arc<ClientConfig>> {
    let stamps = options.stamps();
    let cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    cache.get(options).filter(|c| c.stamps == stamps).map(|c| Arc::clone(&c.config))
}

/// The rustls configuration for `options`: TLS 1.2 and 1.3, no resumption (every look checks the certificate anew). Blocks on
/// the disk the first time.
///
/// # Errors
/// Tls, naming the file and what is wrong with it.
pub fn client_config(options: &TlsOptions) -> Result<Arc<ClientConfig>, Fault> {
    if let Some(config) = cached(options) {
        return Ok(config);
    }
    let stamps = options.stamps();
    let config = Arc::new(build(options).map_err(|detail| Fault::new(FaultKind::Tls, Phase::Tls, detail))?);
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if cache.len() >= MAX_CACHED {
        cache.clear();
    }
    cache.insert(options.clone(), Cached { stamps, config: Arc::clone(&config) });
    Ok(config)
}

fn build(options: &TlsOptions) -> Result<ClientConfig, String> {
    let verifier = match &options.trust {
        Trust::System => Verifier::with_roots(SYSTEM_ROOTS.clone()?, Vec::new()),
        Trust::CaFile(file) => {
            let listed = certificates(file)?;
            let mut roots = RootCertStore::empty();
            // What is no usable authority (a version 1 certificate) may still be the peer's own: it stays in the list.
            roots.add_parsable_certificates(listed.iter().cloned());
            Verifier::with_roots(Arc::new(roots), listed)
        }
        Trust::Insecure => Verifier::accepting_everything(),
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &options.client_cert {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(certificates(cert)?, private_key(key)?)
            .map_err(|e| format!("{} and {} do not make a client identity: {e}", cert.display(), key.display()))?,
    };
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn system_roots() -> Result<Arc<RootCertStore>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map_or_else(String::new, |e| format!(" ({e})"));
        return Err(format!("this system has no root certificates{why}; install ca-certificates or name a ca_file"));
    }
    Ok(Arc::new(roots))
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let failed = |e: std::io::Error| format!("{} cannot be read: {e}", file.display());
    // A pipe would block for ever, a device may never end.
    if !std::fs::metadata(file).map_err(failed)?.is_file() {
        return Err(format!("{} is no file", file.display()));
    }
    let mut bytes = Vec::new();
    File::open(file).and_then(|f| f.take(MAX_PEM_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > MAX_PEM_BYTES {
        return Err(format!("{} is larger than {MAX_PEM_BYTES} bytes, the most that are read", file.display()));
    }
    Ok(bytes)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let list = CertificateDer::pem_slice_iter(&read(file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| format!("{} is no PEM file of certificates: {e}", file.display()))?;
    if list.is_empty() {
        return Err(format!("{} holds no certificate in PEM form", file.display()));
    }
    Ok(list)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    // The words of the parser are left out: they must never quote a key.
    PrivateKeyDer::from_pem_slice(&read(file)?)
        .map_err(|_| format!("{} holds no unencrypted private key in PEM form", file.display()))
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
