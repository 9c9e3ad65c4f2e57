//! reqwest: outages, hang-ups, order.

use reqwest::{Request, Response};
use tokio::sync::mpsc;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_conn_retry::{ConnErrorKind, Error, Links, Reason, Sent};

use super::calls::{client, get, held, kind, layer, post, post_with_key, spawn, text, within};
use super::server::{Answer, Server};

#[tokio::test]
async fn a_get_through_an_outage_is_answered() {
    let mut server = Server::started().unwrap();
    let service = layer().layer(client());
    let before = service.clone().oneshot(get(server.url("/before")));
    assert_eq!(text(before.await.unwrap()).await, "/before");

    server.stop().await.unwrap();
    let call = spawn(&service, get(server.url("/meanwhile")));
    held(&service.links(), 1).await;
    server.start().unwrap();
    let answer = within(call).await.unwrap().unwrap();
    assert_eq!(text(answer).await, "/meanwhile");
    assert_eq!(server.lines(), ["GET /before", "GET /meanwhile"]);

    let after = service.clone().oneshot(get(server.url("/after")));
    assert_eq!(text(after.await.unwrap()).await, "/after");
    assert_eq!(service.links().subscribe().borrow().down(), 0);
}

/// The connection is kept alive by the client, and closed by the server while it is idle.
#[tokio::test]
async fn an_idle_connection_that_was_closed_costs_nothing() {
    let mut server = Server::started().unwrap();
    let service = layer().layer(client());
    for round in ["/1", "/2", "/3"] {
        let answer = service.clone().oneshot(get(server.url(round)));
        assert_eq!(text(within(answer).await.unwrap()).await, round);
        server.stop().await.unwrap();
        server.start().unwrap();
    }
    assert_eq!(server.lines(), ["GET /1", "GET /2", "GET /3"]);
}

#[tokio::test]
async fn a_get_that_was_read_and_not_answered_is_replayed() {
    let server = Server::started().unwrap();
    let service = layer().layer(client());
    server.next(Answer::HangUp);
    let answer = within(service.oneshot(get(server.url("/")))).await.unwrap();
    assert_eq!(text(answer).await, "/");
    assert_eq!(server.lines(), ["GET /", "GET /"]);
}

#[tokio::test]
async fn a_post_that_was_read_and_not_answered_is_never_read_twice() {
    let server = Server::started().unwrap();
    let service = layer().layer(client());
    server.next(Answer::HangUp);
    let order = post(server.url("/order"), "one");
    let error = within(service.clone().oneshot(order)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotIdempotent);
    assert_eq!((error.sent(), error.attempts()), (Sent::Maybe, 1));
    assert_eq!(kind(&error), Some(ConnErrorKind::Closed));
    assert!(error.to_string().contains("idempotency key"), "{error}");
    assert!(!error.to_string().contains("redirect"), "{error}");
    assert!(error.downcast_ref::<reqwest::Error>().is_some());

    // Nor is it on its way: what comes next is alone.
    let next = service.oneshot(get(server.url("/next"))).await.unwrap();
    assert_eq!(text(next).await, "/next");
    assert_eq!(server.lines(), ["POST /order", "GET /next"]);
}

#[tokio::test]
async fn a_post_with_a_key_is_replayed_with_its_body_and_key() {
    let server = Server::started().unwrap();
    let service = layer().layer(client());
    server.next(Answer::HangUp);
    let order = post_with_key(server.url("/order"), "one", "8e03978e");
    let answer = within(service.oneshot(order)).await.unwrap();
    assert_eq!(text(answer).await, "/order");
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    for order in seen {
        assert_eq!(order.line, "POST /order");
        assert_eq!(order.key.as_deref(), Some("8e03978e"));
        assert_eq!(order.body, b"one");
    }
}

/// What is promised is the order of the calls. The client has a pool of connections, which may
/// overtake each other on the way.
#[tokio::test]
async fn what_was_held_is_called_in_order_and_read_once() {
    let mut server = Server::stopped().unwrap();
    let (called, mut calls) = mpsc::unbounded_channel();
    let service = ServiceBuilder::new()
        .layer(layer())
        .map_request(move |request: Request| {
            called.send(request.url().path().to_owned()).unwrap();
            request
        })
        .service(client());
    outage(&mut server, &service, &service.links()).await;

    let mut paths = Vec::new();
    while let Ok(path) = calls.try_recv() {
        paths.push(path);
    }
    // Before that there are the first attempts, and the probes.
    assert_eq!(paths[paths.len() - 100..], all("/"));
    let mut lines = server.lines();
    let mut expected = all("GET /");
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);
}

/// Where one is on its way at a time, that is the order of arrival too.
#[tokio::test]
async fn what_was_held_arrives_in_order_one_by_one() {
    let mut server = Server::stopped().unwrap();
    let service = ServiceBuilder::new()
        .layer(layer())
        .concurrency_limit(1)
        .service(client());
    outage(&mut server, &service, &service.links()).await;
    assert_eq!(server.lines(), all("GET /"));
}

/// A hundred GETs while the server is down, which is started when all are held.
async fn outage<S>(server: &mut Server, service: &S, links: &Links)
where
    S: Service<Request, Response = Response, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    let paths = all("/");
    let calls: Vec<_> = paths
        .iter()
        .map(|path| spawn(service, get(server.url(path))))
        .collect();
    held(links, 100).await;
    server.start().unwrap();
    for (call, path) in calls.into_iter().zip(paths) {
        let answer = within(call).await.unwrap().unwrap();
        assert_eq!(text(answer).await, path);
    }
}

fn all(prefix: &str) -> Vec<String> {
    (0..100).map(|n| format!("{prefix}{n}")).collect()
}
