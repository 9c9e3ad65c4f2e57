//! HTTP/2 connections through `Reconnect`.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tower::{Layer, ServiceExt};
use tower_conn_retry::http::connection::Http2Connect;
use tower_conn_retry::{Reason, Reconnect, Sent};

use super::calls::{
    SendBody, Streaming, Tally, get, held, layer, post, spawn, stream, text, within,
};
use super::origin::{Origin, Version};

type Client<B> = Reconnect<Http2Connect<HttpConnector, B>, Uri>;

fn client<B: SendBody>(origin: &Origin) -> Client<B> {
    Reconnect::to(Http2Connect::new(HttpConnector::new()), origin.uri())
}

#[tokio::test]
async fn requests_share_a_connection() {
    let origin = Origin::started(Version::H2);
    let service = layer().layer(client::<Full<Bytes>>(&origin));
    let first = spawn(&service, get(origin.url("/hold")));
    origin.has_seen(1).await;
    assert_eq!(
        text(service.oneshot(get(origin.url("/1"))).await).await,
        "/1"
    );
    origin.release();
    assert_eq!(text(within(first).await.unwrap()).await, "/hold");
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn a_streaming_body_to_a_dead_server_is_replayed_whole() {
    let mut origin = Origin::stopped(Version::H2);
    let service = layer().never_copy().layer(client::<Streaming>(&origin));
    let call = spawn(&service, stream(origin.url("/order")));
    held(&service.links(), 1).await;
    origin.start();
    assert_eq!(text(within(call).await.unwrap()).await, "/order");
    assert_eq!(origin.lines(), ["POST /order"]);
    assert_eq!(
        origin.seen()[0].body.as_deref(),
        Some(&b"one two three"[..])
    );
}

#[tokio::test]
async fn a_reset_replays_the_gets_and_not_the_posts() {
    let origin = Origin::started(Version::H2);
    let service = layer().layer(client(&origin));
    let order = spawn(&service, post(origin.url("/hold/order"), "one"));
    origin.has_seen(1).await;
    let read = spawn(&service, get(origin.url("/hold")));
    origin.has_seen(2).await;
    origin.reset().await;
    origin.release();
    let error = within(order).await.unwrap().unwrap_err();
    assert_eq!(
        (error.reason(), error.sent()),
        (Reason::NotIdempotent, Sent::Maybe)
    );
    assert_eq!(text(within(read).await.unwrap()).await, "/hold");
    assert_eq!(
        origin.lines(),
        ["POST /hold/order", "GET /hold", "GET /hold"]
    );
}

/// What the GOAWAY leaves is answered on the old connection, what comes later goes to a new one. The
/// first of them finds out: hyper hands it back.
#[tokio::test]
async fn a_graceful_goaway_fails_nobody() {
    let origin = Origin::started(Version::H2);
    let tally = Arc::new(Tally::default());
    let service = layer()
        .observer(tally.clone())
        .never_copy()
        .layer(client::<Streaming>(&origin));
    let first = spawn(&service, get(origin.url("/hold")));
    origin.has_seen(1).await;
    for round in 1..=10 {
        origin.close_gracefully();
        let calls: Vec<_> = (0..20)
            .map(|n| spawn(&service, stream(origin.url(&format!("/order/{round}/{n}")))))
            .collect();
        for call in calls {
            text(within(call).await.unwrap()).await;
        }
    }
    assert_eq!(tally.downs(), 0);
    origin.release();
    assert_eq!(text(within(first).await.unwrap()).await, "/hold");
    let mut lines = origin.lines();
    lines.sort();
    lines.dedup();
    assert_eq!((lines.len(), origin.seen().len()), (201, 201));
    assert!(origin.connections() > 5, "{}", origin.connections());
}

/// Requests that the GOAWAY meets on their way are handed back or refused, and replayed. Unless the
/// server closes with some of them unread: then the end of the connection may come first, which is
/// no proof.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goaways_under_load_double_nothing() {
    let origin = Origin::started(Version::H2);
    let service = layer().layer(client::<Full<Bytes>>(&origin));
    let mut calls = Vec::new();
    for n in 0..400 {
        let order = post(origin.url(&format!("/order/{n}")), "one");
        calls.push(spawn(&service, order));
        if n % 40 == 39 {
            origin.close_gracefully();
            tokio::task::yield_now().await;
        }
    }
    let mut failed = 0;
    for call in calls {
        match within(call).await.unwrap() {
            Ok(answer) => drop(text(Ok(answer)).await),
            Err(error) => {
                assert_eq!(error.sent(), Sent::Maybe, "{error:?}");
                failed += 1;
            }
        }
    }
    let mut lines = origin.lines();
    let seen = lines.len();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), seen);
    assert!((400 - failed..=400).contains(&seen), "{seen}, {failed}");
}
