//! An HTTP/1 server, with or without TLS, that has one fault, and keeps account of what it has read.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::super::sockets::refusing;

/// Where it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody listens.
    Refused,
    /// As soon as there is a connection.
    ResetAtOnce,
    ClosedAtOnce,
    /// After the first bytes.
    ResetEarly,
    ClosedEarly,
    /// In the handshake: an answer without TLS.
    PlainText,
    /// The handshake is the fault.
    Handshake,
    /// The head is read, the body is not.
    ResetMidBody,
    ClosedMidBody,
    /// The whole request is read.
    ResetAfterRequest,
    ClosedAfterRequest,
    NoCloseNotify,
    DamagedRecord,
    HalfAHead,
    /// The answer's head and half of its body are sent.
    HalfABody,
    HalfABodyThenReset,
    /// The first request is answered. The next is not read, but the connection closed.
    IdleClose,
    /// Reads, and says nothing.
    Silence,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    read: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(fault: Fault, tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let read = Arc::new(AtomicUsize::new(0));
        let server = Self {
            address,
            read: Arc::clone(&read),
        };
        if fault == Fault::Refused {
            let address = refusing();
            return Self { address, ..server };
        }
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let connection = connection(stream, fault, acceptor.clone(), Arc::clone(&read));
                tokio::spawn(connection);
            }
        });
        server
    }

    /// How many requests it has read to the end of their heads.
    pub(crate) fn requests(&self) -> usize {
        self.read.load(Ordering::SeqCst)
    }
}

/// The peer gets a RST when this is closed.
fn will_reset(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

async fn connection(
    mut stream: TcpStream,
    fault: Fault,
    tls: Option<TlsAcceptor>,
    read: Arc<AtomicUsize>,
) {
    match fault {
        Fault::ResetAtOnce => will_reset(&stream),
        Fault::ClosedAtOnce => {}
        Fault::ResetEarly | Fault::ClosedEarly => {
            let _ = stream.read(&mut [0; 16]).await;
            if fault == Fault::ResetEarly {
                will_reset(&stream);
            }
        }
        Fault::PlainText => {
            let _ = stream.read(&mut [0; 16 << 10]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
        _ => match tls {
            None => {
                if serve(&mut stream, fault, &read).await == End::Reset {
                    will_reset(&stream);
                }
                drop(stream);
            }
            Some(acceptor) => {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let end = serve(&mut stream, fault, &read).await;
                let raw = stream.get_mut().0;
                match (end, fault) {
                    (End::Reset, _) => will_reset(raw),
                    (End::Close, Fault::NoCloseNotify) => {}
                    (End::Close, Fault::DamagedRecord) => {
                        let record = [&[0x17, 3, 3, 0, 64][..], &[0xa5; 64]].concat();
                        raw.write_all(&record).await.unwrap();
                        // Until the client is gone.
                        while !matches!(raw.read(&mut [0; 64]).await, Ok(0) | Err(_)) {}
                    }
                    (End::Close, _) => drop(stream.shutdown().await),
                }
            }
        },
    }
}

#[derive(PartialEq, Eq)]
enum End {
    Close,
    Reset,
}

/// Speaks HTTP until the fault.
async fn serve<S>(stream: &mut S, fault: Fault, read: &AtomicUsize) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for served in 0.. {
        if fault == Fault::IdleClose && served == 1 {
            return End::Close;
        }
        let Some(length) = head(stream).await else {
            return End::Close;
        };
        read.fetch_add(1, Ordering::SeqCst);
        match fault {
            Fault::ResetMidBody => return End::Reset,
            Fault::ClosedMidBody => return End::Close,
            _ => {}
        }
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return End::Close;
        }
        let answer: &[u8] = match fault {
            Fault::ResetAfterRequest => return End::Reset,
            Fault::HalfAHead => b"HTTP/1.1 200 OK\r\nContent-Le",
            Fault::HalfABody | Fault::HalfABodyThenReset => {
                b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
            }
            Fault::IdleClose => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            Fault::Silence => {
                let _ = stream.read(&mut [0; 1]).await;
                return End::Close;
            }
            _ => return End::Close,
        };
        stream.write_all(answer).await.unwrap();
        stream.flush().await.unwrap();
        match fault {
            Fault::IdleClose => {}
            Fault::HalfABodyThenReset => {
                return End::Reset;
            }
            _ => return End::Close,
        }
    }
    End::Close
}

/// Reads a head. How long its body is.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<usize> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_ascii_lowercase();
    let (_, rest) = head.split_once("content-length: ").unwrap_or(("", "0\r\n"));
    rest.split_once("\r\n")?.0.parse().ok()
}
