//! hyper-util's pooled client.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::TokioExecutor;
use tower::{Layer, ServiceExt};
use tower_conn_retry::{ConnErrorKind, Reason, Sent};

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

/// Nothing of it was written to the dead connection, which is proof enough for a POST.
#[tokio::test]
async fn a_post_after_an_idle_connection_was_closed_is_answered() {
    for own_try in [true, false] {
        let mut server = Server::started().unwrap();
        let client = builder().retry_canceled_requests(own_try).build_http();
        let service = layer().layer(client);
        let first = service.clone().oneshot(get(server.url("/first")));
        assert_eq!(text(first.await.unwrap()).await, "/first");
        server.stop().await.unwrap();
        server.start().unwrap();
        let order = service.oneshot(post(server.url("/order")));
        assert_eq!(text(within(order).await.unwrap()).await, "/order");
        assert_eq!(server.lines(), ["GET /first", "POST /order"]);
    }
}
