//! Real errors of quinn.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, Incoming, ServerConfig};
use tower_conn_retry::ConnErrorKind::{Closed, Refused, Reset, Timeout, Tls};
use tower_conn_retry::Outlook::{Permanent, Transient};
use tower_conn_retry::{ConnError, ConnErrorKind, Outlook, classify};

use super::tls_peer::{Authority, NAME, Validity};

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// A server that does this with its connections.
async fn serve<T: Future<Output = ()> + Send>(
    config: rustls::ServerConfig,
    then: impl Fn(Incoming) -> T + Send + 'static,
) -> SocketAddr {
    let config = QuicServerConfig::try_from(config).unwrap();
    let config = ServerConfig::with_crypto(Arc::new(config));
    let endpoint = Endpoint::server(config, LOCAL.into()).unwrap();
    let address = endpoint.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            then(incoming).await;
        }
    });
    address
}

async fn connect(
    to: SocketAddr,
    config: rustls::ClientConfig,
    name: &str,
) -> Result<Connection, ConnectionError> {
    let mut transport = quinn::TransportConfig::default();
    transport.max_idle_timeout(Some(Duration::from_millis(500).try_into().unwrap()));
    let config = QuicClientConfig::try_from(config).unwrap();
    let mut config = ClientConfig::new(Arc::new(config));
    config.transport_config(Arc::new(transport));
    let endpoint = Endpoint::client(LOCAL.into()).unwrap();
    endpoint.connect_with(config, to, name).unwrap().await
}

#[track_caller]
fn assert_is(error: &(dyn Error + 'static), kind: ConnErrorKind, outlook: Outlook) {
    let expected = ConnError::new(kind).with_outlook(outlook); // perhaps sent
    assert_eq!(classify(error), Some(expected), "{error:?}");
}

#[tokio::test]
async fn no_connection() {
    let silent = std::net::UdpSocket::bind(LOCAL).unwrap();
    let authority = Authority::new();
    let to = silent.local_addr().unwrap();
    let error = connect(to, authority.client(), NAME).await.unwrap_err();
    assert_is(&error, Timeout, Transient);
    let server = authority.server(Validity::Now);
    let to = serve(server, async |incoming: Incoming| incoming.refuse()).await;
    let error = connect(to, authority.client(), NAME).await.unwrap_err();
    assert_is(&error, Refused, Transient);
}

#[tokio::test]
async fn handshakes() {
    let authority = Authority::new();
    let ignore = async |incoming: Incoming| drop(incoming.await);
    let to = serve(authority.server(Validity::Now), ignore).await;
    let stranger = Authority::new().client();
    let error = connect(to, stranger, NAME).await.unwrap_err();
    assert_is(&error, Tls, Permanent);
    let error = connect(to, authority.client(), "other.test").await;
    assert_is(&error.unwrap_err(), Tls, Permanent);
    // The server's word.
    let mut client = authority.client();
    client.alpn_protocols = vec![b"mqtt".to_vec()];
    let mut server = authority.server(Validity::Now);
    server.alpn_protocols = vec![b"h3".to_vec()];
    let to = serve(server, ignore).await;
    let error = connect(to, client, NAME).await.unwrap_err();
    assert!(matches!(error, ConnectionError::ConnectionClosed(_)));
    assert_is(&error, Tls, Permanent);
    for (validity, outlook) in [(Validity::Past, Permanent), (Validity::Future, Transient)] {
        let to = serve(authority.server(validity), ignore).await;
        let error = connect(to, authority.client(), NAME).await.unwrap_err();
        assert_is(&error, Tls, outlook);
    }
}

#[tokio::test]
async fn connections_that_end() {
    let authority = Authority::new();
    let server = authority.server(Validity::Now);
    let to = serve(server, async |incoming: Incoming| {
        let connection = incoming.await.unwrap();
        let _stream = connection.accept_bi().await;
        connection.close(7_u8.into(), b"bye");
    })
    .await;
    let connection = connect(to, authority.client(), NAME).await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(b"x").await.unwrap();
    let error = receive.read(&mut [0; 8]).await.unwrap_err();
    assert_is(&error, Closed, Transient);
    assert_is(&io::Error::from(error), Closed, Transient);
    let error = send.write_all(b"x").await.unwrap_err();
    assert_is(&error, Closed, Transient);
    let error = receive.read_to_end(8).await.unwrap_err();
    assert_is(&error, Closed, Transient);
    let error = connection.open_bi().await.map(|_| ()).unwrap_err();
    assert_is(&error, Closed, Transient);

    let connection = connect(to, authority.client(), NAME).await.unwrap();
    connection.close(0_u8.into(), b"");
    let error = connection.open_bi().await.map(|_| ()).unwrap_err();
    assert!(matches!(error, ConnectionError::LocallyClosed));
    assert_is(&error, Closed, Transient);
    assert_is(&ConnectionError::Reset, Reset, Transient);
}

#[tokio::test]
async fn what_ends_a_stream_is_none_of_the_connections() {
    let authority = Authority::new();
    let server = authority.server(Validity::Now);
    let to = serve(server, async |incoming: Incoming| {
        let connection = incoming.await.unwrap();
        let (mut send, mut receive) = connection.accept_bi().await.unwrap();
        receive.stop(7_u8.into()).unwrap();
        send.reset(7_u8.into()).unwrap();
        connection.closed().await;
    })
    .await;
    let connection = connect(to, authority.client(), NAME).await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(b"x").await.unwrap();
    let error = receive.read(&mut [0; 8]).await.unwrap_err();
    assert!(matches!(error, quinn::ReadError::Reset(_)));
    assert_eq!(classify(&error), None, "{error:?}");
    let error = io::Error::from(error);
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(classify(&error), None, "{error:?}");
    send.stopped().await.unwrap();
    let error = send.write_all(b"x").await.unwrap_err();
    assert!(matches!(error, quinn::WriteError::Stopped(_)));
    assert_eq!(classify(&error), None, "{error:?}");
    assert_eq!(classify(&io::Error::from(error)), None);
}

/// As an end of stream within an answer is anywhere.
#[tokio::test]
async fn a_stream_that_finishes_early() {
    let authority = Authority::new();
    let server = authority.server(Validity::Now);
    let to = serve(server, async |incoming: Incoming| {
        let connection = incoming.await.unwrap();
        let (mut send, _receive) = connection.accept_bi().await.unwrap();
        send.write_all(b"hal").await.unwrap();
        send.finish().unwrap();
        connection.closed().await;
    })
    .await;
    let connection = connect(to, authority.client(), NAME).await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(b"x").await.unwrap();
    let error = receive.read_exact(&mut [0; 8]).await.unwrap_err();
    assert_is(&error, Closed, Transient);
}
