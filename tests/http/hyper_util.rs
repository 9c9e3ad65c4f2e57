//! hyper-util's pooled client.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::TokioExecutor;
use tower::{Layer, ServiceExt};
use tower_conn_retry::{ConnErrorKind, Destination, Observer, Reason, Sent};

use super::calls::{held, kind, layer, spawn, within};
use super::server::{Answer, Server};

fn builder() -> Builder {
    Client::builder(TokioExecutor::new())
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    builder().build_http()
}

fn get(url: String) -> Request<Full<Bytes>> {
    Request::get(url).body(Full::default()).unwrap()
}

fn post(url: String) -> Request<Full<Bytes>> {
    Request::post(url).body(Full::from("one")).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    assert_eq!(response.status(), 200);
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_post_to_a_dead_server_is_provably_unsent_and_replayed() {
    let mut server = Server::stopped().unwrap();
    let service = layer().layer(client());
    let call = spawn(&service, post(server.url("/order")));
    held(&service.links(), 1).await;
    server.start().unwrap();
    let answer = within(call).await.unwrap().unwrap();
    assert_eq!(text(answer).await, "/order");
    assert_eq!(server.lines(), ["POST /order"]);
    assert_eq!(server.seen()[0].body, b"one");
}

#[tokio::test]
async fn a_post_that_was_read_and_not_answered_is_never_read_twice() {
    let server = Server::started().unwrap();
    let service = layer().layer(client());
    server.next(Answer::HangUp);
    let order = post(server.url("/order"));
    let error = within(service.clone().oneshot(order)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotIdempotent);
    assert_eq!(error.sent(), Sent::Maybe);
    assert_eq!(kind(&error), Some(ConnErrorKind::Closed));
    let next = service.oneshot(get(server.url("/next"))).await.unwrap();
    assert_eq!(text(next).await, "/next");
    assert_eq!(server.lines(), ["POST /order", "GET /next"]);
}

/// The client has a try of its own for a connection that was closed while idle; without it the
/// layer is alone.
#[tokio::test]
async fn an_idle_connection_that_was_closed_costs_nothing() {
    for own_try in [true, false] {
        let mut server = Server::started().unwrap();
        let client = builder().retry_canceled_requests(own_try).build_http();
        let service = layer().layer(client);
        for round in ["/1", "/2", "/3"] {
            let answer = service.clone().oneshot(get(server.url(round)));
            assert_eq!(text(within(answer).await.unwrap()).await, round);
            server.stop().await.unwrap();
            server.start().unwrap();
        }
        assert_eq!(server.lines(), ["GET /1", "GET /2", "GET /3"]);
    }
}

/// The server has closed the connection, and the client had no chance to see it: hyper writes the
/// request, and finds out afterwards. It was not read, but nobody on this side can know.
#[tokio::test]
async fn a_connection_that_was_closed_just_now_costs_a_get_a_replay_and_a_post_an_error() {
    for is_get in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (close, closing) = mpsc::channel();
        let (closed, is_closed) = mpsc::channel();
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let first = answer_one(&stream);
            closing.recv().unwrap();
            drop(stream);
            closed.send(()).unwrap();
            [first, answer_one(&listener.accept().unwrap().0)]
        });

        let replays = Replays::default();
        let service = layer().observer(replays.clone()).layer(client());
        let first = service.clone().oneshot(get(url.clone()));
        assert_eq!(text(within(first).await.unwrap()).await, "");
        tokio::task::yield_now().await; // the client takes its connection back

        // No `await` from here to the call.
        close.send(()).unwrap();
        is_closed.recv().unwrap();
        if is_get {
            let answer = within(service.oneshot(get(url))).await.unwrap();
            assert_eq!(text(answer).await, "");
            assert_eq!(replays.0.load(Ordering::Relaxed), 1);
        } else {
            let order = service.clone().oneshot(post(url.clone()));
            let error = within(order).await.unwrap_err();
            assert_eq!(error.reason(), Reason::NotIdempotent);
            assert_eq!((error.sent(), error.attempts()), (Sent::Maybe, 1));
            let next = within(service.oneshot(get(url))).await.unwrap();
            assert_eq!(text(next).await, "");
            assert_eq!(replays.0.load(Ordering::Relaxed), 0);
        }
        assert_eq!(server.join().unwrap(), ["GET / HTTP/1.1"; 2]);
    }
}

#[derive(Clone, Default)]
struct Replays(Arc<AtomicU32>);

impl Observer for Replays {
    fn replay(&self, _: &Destination, _: u32) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reads the head of a request and returns its first line.
fn answer_one(mut stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    assert!(lines.any(|line| line.is_empty()));
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(answer).unwrap();
    first
}
