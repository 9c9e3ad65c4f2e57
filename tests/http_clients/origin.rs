//! An HTTP server that can be killed, closed gracefully, and started again on the same port. It
//! keeps account of what it has read.
#![allow(dead_code, reason = "each of the tests uses a part")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Channel, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::echo;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Version {
    H1,
    H2,
}

/// A request whose head was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Its method and path.
    pub(crate) line: String,
    pub(crate) host: Option<String>,
    pub(crate) key: Option<String>,
    /// The number of its connection, from 1.
    pub(crate) connection: usize,
    /// All of its body, once it was read.
    pub(crate) body: Option<Bytes>,
}

/// What it does with a request, by the first segment of its path: `/hold…` is answered when it is
/// released, `/breaks…` is answered with a body that never ends, anything else at once. Unless it has
/// a handler.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    version: Version,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    running: Option<Running>,
    /// Has the port while the server is stopped.
    reserved: Option<TcpSocket>,
}

#[derive(Default)]
struct Shared {
    account: Mutex<Account>,
    handler: OnceLock<Handler>,
    news: Notify,
    released: watch::Sender<bool>,
}

#[derive(Default)]
struct Account {
    connections: usize,
    closed: usize,
    seen: Vec<Seen>,
}

struct Running {
    reset: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
    graceful: watch::Sender<bool>,
}

pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, tower::BoxError>;
pub(crate) type Answer = Result<Response<AnswerBody>, hyper::Error>;
type Handler = Box<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Answer> + Send + Sync>;

impl Origin {
    pub(crate) fn stopped(version: Version) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self {
            address: socket.local_addr().unwrap(),
            version,
            tls: None,
            shared: Arc::default(),
            running: None,
            reserved: Some(socket),
        }
    }

    pub(crate) fn started(version: Version) -> Self {
        let mut origin = Self::stopped(version);
        origin.start();
        origin
    }

    /// From the next start on.
    pub(crate) fn set_tls(&mut self, tls: TlsAcceptor) {
        self.tls = Some(tls);
    }

    pub(crate) fn start(&mut self) {
        let socket = match self.reserved.take() {
            Some(socket) => socket,
            None => self.socket(),
        };
        let listener = socket.listen(1024).unwrap();
        let (graceful, close) = watch::channel(false);
        let reset = Arc::new(Notify::new());
        let task = tokio::spawn(accept(
            listener,
            reset.clone(),
            self.version,
            self.tls.clone(),
            self.shared.clone(),
            close,
        ));
        self.running = Some(Running {
            reset,
            task,
            graceful,
        });
    }

    fn socket(&self) -> TcpSocket {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        socket
    }

    /// Resets all connections and refuses new ones.
    pub(crate) async fn kill(&mut self) {
        if let Some(Running { task, .. }) = self.running.take() {
            task.abort();
            let _ = task.await;
        }
        self.reserved = Some(self.socket());
    }

    /// Resets all connections, as a restart does, but never refuses one.
    pub(crate) async fn reset(&self) {
        let connections = self.connections();
        self.running.as_ref().unwrap().reset.notify_one();
        self.until(|account| account.closed >= connections).await;
    }

    /// Lets each connection end when its requests are answered (HTTP/2: with a GOAWAY), and accepts
    /// new ones.
    pub(crate) fn close_gracefully(&self) {
        let running = self.running.as_ref().unwrap();
        running.graceful.send_replace(true);
    }

    /// Who answers, and keeps account, in place of this.
    pub(crate) fn set_handler<F>(
        &self,
        handler: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Answer> + Send + 'static,
    {
        let handler: Handler = Box::new(move |request| Box::pin(handler(request)));
        assert!(self.shared.handler.set(handler).is_ok(), "it has one");
    }

    /// What is held is answered, from now on.
    pub(crate) fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// What comes now is held again.
    pub(crate) fn hold(&self) {
        self.shared.released.send_replace(false);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    pub(crate) fn uri(&self) -> hyper::Uri {
        self.url("").parse().unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.lock().seen.clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Until it has read the heads of so many requests.
    pub(crate) async fn has_seen(&self, requests: usize) {
        self.until(|account| account.seen.len() >= requests).await;
    }

    /// Until all its connections are closed.
    pub(crate) async fn all_closed(&self) {
        self.until(|account| account.closed == account.connections)
            .await;
    }

    async fn until(&self, is_so: impl Fn(&Account) -> bool) {
        let wait = async {
            loop {
                let news = self.shared.news.notified();
                if is_so(&self.shared.lock()) {
                    return;
                }
                news.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .expect("the server should have seen more");
    }
}

impl Shared {
    async fn released(&self) {
        let mut released = self.released.subscribe();
        released.wait_for(|released| *released).await.unwrap();
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap()
    }

    fn note<R>(&self, change: impl FnOnce(&mut Account) -> R) -> R {
        let result = change(&mut self.lock());
        self.news.notify_waiters();
        result
    }
}

/// Notes that a connection is closed, however it ends.
struct Closes(Arc<Shared>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.note(|account| account.closed += 1);
    }
}

async fn accept(
    listener: TcpListener,
    reset: Arc<Notify>,
    version: Version,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    close: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            () = reset.notified() => {
                connections.shutdown().await;
                continue;
            }
        };
        // Dropping it resets it.
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        stream.set_nodelay(true).unwrap();
        let connection = shared.note(|account| {
            account.connections += 1;
            account.connections
        });
        let (shared, close, tls) = (shared.clone(), close.clone(), tls.clone());
        // Not in the task, which may be aborted before it begins.
        let closes = Closes(shared.clone());
        connections.spawn(async move {
            let _closes = closes;
            match tls {
                None => serve(stream, version, connection, shared, close).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, version, connection, shared, close).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve<T>(
    stream: T,
    version: Version,
    connection: usize,
    shared: Arc<Shared>,
    mut close: watch::Receiver<bool>,
) where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    close.mark_unchanged();
    let service = service_fn(move |request| answer(request, connection, shared.clone()));
    let io = TokioIo::new(stream);
    macro_rules! run {
        ($serving:expr) => {{
            let mut serving = std::pin::pin!($serving);
            tokio::select! {
                _ = serving.as_mut() => {}
                _ = close.changed() => {
                    serving.as_mut().graceful_shutdown();
                    let _ = serving.await;
                }
            }
        }};
    }
    match version {
        Version::H1 => run!(http1::Builder::new().serve_connection(io, service)),
        Version::H2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.max_concurrent_streams(1000);
            run!(builder.serve_connection(io, service));
        }
    }
}

async fn answer(request: Request<Incoming>, connection: usize, shared: Arc<Shared>) -> Answer {
    if let Some(handler) = shared.handler.get() {
        return handler(request).await;
    }
    let path = request.uri().path().to_owned();
    let (head, body) = request.into_parts();
    let text = |name| {
        let value = head.headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let seen = Seen {
        line: format!("{} {path}", head.method),
        host: text("host").or_else(|| Some(head.uri.authority()?.to_string())),
        key: text("idempotency-key"),
        connection,
        body: None,
    };
    let number = shared.note(|account| {
        account.seen.push(seen);
        account.seen.len() - 1
    });
    if path.starts_with("/echo.Echo/") {
        if head.headers.contains_key("hold") {
            shared.released().await;
        }
        let answer = echo::answer(Request::from_parts(head, body)).await;
        return Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()));
    }
    let body = body.collect().await?.to_bytes();
    shared.note(|account| account.seen[number].body = Some(body));
    if path.starts_with("/hold") {
        shared.released().await;
    }
    let body = if path.starts_with("/breaks") {
        let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
        tokio::spawn(async move {
            let _ = sender.send_data(Bytes::from("half of it")).await;
            std::future::pending::<()>().await;
            drop(sender);
        });
        body.map_err(Into::into).boxed_unsync()
    } else {
        Full::from(path).map_err(Into::into).boxed_unsync()
    };
    Ok(Response::new(body))
}
