//! The clients in question.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use rcgen::CertifiedKey;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tower_conn_retry::Reconnect;
use tower_conn_retry::http::connection::{Http1Connect, Http2Connect};

use super::origin::Version;

type Body = Full<Bytes>;

pub(crate) fn pooled<C>(version: Version, connector: C) -> Client<C, Body>
where
    C: Connect + Clone,
{
    Client::builder(TokioExecutor::new())
        .http2_only(version == Version::H2)
        .build(connector)
}

pub(crate) fn one_h1<C>(connector: C, uri: Uri) -> Reconnect<Http1Connect<C, Body>, Uri>
where
    Http1Connect<C, Body>: tower::Service<Uri>,
{
    Reconnect::to(Http1Connect::new(connector), uri)
}

pub(crate) fn one_h2<C>(connector: C, uri: Uri) -> Reconnect<Http2Connect<C, Body>, Uri>
where
    Http2Connect<C, Body>: tower::Service<Uri>,
{
    Reconnect::to(Http2Connect::new(connector), uri)
}

/// A certificate for this machine, and those who trust it.
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
        config.alpn_protocols = vec![match version {
            Version::H1 => b"http/1.1".to_vec(),
            Version::H2 => b"h2".to_vec(),
        }];
        Arc::new(config).into()
    }

    pub(crate) fn connector(&self, version: Version) -> HttpsConnector<HttpConnector> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certified.cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only();
        match version {
            Version::H1 => builder.enable_http1().build(),
            Version::H2 => builder.enable_http2().build(),
        }
    }
}
