//! The TLS handshake and its failures in words. Owns what one connection learned about its peer; whom to trust is decided in
//! [`crate::trust`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Reading, fact};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, InvalidMessage, OtherError, SignatureScheme};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tcp::Tcp;
use crate::trust::{self, TlsOptions, Trust};
pub use crate::verify::PeerCertificate;
use crate::verify::Rejected;

/// A TLS connection with what its handshake told.
pub struct TlsConnection {
    pub(crate) stream: TlsStream<Tcp>,
    asked: Option<Arc<Asked>>,
}

impl TlsConnection {
    /// Whether the peer asked for a client certificate and we had none to show.
    #[must_use]
    pub fn lacks_client_certificate(&self) -> bool {
        self.asked.as_ref().is_some_and(|a| a.0.load(Ordering::Relaxed))
    }
}

/// The certificate that the peer presented; `None` when it cannot be read.
#[must_use]
pub fn peer_certificate(connection: &TlsConnection) -> Option<PeerCertificate> {
    let list = connection.stream.get_ref().1.peer_certificates()?;
    PeerCertificate::parse(list.first()?)
}

/// Remembers that the server asked for a certificate. There is none.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl ResolvesClientCert for Asked {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Speaks TLS over `tcp` and notes certificate and version in `reading`, the certificate also when it is refused.
pub(crate) async fn handshake(
    tcp: Tcp,
    host: &str,
    options: &TlsOptions,
    reading: &mut Reading,
) -> Result<TlsConnection, Fault> {
    let config = match trust::cached(options) {
        Some(config) => config,
        None => load(options.clone()).await?,
    };
    let name = options.server_name.as_deref().unwrap_or(host);
    let server_name = ServerName::try_from(name.to_owned())
        .map_err(|_| tls_fault(format!("{name} is no host name that a certificate could be for")))?;
    let (config, asked) = if options.client_cert.is_none() {
        let asked = Arc::new(Asked::default());
        let mut own = ClientConfig::clone(&config);
        own.client_auth_cert_resolver = Arc::clone(&asked) as Arc<dyn ResolvesClientCert>;
        (Arc::new(own), Some(asked))
    } else {
        (config, None)
    };
    if options.trust == Trust::Insecure {
        reading.flag(fact::CERT_UNCHECKED, true);
    }
    match TlsConnector::from(config).connect(server_name, tcp).await {
        Ok(stream) => {
            let connection = TlsConnection { stream, asked };
            if let Some(certificate) = peer_certificate(&connection) {
                reading.time(fact::CERT_EXPIRES_AT, certificate.not_after);
            }
            if let Some(version) = connection.stream.get_ref().1.protocol_version() {
                reading.text(fact::TLS_VERSION, version_text(version));
            }
            Ok(connection)
        }
        Err(error) => {
            if let Some(certificate) = rejected(&error).and_then(|r| r.certificate.as_ref()) {
                reading.time(fact::CERT_EXPIRES_AT, certificate.not_after);
            }
            let asked = asked.is_some_and(|a| a.0.load(Ordering::Relaxed));
            Err(handshake_fault(&error, asked))
        }
    }
}

async fn load(options: TlsOptions) -> Result<Arc<ClientConfig>, Fault> {
    tokio::task::spawn_blocking(move || trust::client_config(&options)).await.unwrap_or_else(|_| {
        Err(Fault::new(FaultKind::Internal, Phase::Tls, "reading the certificates was interrupted"))
    })
}

fn version_text(version: rustls::ProtocolVersion) -> String {
    match version {
        rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2".to_owned(),
        rustls::ProtocolVersion::TLSv1_3 => "TLSv1.3".to_owned(),
        other => format!("{other:?}"),
    }
}

fn tls_fault(detail: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Tls, Phase::Tls, detail)
}

fn handshake_fault(error: &io::Error, asked: bool) -> Fault {
    let alert = tls_error(error).is_some_and(|e| matches!(e, Error::AlertReceived(_)));
    if asked && (alert || error.kind() == io::ErrorKind::UnexpectedEof) {
        return tls_fault(CLIENT_CERTIFICATE_WANTED);
    }
    let mut fault = crate::dial::io_fault(Phase::Tls, error);
    if error.kind() == io::ErrorKind::UnexpectedEof {
        fault.detail = "the peer closed the connection during the TLS handshake".to_owned();
    }
    fault
}

/// The sentence for a server that wants to see a certificate of ours.
pub const CLIENT_CERTIFICATE_WANTED: &str = "the server demands a client certificate; set client_cert and client_key";

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

fn rejected(error: &io::Error) -> Option<&Rejected> {
    match tls_error(error)? {
        Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner.downcast_ref::<Rejected>(),
        _ => None,
    }
}

/// The fault for an error of TLS; `None` when it is none.
pub(crate) fn fault_of(phase: Phase, error: &io::Error) -> Option<Fault> {
    if let Some(rejected) = rejected(error) {
        return Some(Fault::new(FaultKind::Tls, phase, rejected.words.clone()));
    }
    let words = match tls_error(error)? {
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            "the peer does not speak TLS on this port".to_owned()
        }
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => "the peer sent malformed TLS".to_owned(),
        Error::AlertReceived(alert) => alert_words(*alert),
        Error::PeerIncompatible(why) => format!("the peer speaks no TLS that is accepted here, 1.2 or later: {why:?}"),
        Error::PeerMisbehaved(why) => format!("the peer breaks the rules of TLS: {why:?}"),
        other => format!("TLS failed: {other}"),
    };
    Some(Fault::new(FaultKind::Tls, phase, words))
}

fn alert_words(alert: AlertDescription) -> String {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired => CLIENT_CERTIFICATE_WANTED.to_owned(),
        A::BadCertificate | A::UnsupportedCertificate | A::CertificateUnknown | A::UnknownCA | A::AccessDenied => {
            format!("the server refuses our client certificate ({alert:?})")
        }
        A::CertificateExpired => "the server says that our client certificate has expired".to_owned(),
        A::ProtocolVersion => "the server speaks no TLS version that is accepted here (1.2 or later)".to_owned(),
        A::HandshakeFailure => "the server refused the handshake: no cipher or key type in common".to_owned(),
        A::UnrecognisedName => "the server knows no host of this name".to_owned(),
        other => format!("the server ended the handshake with the alert {other:?}"),
    }
}
