//! Real errors of tokio-tungstenite.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;

use futures_util::{Sink, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, accept_async, client_async_tls_with_config,
    connect_async, connect_async_with_config,
};
use tower_conn_retry::ConnErrorKind::{Closed, Refused, Reset, Tls};
use tower_conn_retry::Outlook::{self, Permanent, Transient};
use tower_conn_retry::Sent::{Maybe, No};
use tower_conn_retry::{ConnError, ConnErrorKind, ConnectError, Sent, classify, is_conn_error};

use super::sockets::refusing;
use super::tls_peer::{Authority, NAME, Peer, Validity, serve_peer, serve_tls};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A server that does this with its one connection.
async fn serve<T: Future<Output = ()> + Send + 'static>(
    then: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { then(listener.accept().await.unwrap().0).await });
    address
}

async fn connect(address: SocketAddr) -> Result<Client, Error> {
    let (client, _) = connect_async(format!("ws://{address}/")).await?;
    Ok(client)
}

async fn next<S>(socket: &mut WebSocketStream<S>) -> Option<Result<Message, Error>>
where
    WebSocketStream<S>: Stream<Item = Result<Message, Error>> + Unpin,
{
    poll_fn(|cx| Pin::new(&mut *socket).poll_next(cx)).await
}

/// Until an error comes.
async fn failure(client: &mut Client) -> Error {
    loop {
        if let Err(error) = next(client).await.expect("not the end") {
            return error;
        }
    }
}

async fn send(client: &mut Client, text: &str) -> Result<(), Error> {
    poll_fn(|cx| Pin::new(&mut *client).poll_ready(cx)).await?;
    Pin::new(&mut *client).start_send(Message::text(text))?;
    poll_fn(|cx| Pin::new(&mut *client).poll_flush(cx)).await
}

#[track_caller]
fn assert_is(error: &Error, kind: ConnErrorKind, sent: Sent) {
    let expected = ConnError::new(kind).with_sent(sent);
    assert_eq!(classify(error), Some(expected), "{error:?}");
}

#[tokio::test]
async fn refused() {
    let error = connect(refusing()).await.unwrap_err();
    assert_is(&error, Refused, Maybe);
    let found = classify(&ConnectError::new(error)).unwrap();
    assert_eq!((found.kind(), found.sent()), (Refused, No));
}

/// Over native-tls.
async fn connect_tls(address: SocketAddr, authority: &Authority, name: &str) -> Error {
    let root = native_tls::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let mut connector = native_tls::TlsConnector::builder();
    let connector = connector.add_root_certificate(root).build().unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = Some(Connector::NativeTls(connector));
    let url = format!("wss://{name}/");
    client_async_tls_with_config(url, stream, None, connector)
        .await
        .unwrap_err()
}

#[track_caller]
fn assert_handshake(error: &Error, outlook: Outlook) {
    let expected = ConnError::new(Tls).with_outlook(outlook).with_sent(No);
    assert_eq!(classify(error), Some(expected), "{error:?}");
}

#[tokio::test]
async fn handshakes() {
    for (peer, outlook) in [
        (Peer::PlainText, Permanent),
        (Peer::Closes, Transient),
        (Peer::Resets, Transient),
    ] {
        let address = serve_peer(peer).await;
        let error = connect_tls(address, &Authority::new(), NAME).await;
        assert_handshake(&error, outlook);
    }
    let ours = Authority::new();
    let theirs = Authority::new();
    for (server, name, outlook) in [
        (theirs.server(Validity::Now), NAME, Permanent),
        (ours.server(Validity::Past), NAME, Permanent),
        (ours.server(Validity::Future), NAME, Transient),
        (ours.server(Validity::Now), "other.test", Permanent),
    ] {
        let address = serve_tls(server, async |_| ()).await;
        assert_handshake(&connect_tls(address, &ours, name).await, outlook);
    }
}

/// The server has read the whole request that opens the WebSocket: what it does for that, or for what
/// the request's URL says, may be done.
#[tokio::test]
async fn closed_before_there_is_a_websocket() {
    let address = serve(async |mut stream: TcpStream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
    })
    .await;
    assert_is(&connect(address).await.unwrap_err(), Closed, Maybe);
}

#[tokio::test]
async fn closed_without_a_close_frame() {
    let address = serve(async |stream| {
        let mut socket = accept_async(stream).await.unwrap();
        next(&mut socket).await.unwrap().unwrap();
    })
    .await;
    let mut client = connect(address).await.unwrap();
    send(&mut client, "left").await.unwrap();
    let error = failure(&mut client).await;
    assert_is(&error, Closed, Maybe);
}

#[tokio::test]
async fn reset() {
    let address = serve(async |stream| {
        let mut socket = accept_async(stream).await.unwrap();
        next(&mut socket).await.unwrap().unwrap();
        socket2::SockRef::from(socket.get_ref())
            .set_linger(Some(std::time::Duration::ZERO))
            .unwrap();
    })
    .await;
    let mut client = connect(address).await.unwrap();
    send(&mut client, "left").await.unwrap();
    let error = failure(&mut client).await;
    assert_is(&error, Reset, Maybe);
}

#[tokio::test]
async fn closed_with_a_close_frame() {
    let address = serve(async |stream| {
        let mut socket = accept_async(stream).await.unwrap();
        socket.close(None).await.unwrap();
        while next(&mut socket).await.is_some() {}
    })
    .await;
    let mut client = connect(address).await.unwrap();
    assert!(next(&mut client).await.unwrap().unwrap().is_close());
    // Between the two close frames nothing is taken any more.
    let error = send(&mut client, "too late").await.unwrap_err();
    assert_is(&error, Closed, No);
    while next(&mut client).await.is_some() {}
    let error = send(&mut client, "even later").await.unwrap_err();
    assert_is(&error, Closed, Maybe);
}

#[tokio::test]
async fn answers_and_messages_are_none_of_the_connections() {
    let address = serve(async |mut stream: TcpStream| {
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let error = connect(address).await.unwrap_err();
    assert!(!is_conn_error(&error), "{error:?}");

    for url in ["http://127.0.0.1/", "ws://", "nothing"] {
        let error = connect_async(url).await.unwrap_err();
        assert!(!is_conn_error(&error), "{url}: {error:?}");
    }

    let address = serve(async |stream| {
        let mut socket = accept_async(stream).await.unwrap();
        poll_fn(|cx| Pin::new(&mut socket).poll_ready(cx))
            .await
            .unwrap();
        Pin::new(&mut socket)
            .start_send(Message::text("x".repeat(100)))
            .unwrap();
        poll_fn(|cx| Pin::new(&mut socket).poll_flush(cx))
            .await
            .unwrap();
        while matches!(next(&mut socket).await, Some(Ok(_))) {}
    })
    .await;
    let small = WebSocketConfig::default().max_message_size(Some(10));
    let url = format!("ws://{address}/");
    let (mut client, _) = connect_async_with_config(url, Some(small), false)
        .await
        .unwrap();
    let error = failure(&mut client).await;
    assert!(!is_conn_error(&error), "{error:?}");
}
