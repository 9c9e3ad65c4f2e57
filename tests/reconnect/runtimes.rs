//! Callers on several runtimes, some of which end.

use std::fmt::Debug;
use std::future::{pending, poll_fn};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::runtime::{Builder, Runtime};
use tokio_util::codec::LengthDelimitedCodec;
use tower::{BoxError, Service, service_fn};
use tower_conn_retry::http::connection::Http1Connect;
use tower_conn_retry::{Outlook, Reconnect, classify, tcp};

use crate::mock::Conn;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Begins the attempt on a runtime that is dropped then. Who began it stays and goes on elsewhere, or
/// leaves it to another caller.
fn calls<S, Req, Res>(mut service: S, request: impl Fn() -> Req, begun_by_another: bool) -> Res
where
    S: Service<Req, Response = Res, Error = BoxError>,
    Res: Debug,
{
    let first = runtime();
    let mut call = Box::pin(service.call(request()));
    let other = begun_by_another.then(|| Box::pin(service.call(request())));
    first.block_on(poll_fn(|cx| {
        assert!(call.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    }));
    drop(first);
    runtime().block_on(other.unwrap_or(call)).unwrap()
}

/// For what is left of a dead runtime, the first time.
fn once<F>(
    dies: fn() -> F,
) -> (
    impl Service<(), Response = Conn, Error = io::Error, Future: Send>,
    Arc<AtomicUsize>,
)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    let maker = service_fn(move |()| {
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if is_first {
                dies().await?;
            }
            Ok::<_, io::Error>(Conn::new(1))
        }
    });
    (maker, attempts)
}

#[track_caller]
fn is_begun_anew<F: Future<Output = io::Result<()>> + Send + 'static>(dies: fn() -> F) {
    for begun_by_another in [false, true] {
        let (maker, attempts) = once(dies);
        let answer = calls(Reconnect::new(maker), || "a", begun_by_another);
        assert_eq!((answer, attempts.load(Ordering::SeqCst)), (1, 2));
    }
}

/// It panics when it is polled.
#[test]
fn an_attempt_with_a_timer_of_a_runtime_that_is_gone_is_begun_anew() {
    is_begun_anew(|| async {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Ok(())
    });
}

#[test]
fn an_attempt_with_a_task_of_a_runtime_that_is_gone_is_begun_anew() {
    is_begun_anew(|| async { Ok(tokio::spawn(pending()).await?) });
    is_begun_anew(|| async { tokio::spawn(pending()).await.map_err(io::Error::other) });
}

/// Answers each connection with what `answer` does, until it ends.
fn serve(answer: impl Fn(TcpStream) -> io::Result<()> + Send + Copy + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn tcp_client() -> impl Service<Bytes, Response = BytesMut, Error = BoxError> {
    let address = serve(|mut stream| {
        let mut frame = [0; 5];
        loop {
            stream.read_exact(&mut frame)?;
            stream.write_all(&frame)?;
        }
    });
    let connector = tcp::Connector::new(address.to_string(), LengthDelimitedCodec::new);
    Reconnect::new(connector)
}

fn http_client(
    timeout: Option<Duration>,
) -> impl Service<http::Request<Empty<Bytes>>, Response = http::Response<Incoming>, Error = BoxError>
{
    let address = serve(|stream| {
        let mut lines = BufReader::new(&stream).lines();
        while let Some(line) = lines.next().transpose()? {
            if line.is_empty() {
                (&stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
            }
        }
        Ok(())
    });
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(timeout);
    let uri: http::Uri = format!("http://{address}/").parse().unwrap();
    Reconnect::to(Http1Connect::new(connector), uri)
}

#[test]
fn an_attempt_with_a_socket_of_a_runtime_that_is_gone_is_begun_anew() {
    for begun_by_another in [false, true] {
        let answer = calls(tcp_client(), || Bytes::from_static(b"a"), begun_by_another);
        assert_eq!(answer, "a");
        for timeout in [None, Some(Duration::from_secs(3600))] {
            let answer = calls(
                http_client(timeout),
                http::Request::default,
                begun_by_another,
            );
            assert_eq!(answer.status(), 204);
        }
    }
}

#[test]
fn a_connection_of_a_runtime_that_is_gone_is_replaced_within_the_call() {
    let (mut tcp, mut http) = (tcp_client(), http_client(None));
    for _ in 0..3 {
        let answer = runtime().block_on(tcp.call(Bytes::from_static(b"a")));
        assert_eq!(answer.unwrap(), "a");
        let answer = runtime().block_on(http.call(http::Request::default()));
        assert_eq!(answer.unwrap().status(), 204);
    }
}

/// They fail, and are not left waiting.
#[test]
fn calls_in_flight_on_a_connection_of_a_runtime_that_is_gone_end() {
    fn ends<S, Req>(mut service: S, request: impl Fn() -> Req)
    where
        S: Service<Req, Error = BoxError>,
        S::Response: Debug,
    {
        let (first, second) = (runtime(), runtime());
        first.block_on(service.call(request())).unwrap();
        let mut call = Box::pin(service.call(request()));
        second.block_on(poll_fn(|cx| {
            assert!(call.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        }));
        drop(first);
        let error = second.block_on(call).unwrap_err();
        let found = classify(&*error).unwrap();
        assert_eq!(found.outlook(), Outlook::Transient, "{error:?}");
    }
    ends(tcp_client(), || Bytes::from_static(b"a"));
    ends(http_client(None), http::Request::default);
}
