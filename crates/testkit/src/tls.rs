//! Certificates made on the spot, and servers that present them. Owns the folder that they are in.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// What a server presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// For `localhost` and 127.0.0.1, by the authority of this folder, until 2999.
    Good,
    /// The same, expired on 2020-01-01.
    Expired,
    /// The same, valid from 2990 on.
    Future,
    /// For `elsewhere.example` only, by the authority.
    WrongName,
    /// Self-signed for `localhost`, in the manner of `openssl req -x509`: marked as an authority.
    SelfSigned,
    /// Self-signed for nobody: without any host name, as old devices have it.
    Nameless,
    /// Good, and a client certificate of the authority is demanded.
    DemandsClient,
}

/// An authority, a client identity and the files of both.
pub struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
    client: Issued,
    self_signed: Issued,
    nameless: Issued,
}

#[derive(Clone)]
struct Issued {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// Makes an authority, a client certificate and a self-signed one, in a folder of their own.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut params = named("testkit authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("an authority");

        let mut params = named("testkit client");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let client_key = key();
        let client = params.signed_by(&client_key, &issuer).expect("a client certificate");

        let (own, self_signed) = sign_own(for_localhost("self-signed camera"));
        let (nobody, nameless) = sign_own(named("nameless camera"));

        for (file, text) in [
            ("ca.pem", issuer.pem()),
            ("client.pem", client.pem()),
            ("client.key", client_key.serialize_pem()),
            ("self-signed.pem", own),
            ("nameless.pem", nobody),
        ] {
            std::fs::write(folder.path().join(file), text).expect("the folder can be written to");
        }
        let client = Issued { chain: vec![client.der().clone()], key: client_key.serialize_der() };
        Self { folder, issuer, client, self_signed, nameless }
    }

    /// A file: `ca.pem`, `client.pem`, `client.key`, `self-signed.pem` or `nameless.pem`.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a server needs to present `certificate`.
    #[must_use]
    pub fn acceptor(&self, certificate: Certificate) -> TlsAcceptor {
        let issued = match certificate {
            Certificate::SelfSigned => self.self_signed.clone(),
            Certificate::Nameless => self.nameless.clone(),
            other => self.issue(other),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions");
        let builder = if certificate == Certificate::DemandsClient {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).expect("a certificate of our own");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .expect("there is a root");
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(issued.key));
        let config = builder.with_single_cert(issued.chain, key).expect("key and certificate belong together");
        TlsAcceptor::from(Arc::new(config))
    }

    /// The client certificate's bytes, for servers that compare.
    #[must_use]
    pub fn client_certificate(&self) -> CertificateDer<'static> {
        self.client.chain[0].clone()
    }

    fn issue(&self, certificate: Certificate) -> Issued {
        let mut params = match certificate {
            Certificate::WrongName => {
                let mut params = named("elsewhere");
                params.subject_alt_names =
                    vec![SanType::DnsName("elsewhere.example".try_into().expect("a DNS name is ASCII"))];
                params
            }
            _ => for_localhost("localhost"),
        };
        match certificate {
            Certificate::Expired => params.not_after = date_time_ymd(2020, 1, 1),
            Certificate::Future => params.not_before = date_time_ymd(2990, 1, 1),
            _ => {}
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = key();
        let signed = params.signed_by(&key, &self.issuer).expect("a server certificate");
        Issued { chain: vec![signed.der().clone()], key: key.serialize_der() }
    }
}

/// A certificate in the manner of `openssl req -x509`: its own issuer, and marked as an authority. In PEM form too.
fn sign_own(mut params: CertificateParams) -> (String, Issued) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = key();
    let own = params.self_signed(&key).expect("a self-signed certificate");
    (own.pem(), Issued { chain: vec![own.der().clone()], key: key.serialize_der() })
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the system has randomness")
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = date_time_ymd(2999, 1, 1);
    params
}

fn for_localhost(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.subject_alt_names = vec![
        SanType::DnsName("localhost".try_into().expect("a DNS name is ASCII")),
        SanType::IpAddress(IpAddr::from([127, 0, 0, 1])),
    ];
    params
}
