//! A gRPC server that can be stopped, and started again on the same port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};

use super::echo;

pub(crate) struct Server {
    address: SocketAddr,
    account: Arc<Mutex<Account>>,
    running: Option<JoinHandle<()>>,
    /// Has the port while the server is stopped.
    reserved: Option<TcpSocket>,
}

#[derive(Default)]
struct Account {
    calls: usize,
    keys: Vec<String>,
    die: bool,
}

impl Server {
    pub(crate) fn started() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let mut server = Self {
            address: socket.local_addr()?,
            account: Arc::default(),
            running: None,
            reserved: Some(socket),
        };
        server.start()?;
        Ok(server)
    }

    pub(crate) fn start(&mut self) -> io::Result<()> {
        if let Some(socket) = self.reserved.take() {
            let listener = socket.listen(1024)?;
            self.running = Some(tokio::spawn(accept(listener, self.account.clone())));
        }
        Ok(())
    }

    /// Closes all connections and refuses new ones.
    pub(crate) async fn stop(&mut self) -> io::Result<()> {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await; // it was aborted
            let socket = TcpSocket::new_v4()?;
            #[cfg(unix)]
            socket.set_reuseaddr(true)?;
            socket.bind(self.address)?;
            self.reserved = Some(socket);
        }
        Ok(())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The connection of the next call ends when its head was read.
    pub(crate) fn die_at_the_next(&self) {
        lock(&self.account).die = true;
    }

    /// The calls that it has read.
    pub(crate) fn calls(&self) -> usize {
        lock(&self.account).calls
    }

    /// Their keys, of those that had one.
    pub(crate) fn keys(&self) -> Vec<String> {
        lock(&self.account).keys.clone()
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, account: Arc<Mutex<Account>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(TokioIo::new(stream), account.clone()));
    }
}

async fn serve(stream: TokioIo<tokio::net::TcpStream>, account: Arc<Mutex<Account>>) {
    let dies = Arc::new(tokio::sync::Notify::new());
    let service = service_fn(|request: hyper::Request<_>| {
        let mut account = lock(&account);
        account.calls += 1;
        let key = request.headers().get("idempotency-key");
        let key = key.and_then(|key| key.to_str().ok());
        account.keys.extend(key.map(str::to_owned));
        let die = std::mem::take(&mut account.die);
        let dies = dies.clone();
        async move {
            if die {
                dies.notify_one();
                std::future::pending::<()>().await;
            }
            Ok::<_, std::convert::Infallible>(echo::answer(request).await)
        }
    });
    let builder = http2::Builder::new(TokioExecutor::new());
    tokio::select! {
        _ = builder.serve_connection(stream, service) => {}
        () = dies.notified() => {}
    }
}
