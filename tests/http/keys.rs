//! Idempotency keys: who gets one, and what a server makes of it.

use std::collections::HashSet;

use http::{HeaderValue, Method};
use reqwest::{Request, Response};
use tokio::sync::mpsc;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_conn_retry::{Error, IdempotencyKeyLayer, Reason};

use super::calls::{client, layer, post, post_with_key, text, within};
use super::server::{Answer, Server};

/// The keys that requests of these methods have behind the layer, without one of their own and with.
fn keys(layer: &IdempotencyKeyLayer, method: &str, own: HeaderValue) -> [Vec<HeaderValue>; 4] {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (for_http, for_reqwest) = (sender.clone(), sender);
    let mut http = layer.layer(service_fn(move |request: http::Request<()>| {
        for_http.send(request.headers().clone()).unwrap();
        std::future::ready(Ok::<_, std::convert::Infallible>(()))
    }));
    let mut reqwest = layer.layer(service_fn(move |request: Request| {
        for_reqwest.send(request.headers().clone()).unwrap();
        std::future::ready(Ok::<_, std::convert::Infallible>(()))
    }));
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    for own in [None, Some(own)] {
        let mut request = http::Request::new(());
        *request.method_mut() = method.clone();
        request
            .headers_mut()
            .extend(own.clone().map(|own| (NAME, own)));
        drop(http.call(request));
        let mut request = Request::new(method.clone(), "http://a/".parse().unwrap());
        request.headers_mut().extend(own.map(|own| (NAME, own)));
        drop(reqwest.call(request));
    }
    std::array::from_fn(|_| {
        let headers = receiver.try_recv().unwrap();
        headers.get_all(NAME).iter().cloned().collect()
    })
}

const OWN: HeaderValue = HeaderValue::from_static("\"own\"");
const NAME: http::HeaderName = http::HeaderName::from_static("idempotency-key");

#[test]
fn post_and_patch_get_a_key_and_only_they() {
    for method in [
        "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "POST", "PATCH", "CONNECT", "LOCK",
        "post",
    ] {
        let [http, reqwest, own_http, own_reqwest] = keys(&IdempotencyKeyLayer::new(), method, OWN);
        let needs_one = ["POST", "PATCH"].contains(&method);
        assert_eq!(http.len(), usize::from(needs_one), "{method}");
        assert_eq!(reqwest.len(), usize::from(needs_one), "{method}");
        assert!(http.is_empty() || http != reqwest);
        assert_eq!(own_http, ["\"own\""]);
        assert_eq!(own_reqwest, ["\"own\""]);
    }
}

#[test]
fn an_empty_key_is_none() {
    for empty in ["", " ", "\"\""] {
        let layer = IdempotencyKeyLayer::new();
        for mut key in keys(&layer, "POST", HeaderValue::from_static(empty)) {
            let key = key.pop().filter(|_| key.is_empty()).unwrap();
            assert_eq!(key.len(), 38, "{empty:?}");
        }
    }
}

/// Once, and not twice.
#[tokio::test]
async fn a_post_with_an_empty_key_is_not_replayed() {
    for empty in ["", " ", "\"\""] {
        let server = Server::started().unwrap();
        server.next(Answer::HangUp);
        let order = post_with_key(server.url("/order"), "one", empty);
        let error = within(layer().layer(client()).oneshot(order)).await;
        assert_eq!(error.unwrap_err().reason(), Reason::NotIdempotent);
        assert_eq!(server.lines(), ["POST /order"]);
    }
}

#[test]
fn the_key_can_be_the_users() {
    let layer = IdempotencyKeyLayer::new().key(|| HeaderValue::from_static("order-7"));
    let [http, reqwest, ..] = keys(&layer, "POST", OWN);
    assert_eq!([http, reqwest], [["order-7"], ["order-7"]]);
}

/// A POST that the server has read and not answered: the replay has the same key, so the server, which
/// keeps them, does it once.
#[tokio::test]
async fn every_replay_of_a_post_carries_its_key() {
    let server = Server::started().unwrap();
    let service = ServiceBuilder::new()
        .layer(IdempotencyKeyLayer::new())
        .layer(layer())
        .service(client());
    for _ in 0..2 {
        server.next(Answer::HangUp);
        let order = post(server.url("/order"), "one");
        let answer = within(service.clone().oneshot(order)).await.unwrap();
        assert_eq!(text(answer).await, "/order");
    }
    // And through an outage.
    for _ in 0..4 {
        server.next(Answer::HangUp);
    }
    let order = post(server.url("/order"), "two");
    within(service.clone().oneshot(order)).await.unwrap();

    let seen = server.seen();
    assert_eq!(seen.len(), 2 + 2 + 5);
    let bodies = seen.iter().map(|seen| String::from_utf8_lossy(&seen.body));
    let effects: HashSet<_> = bodies
        .zip(seen.iter().map(|seen| seen.key.clone().unwrap()))
        .collect();
    let mut effects: Vec<_> = effects.iter().map(|(body, _)| body).collect();
    effects.sort();
    assert_eq!(effects, ["one", "one", "two"]);
}

#[tokio::test]
async fn a_key_of_the_callers_own_stays() {
    let server = Server::started().unwrap();
    let service = ServiceBuilder::new()
        .layer(IdempotencyKeyLayer::new())
        .layer(layer())
        .service(client());
    server.next(Answer::HangUp);
    let order = post_with_key(server.url("/order"), "one", "\"mine\"");
    within(service.oneshot(order)).await.unwrap();
    let keys: Vec<_> = server.seen().into_iter().map(|seen| seen.key).collect();
    assert_eq!(
        keys,
        [Some("\"mine\"".to_owned()), Some("\"mine\"".to_owned())]
    );
}

/// Inside of the layer it would be a new key for each attempt, and nothing would be idempotent: then
/// a POST is not replayed.
#[tokio::test]
async fn inside_of_the_layer_it_makes_nothing_replayable() {
    let server = Server::started().unwrap();
    let service = ServiceBuilder::new()
        .layer(layer())
        .layer(IdempotencyKeyLayer::new())
        .service(client());
    server.next(Answer::HangUp);
    let result: Result<Response, Error> =
        within(service.oneshot(post(server.url("/order"), "one"))).await;
    assert_eq!(result.unwrap_err().reason(), Reason::NotIdempotent);
    assert_eq!(server.lines(), ["POST /order"]);
}
