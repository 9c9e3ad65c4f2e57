//! A certificate for this machine, and those who trust it.

use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rcgen::CertifiedKey;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::origin::Version;

pub(crate) struct Tls {
    certified: CertifiedKey<rcgen::KeyPair>,
}

impl Tls {
    pub(crate) fn new() -> Self {
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        Self { certified }
    }

    /// The certificate and the key, as servers want them in files.
    pub(crate) fn pem(&self) -> (String, String) {
        let CertifiedKey { cert, signing_key } = &self.certified;
        (cert.pem(), signing_key.serialize_pem())
    }

    pub(crate) fn acceptor(&self, version: Version) -> TlsAcceptor {
        let CertifiedKey { cert, signing_key } = &self.certified;
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![alpn(version)];
        Arc::new(config).into()
    }

    pub(crate) fn connector(&self, version: Version) -> HttpsConnector<HttpConnector> {
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(self.client())
            .https_only();
        match version {
            Version::H1 => builder.enable_http1().build(),
            Version::H2 => builder.enable_http2().build(),
        }
    }

    /// The configuration of a client, which says what it wants to speak.
    #[cfg(feature = "_tests")]
    pub(crate) fn client_for(&self, version: Version) -> ClientConfig {
        let mut config = self.client();
        config.alpn_protocols = vec![alpn(version)];
        config
    }

    #[cfg(feature = "_tests")]
    pub(crate) fn tonic(&self) -> tonic::transport::ClientTlsConfig {
        let root = tonic::transport::Certificate::from_pem(self.pem().0);
        tonic::transport::ClientTlsConfig::new().ca_certificate(root)
    }

    fn client(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certified.cert.der().clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

fn alpn(version: Version) -> Vec<u8> {
    match version {
        Version::H1 => b"http/1.1".to_vec(),
        Version::H2 => b"h2".to_vec(),
    }
}
