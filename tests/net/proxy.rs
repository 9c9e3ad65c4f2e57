//! Somebody in the middle, who passes on what he gets, with a fault now and then.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::host::Host;

#[derive(Clone, Copy)]
pub(crate) enum Direction {
    ToClient,
    ToServer,
}

/// Dropping it closes its connections.
pub(crate) struct Proxy {
    corrupt: [Arc<AtomicBool>; 2],
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Proxy {
    pub(crate) fn start(host: &Host, address: SocketAddr, server: SocketAddr) -> Self {
        let listener = host.run(|| std::net::TcpListener::bind(address)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let corrupt = [Arc::default(), Arc::default()];
        let (stop, stopped) = oneshot::channel::<()>();
        let flags = corrupt.clone();
        let thread = host.spawn(move || async move {
            let listener = TcpListener::from_std(listener).unwrap();
            tokio::select! {
                () = pass(listener, server, flags) => {}
                _ = stopped => {}
            }
        });
        Self {
            corrupt,
            thread: Some(thread),
            stop: Some(stop),
        }
    }

    /// One bit of what comes next in this direction is wrong.
    pub(crate) fn corrupt(&self, direction: Direction) {
        self.corrupt[direction as usize].store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn pass(listener: TcpListener, server: SocketAddr, corrupt: [Arc<AtomicBool>; 2]) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let [to_client, to_server] = corrupt.clone();
        tokio::spawn(async move {
            let server = TcpStream::connect(server).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            let (from_client, into_client) = client.into_split();
            let (from_server, into_server) = server.into_split();
            tokio::try_join!(
                copy(from_server, into_client, to_client),
                copy(from_client, into_server, to_server),
            )
        });
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    corrupt: Arc<AtomicBool>,
) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let length = from.read(&mut buffer).await?;
        let Some(last) = buffer[..length].last_mut() else {
            return to.shutdown().await;
        };
        if corrupt.swap(false, Ordering::SeqCst) {
            *last ^= 1;
        }
        to.write_all(&buffer[..length]).await?;
    }
}
