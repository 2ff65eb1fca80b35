//! Judging the peer's certificate, and keeping what it says also when it is refused. Owns the sentences about certificates;
//! opens nothing.

use std::fmt;
use std::sync::Arc;

use model::time::UtcMs;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::trust::provider;

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// First moment at which it is valid.
    pub not_before: UtcMs,
    /// Last moment at which it is valid.
    pub not_after: UtcMs,
    /// Whom it is for, as `CN=host, O=owner`; cut at 200 bytes.
    pub subject: String,
    /// Who vouches for it, in the same form.
    pub issuer: String,
    /// Host names and addresses it is for, at most eight.
    pub names: Vec<String>,
}

/// Longest name of a subject or host that is kept, in bytes: the peer chooses it.
const MAX_NAME_BYTES: usize = 200;
/// Most host names kept: certificates of large sites list hundreds.
const MAX_NAMES: usize = 8;

impl PeerCertificate {
    /// Reads a certificate; `None` when it is none.
    #[must_use]
    pub fn parse(der: &[u8]) -> Option<Self> {
        let (_, found) = X509Certificate::from_der(der).ok()?;
        let validity = found.validity();
        let names = found.subject_alternative_name().ok().flatten().map_or_else(Vec::new, |list| {
            list.value.general_names.iter().filter_map(name_text).take(MAX_NAMES).collect()
        });
        Some(Self {
            not_before: UtcMs(validity.not_before.timestamp().saturating_mul(1000)),
            not_after: UtcMs(validity.not_after.timestamp().saturating_mul(1000)),
            subject: tame(&found.subject().to_string()),
            issuer: tame(&found.issuer().to_string()),
            names,
        })
    }

    fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }

    /// What is wrong with its time of validity at `now`, in words.
    fn out_of_time(&self, now: UtcMs) -> Option<String> {
        if now > self.not_after {
            return Some(format!("the certificate expired {} ago", span(now, self.not_after)));
        }
        (now < self.not_before)
            .then(|| format!("the certificate is not valid yet, only in {}", span(self.not_before, now)))
    }
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) => Some(tame(text)),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| std::net::Ipv4Addr::from(b).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|b| std::net::Ipv6Addr::from(b).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// Text chosen by a peer, without control characters and cut.
fn tame(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > MAX_NAME_BYTES {
            break;
        }
        out.push(c);
    }
    out
}

/// The time from `earlier` to `later` in its greatest whole unit, in words.
fn span(later: UtcMs, earlier: UtcMs) -> String {
    let seconds = later.since(earlier).as_secs();
    let (count, unit) = match seconds {
        s if s >= 86_400 => (s / 86_400, "day"),
        s if s >= 3600 => (s / 3600, "hour"),
        s => (s / 60, "minute"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Why a certificate was refused, with its facts. Travels inside rustls' error, so that nothing is shared between connections.
#[derive(Debug)]
pub(crate) struct Rejected {
    /// One sentence.
    pub(crate) words: String,
    /// What the certificate says; `None` when it could not even be read.
    pub(crate) certificate: Option<PeerCertificate>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Rejected {}

/// Whom the verifier believes.
#[derive(Debug)]
struct Believed {
    roots: Arc<RootCertStore>,
    /// Certificates of the CA file: one that the peer presents itself is believed as it is. Devices have self-signed
    /// certificates that are marked as authorities, which webpki refuses as `CaUsedAsEndEntity`.
    pinned: Vec<CertificateDer<'static>>,
}

/// rustls' hook for server certificates.
#[derive(Debug)]
pub(crate) struct Verifier {
    believed: Option<Believed>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Believes what `roots` vouch for, and the `pinned` certificates themselves.
    pub(crate) fn with_roots(roots: Arc<RootCertStore>, pinned: Vec<CertificateDer<'static>>) -> Self {
        let algorithms = provider().signature_verification_algorithms;
        Self { believed: Some(Believed { roots, pinned }), algorithms }
    }

    /// Believes everything, signatures included: whoever is in the middle may as well present a certificate of their own.
    pub(crate) fn accepting_everything() -> Self {
        Self { believed: None, algorithms: provider().signature_verification_algorithms }
    }

    /// A signature of the handshake: as `verify` judges it, or good unseen where everything is believed.
    fn signature(
        &self,
        verify: impl FnOnce(&WebPkiSupportedAlgorithms) -> Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.believed.is_none() { Ok(HandshakeSignatureValid::assertion()) } else { verify(&self.algorithms) }
    }

    fn check(
        &self,
        believed: &Believed,
        presented: Presented<'_>,
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), String> {
        let facts = presented.facts;
        let parsed = ParsedCertificate::try_from(presented.end_entity).map_err(|e| unusable(&e))?;
        if believed.pinned.contains(presented.end_entity) {
            let now = UtcMs(i64::try_from(now.as_secs().saturating_mul(1000)).unwrap_or(i64::MAX));
            if let Some(words) = facts.and_then(|f| f.out_of_time(now)) {
                return Err(words);
            }
            // Where it names no host at all, being the very certificate of the file is all there is to compare.
            if facts.is_some_and(|f| f.names.is_empty()) {
                return Ok(());
            }
        } else {
            let intermediates = presented.intermediates;
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &believed.roots,
                intermediates,
                now,
                self.algorithms.all,
            )
            .map_err(|e| chain_words(&e, facts, now))?;
        }
        verify_server_name(&parsed, server_name).map_err(|_| name_words(facts, server_name))
    }
}

/// What the peer showed.
#[derive(Clone, Copy)]
struct Presented<'a> {
    end_entity: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
    facts: Option<&'a PeerCertificate>,
}

fn unusable(error: &Error) -> String {
    let text = format!("{error:?}");
    if text.contains("UnsupportedCertVersion") {
        "the certificate is of X.509 version 1, which only tls_trust: insecure accepts".to_owned()
    } else {
        "the certificate cannot be read".to_owned()
    }
}

/// The sentence for a certificate that nobody believed vouches for.
fn chain_words(error: &Error, facts: Option<&PeerCertificate>, now: UnixTime) -> String {
    use CertificateError as C;
    let Error::InvalidCertificate(error) = error else { return format!("the certificate cannot be checked: {error}") };
    let now = UtcMs(i64::try_from(now.as_secs().saturating_mul(1000)).unwrap_or(i64::MAX));
    let timely = facts.and_then(|f| f.out_of_time(now));
    match (error, facts) {
        (C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. }, _) => {
            timely.unwrap_or_else(|| "a certificate of the issuers is outside of its time of validity".to_owned())
        }
        (_, Some(f)) if f.is_self_signed() => {
            format!("the certificate is self-signed by {}; name it as ca_file to trust it", f.subject)
        }
        (C::UnknownIssuer, Some(f)) => format!("the certificate is issued by {}, which is not trusted", f.issuer),
        (C::InvalidPurpose | C::InvalidPurposeContext { .. }, _) => {
            "the certificate is not meant for servers".to_owned()
        }
        (C::Revoked, _) => "the certificate is revoked".to_owned(),
        (C::BadSignature, _) => "the signature on the certificate is wrong".to_owned(),
        (other, _) => format!("the certificate is refused: {other}"),
    }
}

fn name_words(facts: Option<&PeerCertificate>, wanted: &ServerName<'_>) -> String {
    let wanted = wanted.to_str();
    match facts {
        Some(f) if !f.names.is_empty() => format!("the certificate is for {} and not for {wanted}", f.names.join(", ")),
        Some(f) => {
            format!("the certificate names no host, only its subject {}; name it as ca_file to trust it", f.subject)
        }
        None => format!("the certificate is not for {wanted}"),
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(believed) = &self.believed else { return Ok(ServerCertVerified::assertion()) };
        let certificate = PeerCertificate::parse(end_entity);
        let presented = Presented { end_entity, intermediates, facts: certificate.as_ref() };
        match self.check(believed, presented, server_name, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(words) => {
                let rejected = Arc::new(Rejected { words, certificate });
                Err(Error::InvalidCertificate(CertificateError::Other(OtherError(rejected))))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(|algorithms| rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(|algorithms| rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.algorithms.supported_schemes();
        if self.believed.is_none() {
            // Old devices sign with SHA-1 only; where nothing is verified nothing is lost by it.
            schemes.extend([SignatureScheme::RSA_PKCS1_SHA1, SignatureScheme::ECDSA_SHA1_Legacy]);
        }
        schemes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_words() {
        for (seconds, words) in
            [(59, "0 minutes"), (61, "1 minute"), (7200, "2 hours"), (86_400, "1 day"), (3 * 86_400 + 5, "3 days")]
        {
            assert_eq!(span(UtcMs(seconds * 1000), UtcMs(0)), words);
        }
    }

    #[test]
    fn names_of_a_peer_are_cut_and_carry_no_control_characters() {
        assert_eq!(tame("a\u{1b}[31m\nb"), "a[31mb");
        assert!(tame(&"ä".repeat(500)).len() <= MAX_NAME_BYTES);
    }
}
