//! Real errors of sockets and of the system's resolver.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_conn_retry::{ConnError, ConnErrorKind, ConnectError, Sent, classify};

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Closes with a RST instead of a FIN.
fn reset(stream: TcpStream) {
    let stream = stream.into_std().unwrap();
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

fn kind(error: &io::Error) -> Option<ConnErrorKind> {
    let found = classify(error)?;
    assert_eq!(found, ConnError::new(found.kind()), "{error:?}");
    Some(found.kind())
}

/// Where nobody listens, nor ever will: the port is kept, so that no other test gets it.
pub(crate) fn refusing() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}

#[tokio::test]
async fn refused() {
    let error = TcpStream::connect(refusing()).await.unwrap_err();
    assert_eq!(kind(&error), Some(ConnErrorKind::Refused));
    assert_eq!(
        classify(&ConnectError::new(error)),
        Some(ConnError::new(ConnErrorKind::Refused).with_sent(Sent::No))
    );
}

#[tokio::test]
async fn reset_while_reading() {
    let (listener, address) = listener().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    reset(server);
    let error = client.read(&mut [0; 16]).await.unwrap_err();
    assert_eq!(kind(&error), Some(ConnErrorKind::Reset));
}

#[tokio::test]
async fn end_of_stream_while_reading() {
    let (listener, address) = listener().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    drop(listener.accept().await.unwrap());
    let error = client.read_exact(&mut [0; 16]).await.unwrap_err();
    assert_eq!(kind(&error), Some(ConnErrorKind::Closed));
}

#[tokio::test]
async fn broken_pipe_while_writing() {
    let (listener, address) = listener().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    reset(server);
    // The first error takes the reset away, the next one is EPIPE.
    client.read(&mut [0; 16]).await.unwrap_err();
    let error = client.write(b"anyone there?").await.unwrap_err();
    assert_eq!(kind(&error), Some(ConnErrorKind::BrokenPipe));
}

#[tokio::test]
async fn a_shut_down_socket_is_a_broken_pipe() {
    let (_listener, address) = listener().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.shutdown().await.unwrap();
    let error = client.write(b"too late").await.unwrap_err();
    assert_eq!(kind(&error), Some(ConnErrorKind::BrokenPipe));
}

#[test]
fn a_socket_that_was_never_connected() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let error = socket.peer_addr().unwrap_err();
    assert_eq!(kind(&error), Some(ConnErrorKind::NotConnected));
}

#[test]
fn an_address_that_is_not_ours() {
    // 192.0.2.0/24 is for documentation (RFC 5737).
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let foreign: SocketAddr = "192.0.2.1:0".parse().unwrap();
    let error = socket.bind(&foreign.into()).unwrap_err();
    assert_eq!(kind(&error), Some(ConnErrorKind::AddressUnavailable));
}

#[tokio::test]
async fn a_name_that_does_not_resolve() {
    // Reserved never to exist (RFC 6761 §6.4). Whether the resolver at hand says so, or can't be
    // asked, is the machine's affair.
    let error = tokio::net::lookup_host("no-such-host.invalid:80")
        .await
        .map(|_| ())
        .unwrap_err();
    let found = classify(&error).unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(found.kind(), ConnErrorKind::Dns);
    assert_eq!(found.sent(), Sent::No);
    let wrapped = classify(&io::Error::other(std::sync::Arc::new(error)));
    assert_eq!(wrapped, Some(found));
}

/// Of any codec that does not say anything else, as most clients' are.
#[cfg(feature = "tcp")]
#[tokio::test]
async fn a_stream_that_ends_within_a_frame() {
    use futures_util::StreamExt;
    use tokio_util::codec::{Framed, LengthDelimitedCodec};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
    let (server, client) = tokio::join!(listener.accept(), client);
    let (mut server, client) = (server.unwrap().0, client.unwrap());
    tokio::io::AsyncWriteExt::write_all(&mut server, b"\0\0\0\x0dless")
        .await
        .unwrap();
    drop(server);
    let error = Framed::new(client, LengthDelimitedCodec::new())
        .next()
        .await
        .unwrap()
        .unwrap_err();
    let expected = Some(ConnError::new(ConnErrorKind::Closed));
    assert_eq!(classify(&error), expected, "{error:?}");
    // The same text from elsewhere.
    let text = error.to_string();
    for other in [
        io::Error::other(format!("the server says: {text}")),
        io::Error::new(io::ErrorKind::InvalidData, text),
    ] {
        assert_eq!(classify(&other), None, "{other:?}");
    }
}

/// What the C library says, as std reads it.
#[cfg(unix)]
#[allow(unsafe_code)]
fn gai_text(code: i32) -> String {
    // SAFETY: any code may be asked for; the answer is a string that nobody frees.
    let text = unsafe { std::ffi::CStr::from_ptr(libc::gai_strerror(code)) };
    format!(
        "failed to lookup address information: {}",
        text.to_str().unwrap()
    )
}

/// std's text for each code, in this process's locale, of the kind that std's errors have.
#[cfg(unix)]
#[test]
fn codes_of_getaddrinfo() {
    use tower_conn_retry::Outlook::{self, Permanent, Transient};

    let check = |code: i32, outlook: Outlook| {
        let text = gai_text(code);
        let uncategorized = io::Error::from_raw_os_error(i32::MAX).kind();
        assert_eq!(
            classify(&io::Error::new(uncategorized, &*text)),
            Some(
                ConnError::new(ConnErrorKind::Dns)
                    .with_sent(Sent::No)
                    .with_outlook(outlook)
            ),
            "{text}"
        );
        // The same text in an error of another kind is a message that came from somewhere.
        assert_eq!(classify(&io::Error::other(text)), None);
    };
    check(libc::EAI_NONAME, Permanent);
    check(libc::EAI_AGAIN, Transient);
    check(libc::EAI_FAIL, Transient);
    check(libc::EAI_MEMORY, Transient);
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    check(-5, Permanent); // EAI_NODATA
}

/// Of a blocking socket, whose limit is not told from "would block".
#[cfg(unix)]
#[test]
fn a_blocking_sockets_own_time_limit() {
    use std::io::Read;

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let limit = std::time::Duration::from_millis(20);
    stream.set_read_timeout(Some(limit)).unwrap();
    let error = stream.read(&mut [0; 8]).unwrap_err();
    let expected = tower_conn_retry::ConnError::new(tower_conn_retry::ConnErrorKind::Timeout);
    assert_eq!(
        tower_conn_retry::classify(&error),
        Some(expected),
        "{error:?}"
    );
}
