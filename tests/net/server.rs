//! The server: answers each number, and notes what it has read before it answers.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::{Decoder, Encoder};

use crate::host::Host;
use crate::witness::PATIENCE;

/// The number that gets no answer.
pub(crate) const UNANSWERED: u64 = 0;

/// How long an answer takes, so that there are always some requests under way.
const LATENCY: Duration = Duration::from_millis(10);

/// Eight bytes for each number.
#[derive(Clone, Copy)]
pub(crate) struct Numbers;

impl Encoder<u64> for Numbers {
    type Error = io::Error;

    fn encode(&mut self, number: u64, buffer: &mut BytesMut) -> io::Result<()> {
        buffer.put_u64(number);
        Ok(())
    }
}

impl Decoder for Numbers {
    type Item = u64;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<u64>> {
        Ok((buffer.len() >= 8).then(|| buffer.get_u64()))
    }
}

/// What it speaks.
#[derive(Clone)]
pub(crate) enum Protocol {
    /// [`Numbers`]; the answer is the number.
    Numbers,
    /// The same in TLS.
    Tls(TlsAcceptor),
    /// HTTP/1.1; the number is the path.
    Http,
}

/// All that was read, in this order.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<(Mutex<Vec<u64>>, Condvar)>);

impl Ledger {
    pub(crate) fn note(&self, number: u64) {
        self.0.0.lock().unwrap().push(number);
        self.0.1.notify_all();
    }

    /// Waits until this was read.
    pub(crate) fn wait_for(&self, number: u64) {
        let numbers = self.0.0.lock().unwrap();
        let missing = |numbers: &mut Vec<u64>| !numbers.contains(&number);
        let waited = self.0.1.wait_timeout_while(numbers, PATIENCE, missing);
        assert!(!waited.unwrap().1.timed_out(), "{number} was not read");
    }

    pub(crate) fn read(&self) -> Vec<u64> {
        self.0.0.lock().unwrap().clone()
    }
}

/// A server in a thread of this process. Dropping it closes its connections.
pub(crate) struct Server {
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Server {
    pub(crate) fn start(
        host: &Host,
        address: SocketAddr,
        ledger: &Ledger,
        protocol: Protocol,
    ) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let note = ledger.clone();
        // Before anybody can ask for it.
        let listener = host.run(|| std::net::TcpListener::bind(address)).unwrap();
        let thread = host.spawn(move || async move {
            listener.set_nonblocking(true).unwrap();
            let listener = TcpListener::from_std(listener).unwrap();
            tokio::select! {
                () = serve(listener, protocol, move |number| note.note(number)) => {}
                _ = stopped => {}
            }
        });
        Self {
            thread: Some(thread),
            stop: Some(stop),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A listener that can take the address of one that was killed.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Serves for ever. `note` is told of each number that was read, before its answer is sent.
pub(crate) async fn serve(
    listener: TcpListener,
    protocol: Protocol,
    note: impl Fn(u64) + Clone + Send + 'static,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let note = note.clone();
        let protocol = protocol.clone();
        tokio::spawn(async move {
            // That a connection breaks is nothing to report.
            let _ = match protocol {
                Protocol::Numbers => answer(stream, note).await,
                Protocol::Http => answer_http(stream, note).await,
                Protocol::Tls(tls) => match tls.accept(stream).await {
                    Ok(stream) => answer(stream, note).await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    note: impl Fn(u64),
) -> io::Result<()> {
    let mut incoming = BytesMut::new();
    let mut outgoing = BytesMut::new();
    while stream.read_buf(&mut incoming).await? > 0 {
        while let Some(number) = Numbers.decode(&mut incoming)? {
            note(number);
            if number != UNANSWERED {
                Numbers.encode(number, &mut outgoing)?;
            }
        }
        tokio::time::sleep(LATENCY).await;
        stream.write_all_buf(&mut outgoing).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// For requests without content.
async fn answer_http(mut stream: TcpStream, note: impl Fn(u64)) -> io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        let path = head.split(' ').nth(1).unwrap_or_default();
        note(
            path.trim_start_matches('/')
                .parse()
                .map_err(io::Error::other)?,
        );
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await?;
    }
}
