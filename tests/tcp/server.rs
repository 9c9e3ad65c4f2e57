//! The peer: small servers for single tests, and the client side's short hands.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::codec::LengthDelimitedCodec;
use tower::{Service, ServiceExt};
use tower_conn_retry::tcp::{self, Connector};

pub(crate) type Client = tcp::Client<Bytes, BytesMut>;
pub(crate) type Framed = Connector<fn() -> LengthDelimitedCodec, Bytes>;

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(crate) fn framed(address: SocketAddr) -> Framed {
    framed_to(address)
}

pub(crate) fn framed_to(address: impl ToString) -> Framed {
    Connector::new(address, LengthDelimitedCodec::new)
}

/// A client and the server's end of its connection.
pub(crate) async fn pair() -> (Client, TcpStream) {
    pair_with(|connector| connector).await
}

pub(crate) async fn pair_with(set: impl FnOnce(Framed) -> Framed) -> (Client, TcpStream) {
    let (listener, address) = listen().await;
    let mut connector = set(framed(address));
    let (client, accepted) = tokio::join!(connector.call(()), listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}

/// Whatever takes as long as this hangs.
pub(crate) async fn bounded<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, future).await.expect("hangs")
}

pub(crate) type Call<Res> = Pin<Box<dyn Future<Output = Result<Res, tcp::Error>> + Send>>;

/// Waits for readiness and calls.
pub(crate) async fn send<Res: Send + 'static>(
    client: &mut tcp::Client<Bytes, Res>,
    request: impl Into<Bytes>,
) -> Call<Res> {
    let client = bounded(client.ready()).await.unwrap();
    Box::pin(bounded(client.call(request.into())))
}

/// Answers everything with itself, on every connection; counts the connections.
pub(crate) fn echo(listener: TcpListener) -> (Arc<AtomicUsize>, JoinHandle<()>) {
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&accepted);
    let server = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            connections.spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    (accepted, server)
}

pub(crate) async fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let read = async {
        let len = stream.read_u32().await?;
        let mut frame = vec![0; len as usize];
        stream.read_exact(&mut frame).await?;
        Ok(frame)
    };
    bounded(read).await
}

pub(crate) async fn write_frame(stream: &mut TcpStream, frame: &[u8]) {
    // With one write, because two small ones wait for an acknowledgement in between.
    let len = (frame.len() as u32).to_be_bytes();
    stream.write_all(&[&len, frame].concat()).await.unwrap();
}

/// Ends the connection with a RST.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}
