//! Real errors of hyper and of hyper-util's client.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use http_body_util::Channel;
use hyper::body::{Body, Bytes};
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tower_conn_retry::ConnErrorKind::{Closed, Dns, Local, Other, Refused, Reset, Tls};
use tower_conn_retry::Outlook::{Permanent, Transient};
use tower_conn_retry::Sent::{Maybe, No};
use tower_conn_retry::{BoxError, ConnError, ConnErrorKind, Outlook, Sent, classify};

use super::http_server::{Answer, BadBody, Server};
use super::sockets::refusing;

fn client() -> Client<HttpConnector, String> {
    Client::builder(TokioExecutor::new()).build(HttpConnector::new())
}

fn request(url: impl AsRef<str>) -> Request<String> {
    Request::get(url.as_ref()).body(String::new()).unwrap()
}

#[track_caller]
fn assert_is(error: &(dyn Error + 'static), kind: ConnErrorKind, outlook: Outlook, sent: Sent) {
    let expected = ConnError::new(kind).with_outlook(outlook).with_sent(sent);
    assert_eq!(classify(error), Some(expected), "{error:?}");
}

/// The verdict is about an error that the server's own account agrees with.
async fn failure(server: &Server) -> hyper_util::client::legacy::Error {
    let error = client().request(request(server.url())).await.unwrap_err();
    assert_eq!(server.requests(), 1);
    error
}

#[tokio::test]
async fn refused() {
    let url = format!("http://{}/", refusing());
    let error = client().request(request(url)).await.unwrap_err();
    assert_is(&error, Refused, Transient, No);
    assert_is(&Arc::new(error), Refused, Transient, No);
}

#[tokio::test]
async fn a_name_that_does_not_resolve() {
    let error = client()
        .request(request("http://no-such-host.invalid/"))
        .await
        .unwrap_err();
    let found = classify(&error).unwrap();
    assert_eq!((found.kind(), found.sent()), (Dns, No));
}

#[tokio::test]
async fn the_whole_request_is_read_and_the_connection_closed() {
    let server = Server::start(Answer::NONE).await;
    assert_is(&failure(&server).await, Closed, Transient, Maybe);
}

#[tokio::test]
async fn the_whole_request_is_read_and_the_connection_reset() {
    let server = Server::start(Answer::Reset).await;
    assert_is(&failure(&server).await, Reset, Transient, Maybe);
}

#[tokio::test]
async fn half_an_answer() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello");
        let server = Server::start(Answer::text(answer)).await;
        let mut answer = client().request(request(server.url())).await.unwrap();
        let error = loop {
            let body = answer.body_mut();
            if let Err(error) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx))
                .await
                .unwrap()
            {
                break error;
            }
        };
        assert_is(&error, Closed, Transient, Maybe);
        assert_is(&io::Error::other(error), Closed, Transient, Maybe);
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_parsed_is_none_of_the_connections() {
    let server = Server::start(Answer::text("SSH-2.0-OpenSSH_9.6\r\n\r\n")).await;
    assert_eq!(classify(&failure(&server).await), None);
}

#[tokio::test]
async fn the_callers_own_body_is_none_of_the_connections() {
    let server = Server::start(Answer::Silence).await;
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let request = Request::post(server.url()).body(BadBody::RESET).unwrap();
    let error = client.request(request).await.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
}

#[tokio::test]
async fn bad_urls_are_none_of_the_connections() {
    for url in ["ftp://127.0.0.1/", "/relative"] {
        let error = client().request(request(url)).await.unwrap_err();
        assert_eq!(classify(&error), None, "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_request_that_the_connection_hands_back_was_not_sent() {
    let server = Server::start(Answer::text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let get = || request("/");
    sender.send_request(get()).await.unwrap();
    connection.await.unwrap().unwrap(); // closed while idle
    let mut error = sender.try_send_request(get()).await.unwrap_err();
    assert!(error.take_message().is_some());
    assert_is(error.error(), Closed, Transient, No);
    assert_eq!(server.requests(), 1);
}

/// `hyper::upgrade::on` says "canceled" if the connection ends before all of the request is sent; the
/// server has read it, and accepted it.
#[tokio::test]
async fn an_upgrade_that_was_accepted_and_lost() {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n";
    let server = Server::start(Answer::text(answer)).await;
    let client: Client<_, Channel<Bytes>> =
        Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let (sender, body) = Channel::new(1);
    let request = Request::post(server.url())
        .header("Connection", "upgrade")
        .header("Upgrade", "tcp")
        .body(body)
        .unwrap();
    let answer = client.request(request).await.unwrap();
    assert_eq!(answer.status(), 101);
    let error = hyper::upgrade::on(answer).await.unwrap_err();
    assert!(error.is_canceled(), "{error:?}");
    assert_eq!(server.requests(), 1);
    assert_is(&error, Closed, Transient, Maybe);
    drop(sender);
}

#[tokio::test]
async fn the_dispatch_task_is_gone() {
    let server = Server::start(Answer::Silence).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let mut connection = Box::pin(connection);
    let mut answer = Box::pin(sender.send_request(request("/")));
    // Until the server has the request.
    while server.requests() == 0 {
        poll_fn(|cx| {
            assert!(answer.as_mut().poll(cx).is_pending());
            assert!(connection.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
    }
    drop(connection);
    let error = answer.await.unwrap_err();
    assert!(error.is_user()); // which is why it needs care
    assert_is(&error, Closed, Transient, Maybe);
}

/// Below the connector of plain TCP there is no handshake: the reset is the resolver's own.
#[tokio::test]
async fn a_reset_below_plain_tcp_is_not_a_handshakes() {
    let resolver = tower::service_fn(|_: Name| {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        std::future::ready(Err::<std::vec::IntoIter<SocketAddr>, _>(reset))
    });
    let client: Client<_, String> =
        Client::builder(TokioExecutor::new()).build(HttpConnector::new_with_resolver(resolver));
    let error = client
        .request(request("http://robot.test/"))
        .await
        .unwrap_err();
    assert_is(&error, Reset, Transient, No);
}

#[tokio::test]
async fn resolvers_of_unknown_make() {
    let resolver = tower::service_fn(|_: Name| {
        std::future::ready(Err::<std::vec::IntoIter<SocketAddr>, _>("no idea"))
    });
    let client: Client<_, String> =
        Client::builder(TokioExecutor::new()).build(HttpConnector::new_with_resolver(resolver));
    let error = client
        .request(request("http://robot.test/"))
        .await
        .unwrap_err();
    assert_is(&error, Dns, Transient, No);
}

/// A client whose connector fails.
async fn connecting<E>(error: E) -> hyper_util::client::legacy::Error
where
    E: Into<BoxError> + Send + 'static,
{
    let error = Arc::new(std::sync::Mutex::new(Some(error)));
    let connector = tower::service_fn(move |_: Uri| {
        let error = error.lock().unwrap().take().unwrap();
        std::future::ready(Err::<TokioIo<TcpStream>, E>(error))
    });
    Client::builder(TokioExecutor::new())
        .build::<_, String>(connector)
        .request(request("https://robot.test/"))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn local_limits_count_while_connecting() {
    #[cfg(unix)]
    {
        let error = || io::Error::from_raw_os_error(libc::EMFILE);
        assert_is(&connecting(error()).await, Local, Transient, No);
        let error = || io::Error::from_raw_os_error(libc::EACCES);
        assert_is(&connecting(error()).await, Local, Permanent, No);
    }
    let error = io::Error::from(io::ErrorKind::PermissionDenied);
    assert_is(&connecting(error).await, Local, Permanent, No);
}

#[tokio::test]
async fn connectors_of_unknown_make() {
    assert_is(&connecting("no idea").await, Other, Transient, No);
    assert_is(&connecting(std::fmt::Error).await, Other, Transient, No);
    // So a handshake's errors come from tokio-rustls, whether rustls's are known or not.
    let error = || io::Error::new(io::ErrorKind::InvalidData, "received corrupt message");
    assert_is(&connecting(error()).await, Tls, Permanent, No);
    let error = connecting(io::Error::other(error())).await;
    assert_is(&error, Tls, Permanent, No);
    // What is known to be no connection error is none.
    let error = connecting(io::Error::from(io::ErrorKind::InvalidInput)).await;
    assert_eq!(classify(&error), None);
    // hyper-rustls does so for "ftp://".
    let error = connecting(io::Error::other("unsupported scheme ftp")).await;
    assert_eq!(classify(&error), None);
}

#[cfg(feature = "rustls")]
mod tls {
    use rustls::pki_types::ServerName;
    use tokio_rustls::TlsConnector;

    use tower_conn_retry::ConnErrorKind::Tls;

    use super::*;
    use crate::classify::tls_peer::{Authority, NAME, Peer, Validity, serve_peer, serve_tls};

    /// The real error of a handshake, as hyper-rustls passes it on.
    async fn handshake(address: std::net::SocketAddr) -> hyper_util::client::legacy::Error {
        let stream = TcpStream::connect(address).await.unwrap();
        let error = TlsConnector::from(Arc::new(Authority::new().client()))
            .connect(ServerName::try_from(NAME).unwrap(), stream)
            .await
            .map(|_| ())
            .unwrap_err();
        connecting(io::Error::other(error)).await
    }

    #[tokio::test]
    async fn handshakes() {
        let address = serve_peer(Peer::Closes).await;
        assert_is(&handshake(address).await, Tls, Transient, No);
        let address = serve_peer(Peer::Resets).await;
        assert_is(&handshake(address).await, Tls, Transient, No);
        let address = serve_peer(Peer::PlainText).await;
        assert_is(&handshake(address).await, Tls, Permanent, No);
        let address = serve_tls(Authority::new().server(Validity::Now), async |_| ()).await;
        assert_is(&handshake(address).await, Tls, Permanent, No);
    }
}
