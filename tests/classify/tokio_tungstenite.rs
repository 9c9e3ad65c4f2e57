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
    MaybeTlsStream, WebSocketStream, accept_async, connect_async, connect_async_with_config,
};
use tower_conn_retry::ConnErrorKind::{Closed, Refused, Reset};
use tower_conn_retry::Sent::{Maybe, No};
use tower_conn_retry::{ConnError, ConnErrorKind, ConnectError, Sent, classify, is_conn_error};

use super::process::free_address;

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
    let error = connect(free_address()).await.unwrap_err();
    assert_is(&error, Refused, Maybe);
    let found = classify(&ConnectError::new(error)).unwrap();
    assert_eq!((found.kind(), found.sent()), (Refused, No));
}

#[tokio::test]
async fn closed_before_there_is_a_websocket() {
    let address = serve(async |mut stream: TcpStream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
    })
    .await;
    assert_is(&connect(address).await.unwrap_err(), Closed, No);
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
