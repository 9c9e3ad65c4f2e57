//! Real errors of native-tls, over real sockets.

use std::error::Error;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};

use native_tls::{Certificate, HandshakeError, TlsConnector, TlsStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_conn_retry::ConnErrorKind::Tls;
use tower_conn_retry::Outlook::{Permanent, Transient};
use tower_conn_retry::Sent::{Maybe, No};
use tower_conn_retry::{ConnError, ConnErrorKind, ConnectError, Outlook, Sent, classify};

use super::tls_peer::{Authority, NAME, Peer, Validity, serve_peer, serve_tls};

async fn connect(
    address: SocketAddr,
    authority: &Authority,
    name: &'static str,
) -> Result<TlsStream<TcpStream>, native_tls::Error> {
    let root = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    tokio::task::spawn_blocking(move || {
        let connector = TlsConnector::builder()
            .add_root_certificate(root)
            .build()
            .unwrap();
        let stream = TcpStream::connect(address).unwrap();
        connector
            .connect(name, stream)
            .map_err(|error| match error {
                HandshakeError::Failure(error) => error,
                HandshakeError::WouldBlock(_) => panic!("a blocking socket"),
            })
    })
    .await
    .unwrap()
}

async fn read(mut stream: TlsStream<TcpStream>) -> io::Result<usize> {
    tokio::task::spawn_blocking(move || stream.read(&mut [0; 16]))
        .await
        .unwrap()
}

#[track_caller]
fn assert_is(error: &(dyn Error + 'static), kind: ConnErrorKind, outlook: Outlook, sent: Sent) {
    let expected = ConnError::new(kind).with_outlook(outlook).with_sent(sent);
    assert_eq!(classify(error), Some(expected), "{error:?}");
}

#[tokio::test]
async fn certificates() {
    let ours = Authority::new();
    let theirs = Authority::new();
    for (server, name, outlook) in [
        (theirs.server(Validity::Now), NAME, Permanent),
        (ours.server(Validity::Past), NAME, Permanent),
        (ours.server(Validity::Now), "other.test", Permanent),
        // Of a robot whose clock is not set yet.
        (ours.server(Validity::Future), NAME, Transient),
    ] {
        let address = serve_tls(server, async |_| ()).await;
        let error = connect(address, &ours, name).await.map(|_| ()).unwrap_err();
        assert_is(&error, Tls, outlook, No);
        assert_is(&io::Error::other(error), Tls, outlook, No);
    }
}

#[tokio::test]
async fn handshakes() {
    for (peer, outlook) in [
        (Peer::PlainText, Permanent),
        (Peer::Closes, Transient),
        (Peer::Resets, Transient),
    ] {
        let address = serve_peer(peer).await;
        let error = connect(address, &Authority::new(), NAME)
            .await
            .map(|_| ())
            .unwrap_err();
        assert_is(&error, Tls, outlook, No);
        assert_is(&ConnectError::new(error), Tls, outlook, No);
    }
}

#[tokio::test]
async fn versions() {
    let authority = Authority::new();
    let address = serve_tls(authority.server_of(&rustls::version::TLS12), async |_| ()).await;
    let error = tokio::task::spawn_blocking(move || {
        let connector = TlsConnector::builder()
            .min_protocol_version(Some(native_tls::Protocol::Tlsv13))
            .build()
            .unwrap();
        match connector.connect(NAME, TcpStream::connect(address).unwrap()) {
            Err(HandshakeError::Failure(error)) => error,
            _ => panic!("a handshake"),
        }
    })
    .await
    .unwrap();
    assert_is(&error, Tls, Permanent, No);
}

#[tokio::test]
async fn client_certificate_refused() {
    let authority = Authority::new();
    let address = serve_tls(authority.server_with_client_auth(), async |_| ()).await;
    let stream = connect(address, &authority, NAME).await.unwrap();
    let error = read(stream).await.unwrap_err();
    assert_is(&error, Tls, Permanent, Maybe);
}

#[tokio::test]
async fn a_broken_record_after_the_handshake() {
    for record in [b"HTTP/1.1 400\r\n".to_vec(), vec![0x17, 3, 3, 0xff, 0xff]] {
        let authority = Authority::new();
        let server = authority.server(Validity::Now);
        let address = serve_tls(server, move |mut stream| {
            let record = record.clone();
            async move {
                stream.flush().await.unwrap();
                let stream = stream.get_mut().0;
                stream.write_all(&record).await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
            }
        })
        .await;
        let stream = connect(address, &authority, NAME).await.unwrap();
        let error = read(stream).await.unwrap_err();
        assert_is(&error, Tls, Transient, Maybe);
    }
}

#[cfg(not(any(target_os = "windows", target_vendor = "apple")))]
#[test]
fn a_file_that_holds_no_certificate() {
    let bad = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let error = Certificate::from_pem(bad).err().unwrap();
    assert_eq!(classify(&error), None, "{error:?}");
}
