//! An HTTP/1 server that is wrong in one way, and keeps account of what it has read.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What it does with each request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Sends these bytes, and closes.
    Bytes(Vec<u8>),
    Reset,
    /// Sends these bytes, and nothing more.
    #[allow(dead_code)] // not with every feature
    Stalls(String),
    /// Never answers.
    Silence,
}

impl Answer {
    /// Closes without an answer.
    pub(crate) const NONE: Self = Self::Bytes(Vec::new());

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Bytes(text.into().into_bytes())
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    read: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let read = Arc::new(AtomicUsize::new(0));
        let requests = Arc::clone(&read);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let answer = answer.clone();
                let requests = Arc::clone(&requests);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    requests.fetch_add(1, Ordering::SeqCst);
                    match answer {
                        Answer::Bytes(bytes) => stream.write_all(&bytes).await.unwrap(),
                        Answer::Reset => socket2::SockRef::from(&stream)
                            .set_linger(Some(Duration::ZERO))
                            .unwrap(),
                        Answer::Stalls(text) => {
                            stream.write_all(text.as_bytes()).await.unwrap();
                            let _ = stream.read(&mut [0; 16]).await;
                        }
                        Answer::Silence => drop(stream.read(&mut [0; 16]).await),
                    }
                });
            }
        });
        Self { address, read }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many requests it has read to the end of their heads.
    pub(crate) fn requests(&self) -> usize {
        self.read.load(Ordering::SeqCst)
    }
}

/// A request body that fails with what looks like a connection error.
pub(crate) struct BadBody(pub(crate) io::ErrorKind);

impl BadBody {
    pub(crate) const RESET: Self = Self(io::ErrorKind::ConnectionReset);
}

impl Body for BadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(Err(self.0.into())))
    }
}
