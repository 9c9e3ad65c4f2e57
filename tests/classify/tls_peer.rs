//! TLS servers that are wrong in one way each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

pub(crate) const NAME: &str = "robot.test";

/// When a certificate is valid.
#[derive(Clone, Copy)]
pub(crate) enum Validity {
    Now,
    Past,
    Future,
}

/// A certificate authority of the test's own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        // Or else its name is that of the certificates it signs.
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Used by the tests of other TLS libraries.
    #[allow(dead_code)]
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    pub(crate) fn client(&self) -> ClientConfig {
        ClientConfig::builder()
            .with_root_certificates(self.roots())
            .with_no_client_auth()
    }

    fn certificate(
        &self,
        validity: Validity,
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        match validity {
            Validity::Now => {}
            Validity::Past => params.not_after = date_time_ymd(2000, 1, 1),
            Validity::Future => params.not_before = date_time_ymd(3000, 1, 1),
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (vec![certificate.der().clone()], key.into())
    }

    pub(crate) fn server(&self, validity: Validity) -> ServerConfig {
        let (chain, key) = self.certificate(validity);
        ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }

    /// Speaks one version only.
    pub(crate) fn server_of(&self, version: &'static SupportedProtocolVersion) -> ServerConfig {
        let (chain, key) = self.certificate(Validity::Now);
        ServerConfig::builder_with_protocol_versions(&[version])
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }

    /// Wants a certificate of the client.
    pub(crate) fn server_with_client_auth(&self) -> ServerConfig {
        let (chain, key) = self.certificate(Validity::Now);
        let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(self.roots()))
            .build()
            .unwrap();
        ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap()
    }
}

/// What the server does once it has a connection.
#[derive(Clone, Copy)]
pub(crate) enum Peer {
    /// Answers in plain text.
    PlainText,
    /// Reads something, and closes.
    Closes,
    /// Reads something, and resets.
    Resets,
}

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves without TLS.
pub(crate) async fn serve_peer(peer: Peer) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let hello = stream.read(&mut [0; 4096]).await.unwrap();
            assert!(hello > 0);
            match peer {
                Peer::PlainText => {
                    let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                }
                Peer::Closes => {}
                Peer::Resets => socket2::SockRef::from(&stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap(),
            }
        }
    });
    address
}

/// Serves TLS: what happens after the handshake is up to `then`.
pub(crate) async fn serve_tls<F, T>(config: ServerConfig, then: F) -> SocketAddr
where
    F: Fn(tokio_rustls::server::TlsStream<TcpStream>) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let (listener, address) = listen().await;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                then(stream).await;
            }
        }
    });
    address
}
