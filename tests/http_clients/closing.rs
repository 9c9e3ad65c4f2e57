//! HTTP/1.1 servers that close each connection after its answer, as they may: that is no failure of
//! those who waited on it. And servers that fail in all ways, which look like it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, Service, ServiceExt};
use tower_conn_retry::http::connection::Http1Connect;
use tower_conn_retry::{Reconnect, RetryOnConnErr};

use super::calls::{Tally, within};

type Body = Full<Bytes>;
type Client = Reconnect<Http1Connect<HttpConnector, Body>, Uri>;

/// What is answered, and that was it.
const ONE_BYTE: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx";
const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\nConnection: Close\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nconnection: te, close\r\ntransfer-encoding: chunked\r\n\r\n\
    1\r\nx\r\n0\r\n\r\n";
const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\n\r\nx";
const OLD: &str = "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx";
/// It does not say so, but it closes all the same.
const SILENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// Nothing, a part of a head, a part of a body.
const HALVES: [&str; 3] = [
    "",
    "HTTP/1.1 200 OK\r\nconnection: clo",
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nx",
];

#[derive(Default)]
struct Account {
    connections: usize,
    /// The paths, in order.
    read: Vec<String>,
}

struct Server {
    address: SocketAddr,
    account: Arc<Mutex<Account>>,
}

#[derive(Clone, Copy)]
enum Manner {
    /// Reads one request, writes this, and closes.
    Answers(&'static str),
    /// Reads one request and resets.
    Resets,
    /// Closes without reading.
    Closes,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let account = Arc::<Mutex<Account>>::default();
        let noted = account.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                noted.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, manner, noted.clone()));
            }
        });
        Self { address, account }
    }

    async fn answering(answer: &'static str) -> Self {
        Self::start(Manner::Answers(answer)).await
    }

    fn client(&self) -> Client {
        let uri = format!("http://{}", self.address).parse::<Uri>().unwrap();
        Reconnect::to(Http1Connect::new(HttpConnector::new()), uri)
    }

    /// Every other one is a POST, which must not be sent twice.
    fn request(&self, number: usize) -> Request<Body> {
        let uri = format!("http://{}/{number}", self.address);
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        let request = Request::builder().method(method).uri(uri);
        request.body(Body::default()).unwrap()
    }

    fn read(&self) -> Vec<String> {
        self.account.lock().unwrap().read.clone()
    }

    fn connections(&self) -> usize {
        self.account.lock().unwrap().connections
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, account: Arc<Mutex<Account>>) {
    if let Manner::Closes = manner {
        return;
    }
    let Some(path) = read_head(&mut stream).await else {
        return;
    };
    account.lock().unwrap().read.push(path);
    match manner {
        Manner::Answers(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
        _ => socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap(),
    }
}

/// The path. The requests here have no body.
pub(super) async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(head).unwrap();
    head.split(' ').nth(1).map(str::to_owned)
}

fn path(number: usize) -> String {
    format!("/{number}")
}

/// Whoever has to wait for a probe waits for ever.
fn layer(tally: &Arc<Tally>) -> RetryOnConnErr {
    RetryOnConnErr::new()
        .backoff(|| std::iter::repeat(Duration::from_secs(60)))
        .observer(tally.clone())
}

/// So many callers, each of which makes so many requests, one after the other.
async fn load(server: &Server, callers: usize, each: usize) {
    let tally = Arc::<Tally>::default();
    let service = layer(&tally).layer(server.client());
    let callers = (0..callers).map(|caller| {
        let requests = (0..each).map(|n| server.request(caller * each + n));
        let (service, requests) = (service.clone(), requests.collect::<Vec<_>>());
        tokio::spawn(async move {
            for request in requests {
                let answer = service.clone().oneshot(request).await.unwrap();
                answer.into_body().collect().await.unwrap();
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    let requests = callers.len() * each;
    for caller in callers {
        within(caller).await.unwrap();
    }
    let mut read = server.read();
    read.sort();
    let mut sent: Vec<_> = (0..requests).map(path).collect();
    sent.sort();
    assert_eq!(read, sent, "each once");
    assert_eq!(server.connections(), requests);
    assert_eq!((tally.failed(), tally.downs()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_goes_on_to_the_next_connection() {
    for answer in [ONE_BYTE, CHUNKED, UNTIL_CLOSE, OLD] {
        load(&Server::answering(answer).await, 20, 10).await;
    }
}

/// Head and end come together: the connection is over before the caller has heard of its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_a_body_is_the_connections_end() {
    for callers in [2, 20] {
        load(&Server::answering(NO_CONTENT).await, callers, 50).await;
    }
}

/// The calls, made in order and polled the other way round.
async fn backwards(server: &Server, calls: usize) -> Vec<Result<(), tower::BoxError>> {
    let mut client = server.client();
    let calls = (0..calls).map(|number| client.call(server.request(number)));
    let calls: Vec<_> = calls.collect();
    let calls = calls.into_iter().rev().map(|call| async move {
        let answer: Response<Incoming> = call.await?;
        answer.into_body().collect().await?;
        Ok(())
    });
    within(join_all(calls)).await
}

#[tokio::test]
async fn they_go_on_in_the_order_of_the_calls() {
    for answer in [ONE_BYTE, NO_CONTENT] {
        let server = Server::answering(answer).await;
        for result in backwards(&server, 20).await {
            result.unwrap();
        }
        assert_eq!(server.read(), (0..20).map(path).collect::<Vec<_>>());
    }
}

/// A new call comes after those who have waited, though they have not been polled yet.
#[tokio::test]
async fn a_new_call_comes_after_those_who_waited() {
    let server = Server::answering(NO_CONTENT).await;
    let mut client = server.client();
    let first = client.call(server.request(0)).await.unwrap();
    drop(first);
    let mut calls: Vec<_> = (1..4).map(|n| client.call(server.request(n))).collect();
    // The first of them makes the connection, and all of them are on it.
    let first = within(calls.remove(0)).await.unwrap();
    assert_eq!(first.status(), 204);
    let late = within(client.call(server.request(4))).await.unwrap();
    assert_eq!(late.status(), 204);
    for result in within(join_all(calls)).await {
        result.unwrap();
    }
    assert_eq!(server.read()[..2], ["/0", "/1"]);
    assert_eq!(server.read().len(), 5);
}

#[tokio::test]
async fn who_does_not_fetch_the_answer_holds_up_nobody() {
    let server = Server::answering(ONE_BYTE).await;
    let mut client = server.client();
    let mut stalled = client.call(server.request(0));
    // Until it is in flight, and no further.
    while server.read().is_empty() {
        assert!(futures_util::poll!(&mut stalled).is_pending());
        tokio::task::yield_now().await;
    }
    let dropped = client.call(server.request(1));
    let never_polled = client.call(server.request(2));
    let waits = tokio::spawn(client.call(server.request(3)));
    drop(dropped);
    within(waits).await.unwrap().unwrap();
    let late = within(stalled).await.unwrap();
    assert_eq!(late.into_body().collect().await.unwrap().to_bytes(), "x");
    within(never_polled).await.unwrap();
    assert_eq!(server.read(), ["/0", "/3", "/2"]);
}

#[tokio::test]
async fn an_unannounced_end_is_none_if_the_answer_was_whole() {
    // Here the end comes with the answer. (Else nobody can tell in time, and the next request is sent
    // in vain.)
    let server = Server::answering(SILENT).await;
    for result in backwards(&server, 5).await {
        result.unwrap();
    }
}

/// Fifty callers and a server that does nothing right: its connections are counted.
async fn attempts(manner: Manner) -> usize {
    let server = Server::start(manner).await;
    let tally = Arc::<Tally>::default();
    let layer = layer(&tally).give_up_after(Duration::from_millis(500));
    let service = layer.layer(server.client());
    let call = |number| tokio::spawn(service.clone().oneshot(server.request(number)));
    for call in join_all((0..50).map(call)).await {
        drop(call.unwrap()); // half an answer is one, to a call
    }
    assert_eq!(tally.downs(), 1);
    server.connections()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_is_left_alone() {
    let halves = HALVES.map(Manner::Answers);
    for manner in [Manner::Closes, Manner::Resets].into_iter().chain(halves) {
        let attempts = attempts(manner).await;
        // One or two, and a few replays at once before the link is down.
        assert!(attempts < 20, "{attempts} connections");
    }
}

/// A task that nothing holds but its wakers.
struct Task(Mutex<Call>);

type Call = <Client as Service<Request<Body>>>::Future;

impl Task {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut *self.0.lock().unwrap()).poll(cx).map(drop)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// The connection's task, which looks how the request has ended, is the last to hold the caller's.
#[tokio::test]
async fn a_caller_may_go_with_its_last_waker() {
    let server = Server::answering(ONE_BYTE).await;
    let mut client = server.client();
    let task = Arc::new(Task(Mutex::new(client.call(server.request(0)))));
    while server.read().is_empty() {
        let waker = Waker::from(task.clone());
        assert!(task.poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        tokio::task::yield_now().await;
    }
    let waits = tokio::spawn(client.call(server.request(1)));
    let gone = Arc::downgrade(&task);
    drop(task);
    within(waits).await.unwrap().unwrap();
    assert!(gone.upgrade().is_none());
}
