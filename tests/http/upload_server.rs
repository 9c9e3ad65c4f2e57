//! A hyper server that resets connections in the middle of a body, and keeps account of what it has
//! read.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// What the server does with a request.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Then {
    /// Reads it, and answers.
    Answer,
    /// Resets its connection as soon as so much of its data was read.
    Reset(usize),
    /// Reads, and never answers.
    Silence,
    /// Reads nothing, and answers with this status.
    Refuse(u16),
}

/// What was read of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upload {
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    /// It was read to its end.
    pub(crate) whole: bool,
    /// It ended in the middle.
    pub(crate) broken: bool,
}

pub(crate) struct UploadServer {
    pub(crate) address: SocketAddr,
    then: Arc<Mutex<Vec<Then>>>,
    uploads: watch::Sender<Vec<Upload>>,
}

impl UploadServer {
    /// Does `then` with one request after the other, and answers all that come after those.
    pub(crate) async fn start(mut then: Vec<Then>) -> Arc<Self> {
        then.reverse();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            then: Arc::new(Mutex::new(then)),
            uploads: watch::Sender::default(),
        });
        let this = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(this.clone().serve(stream));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What was read, the oldest request first.
    pub(crate) fn uploads(&self) -> Vec<Upload> {
        self.uploads.borrow().clone()
    }

    /// Waits for something that was read.
    pub(crate) async fn has(&self, what: impl FnMut(&Vec<Upload>) -> bool) {
        let mut uploads = self.uploads.subscribe();
        super::calls::within(uploads.wait_for(what)).await.unwrap();
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        let (reset, mut is_reset) = mpsc::channel(1);
        let service = service_fn(|request| self.clone().read(request, reset.clone()));
        let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        tokio::select! {
            _ = builder.serve_connection(TokioIo::new(stream), service) => {}
            _ = is_reset.recv() => {}
        }
    }

    async fn read(
        self: Arc<Self>,
        request: Request<Incoming>,
        reset: mpsc::Sender<()>,
    ) -> Result<Response<Empty<Bytes>>, Infallible> {
        let (head, mut body) = request.into_parts();
        let then = self.then.lock().unwrap().pop().unwrap_or(Then::Answer);
        let mut index = 0;
        self.uploads.send_modify(|uploads| {
            index = uploads.len();
            uploads.push(Upload {
                version: head.version,
                headers: head.headers,
                ..Upload::default()
            });
        });
        let mut response = Response::new(Empty::new());
        if let Then::Refuse(status) = then {
            *response.status_mut() = status.try_into().unwrap();
            return Ok(response);
        }
        let mut read = 0;
        loop {
            if matches!(then, Then::Reset(at) if read >= at) {
                let _ = reset.send(()).await;
                std::future::pending::<()>().await;
            }
            let frame = body.frame().await;
            self.uploads.send_modify(|uploads| {
                let upload = &mut uploads[index];
                match frame {
                    None => upload.whole = true,
                    Some(Err(_)) => upload.broken = true,
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => upload.data.extend_from_slice(&data),
                        Err(frame) => upload.trailers = frame.into_trailers().ok(),
                    },
                }
                read = upload.data.len();
            });
            let upload = self.uploads()[index].clone();
            if upload.whole || upload.broken {
                if then == Then::Silence {
                    std::future::pending::<()>().await;
                }
                return Ok(response);
            }
        }
    }
}
