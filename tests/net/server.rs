//! The server: answers each number with itself, and notes what it has read before it answers.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::{Decoder, Encoder};

use crate::host::Host;
use crate::witness::PATIENCE;

/// The number that gets no answer.
pub(crate) const UNANSWERED: u64 = 0;

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
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let note = ledger.clone();
        // Before anybody can ask for it.
        let listener = host.run(|| std::net::TcpListener::bind(address)).unwrap();
        let thread = host.spawn(move || async move {
            listener.set_nonblocking(true).unwrap();
            let listener = TcpListener::from_std(listener).unwrap();
            tokio::select! {
                () = serve(listener, tls, move |number| note.note(number)) => {}
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
    tls: Option<TlsAcceptor>,
    note: impl Fn(u64) + Clone + Send + 'static,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let note = note.clone();
        let tls = tls.clone();
        tokio::spawn(async move {
            // That a connection breaks is nothing to report.
            let _ = match tls {
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => answer(stream, note).await,
                    Err(error) => Err(error),
                },
                None => answer(stream, note).await,
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
        stream.write_all_buf(&mut outgoing).await?;
        stream.flush().await?;
    }
    Ok(())
}
