//! Real errors of rustls, over real sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_conn_retry::ConnErrorKind::{Closed, Reset, Tls};
use tower_conn_retry::Outlook::{Permanent, Transient};
use tower_conn_retry::Sent::{Maybe, No};
use tower_conn_retry::{ConnError, ConnErrorKind, ConnectError, Outlook, Sent, classify};

use super::tls_peer::{Authority, NAME, Peer, Validity, serve_peer, serve_tls};

async fn connect(
    address: SocketAddr,
    config: ClientConfig,
    name: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

async fn refusal(address: SocketAddr, config: ClientConfig, name: &str) -> io::Error {
    connect(address, config, name)
        .await
        .map(|_| ())
        .unwrap_err()
}

#[track_caller]
fn assert_is(error: &io::Error, kind: ConnErrorKind, outlook: Outlook, sent: Sent) {
    let expected = ConnError::new(kind).with_outlook(outlook).with_sent(sent);
    assert_eq!(classify(error), Some(expected), "{error:?}");
}

/// The same verdict, and not sent, as the error of a connector.
#[track_caller]
fn assert_is_while_connecting(error: io::Error, kind: ConnErrorKind, outlook: Outlook) {
    let expected = ConnError::new(kind).with_outlook(outlook).with_sent(No);
    let error = ConnectError::new(io::Error::other(error)); // as hyper-rustls does it
    assert_eq!(classify(&error), Some(expected), "{error:?}");
}

#[tokio::test]
async fn unknown_issuer() {
    let server = Authority::new().server(Validity::Now);
    let address = serve_tls(server, async |_| ()).await;
    let error = refusal(address, Authority::new().client(), NAME).await;
    assert_is(&error, Tls, Permanent, No);
    assert_is_while_connecting(error, Tls, Permanent);
}

#[tokio::test]
async fn expired() {
    let authority = Authority::new();
    let address = serve_tls(authority.server(Validity::Past), async |_| ()).await;
    let error = refusal(address, authority.client(), NAME).await;
    assert_is(&error, Tls, Permanent, No);
}

#[tokio::test]
async fn not_yet_valid_is_a_clock_that_is_not_set() {
    let authority = Authority::new();
    let address = serve_tls(authority.server(Validity::Future), async |_| ()).await;
    let error = refusal(address, authority.client(), NAME).await;
    assert_is(&error, Tls, Transient, No);
    assert_is_while_connecting(error, Tls, Transient);
}

#[tokio::test]
async fn wrong_name() {
    let authority = Authority::new();
    let address = serve_tls(authority.server(Validity::Now), async |_| ()).await;
    let error = refusal(address, authority.client(), "other.test").await;
    assert_is(&error, Tls, Permanent, No);
}

/// An alert does not say when it came: only the position makes it the handshake's.
#[tokio::test]
async fn alpn_mismatch() {
    let authority = Authority::new();
    let mut server = authority.server(Validity::Now);
    server.alpn_protocols = vec![b"h2".to_vec()];
    let address = serve_tls(server, async |_| ()).await;
    let mut client = authority.client();
    client.alpn_protocols = vec![b"mqtt".to_vec()];
    let error = refusal(address, client, NAME).await;
    assert_is(&error, Tls, Permanent, Maybe);
    assert_is_while_connecting(error, Tls, Permanent);
}

#[tokio::test]
async fn version_mismatch() {
    let authority = Authority::new();
    let server = authority.server_of(&version::TLS12);
    let address = serve_tls(server, async |_| ()).await;
    let client = ClientConfig::builder_with_protocol_versions(&[&version::TLS13])
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let error = refusal(address, client, NAME).await;
    assert_is_while_connecting(error, Tls, Permanent);
}

#[tokio::test]
async fn a_peer_without_tls() {
    let address = serve_peer(Peer::PlainText).await;
    let error = refusal(address, Authority::new().client(), NAME).await;
    // By itself it may as well be a broken record, later on.
    assert_is(&error, Tls, Transient, Maybe);
    assert_is_while_connecting(error, Tls, Permanent);
}

#[tokio::test]
async fn end_of_stream_in_the_handshake() {
    let address = serve_peer(Peer::Closes).await;
    let error = refusal(address, Authority::new().client(), NAME).await;
    assert_is(&error, Closed, Transient, Maybe);
    assert_is_while_connecting(error, Closed, Transient);
}

#[tokio::test]
async fn reset_in_the_handshake() {
    let address = serve_peer(Peer::Resets).await;
    let error = refusal(address, Authority::new().client(), NAME).await;
    assert_is(&error, Reset, Transient, Maybe);
    assert_is_while_connecting(error, Reset, Transient);
}

/// With TLS 1.3 a client learns that its certificate is refused when it reads for the first time,
/// which is after it may have sent a request.
#[tokio::test]
async fn client_certificate_refused() {
    let authority = Authority::new();
    let address = serve_tls(authority.server_with_client_auth(), async |_| ()).await;
    let mut stream = connect(address, authority.client(), NAME).await.unwrap();
    let error = stream.read(&mut [0; 16]).await.unwrap_err();
    assert_is(&error, Tls, Permanent, Maybe);
}

#[tokio::test]
async fn close_without_close_notify() {
    let authority = Authority::new();
    let server = authority.server(Validity::Now);
    let address = serve_tls(server, async |stream| drop(stream.into_inner())).await;
    let mut stream = connect(address, authority.client(), NAME).await.unwrap();
    let error = stream.read(&mut [0; 16]).await.unwrap_err();
    assert_is(&error, Closed, Transient, Maybe);
}

#[tokio::test]
async fn broken_records_after_the_handshake() {
    // No record at all, one that does not decrypt, and one whose length is too large.
    let mut damaged = vec![0x17, 3, 3, 0, 64];
    damaged.extend([0xa5; 64]);
    for record in [
        b"HTTP/1.1 400\r\n".to_vec(),
        damaged,
        vec![0x17, 3, 3, 0xff, 0xff],
    ] {
        let authority = Authority::new();
        let server = authority.server(Validity::Now);
        let address = serve_tls(server, move |mut stream| {
            let record = record.clone();
            async move {
                // The tickets first.
                stream.flush().await.unwrap();
                let stream = stream.get_mut().0;
                stream.write_all(&record).await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
            }
        })
        .await;
        let mut stream = connect(address, authority.client(), NAME).await.unwrap();
        let error = stream.read(&mut [0; 16]).await.unwrap_err();
        assert_is(&error, Tls, Transient, Maybe);
    }
}

/// Mistakes of the program's own are none of the connection's.
#[test]
fn mistakes_of_the_configuration() {
    for error in [
        rustls::Error::BadMaxFragmentSize,
        rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch),
        rustls::Error::HandshakeNotComplete,
        rustls::Error::EncryptError,
        // This machine's own.
        rustls::Error::FailedToGetCurrentTime,
        rustls::Error::FailedToGetRandomBytes,
    ] {
        assert_eq!(classify(&error), None, "{error:?}");
        assert_eq!(classify(&io::Error::other(error)), None);
    }
    let none = rustls::crypto::CryptoProvider {
        cipher_suites: Vec::new(),
        ..rustls::crypto::ring::default_provider()
    };
    let error = ClientConfig::builder_with_provider(Arc::new(none))
        .with_safe_default_protocol_versions()
        .unwrap_err();
    assert!(matches!(error, rustls::Error::General(_)), "{error:?}");
    assert_eq!(classify(&error), None, "{error:?}");
    let name = ServerName::try_from("not a name").unwrap_err();
    assert_eq!(classify(&name), None);
}

/// A mistake of the configuration, which says what a peer's bad certificate would.
#[test]
fn a_file_that_holds_no_certificate() {
    let mut roots = rustls::RootCertStore::empty();
    let error = roots.add(vec![1, 2, 3].into()).unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
    let peers = io::Error::new(io::ErrorKind::InvalidData, error);
    assert_is(&peers, Tls, Permanent, No);
}
