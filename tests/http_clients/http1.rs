//! HTTP/1.1 connections through `Reconnect`.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Channel, Full};
use hyper::{Request, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower::{Layer, Service, ServiceExt};
use tower_conn_retry::http::connection::{Http1Connect, Http1Connection};
use tower_conn_retry::{ConnErrorKind, Reason, Reconnect, Sent, classify, is_conn_error};

use super::calls::{
    SendBody, Streaming, Tally, get, held, layer, post, spawn, stream, text, within,
};
use super::closing::read_head;
use super::origin::{Origin, Version};

type Client<B> = Reconnect<Http1Connect<HttpConnector, B>, Uri>;

fn client<B: SendBody>(origin: &Origin) -> Client<B> {
    Reconnect::to(Http1Connect::new(HttpConnector::new()), origin.uri())
}

async fn connection<B: SendBody>(origin: &Origin) -> Http1Connection<B> {
    let connect = Http1Connect::new(HttpConnector::new());
    within(connect.oneshot(origin.uri())).await.unwrap()
}

#[tokio::test]
async fn a_request_goes_out_in_origin_form_with_a_host() {
    let origin = Origin::started(Version::H1);
    let mut connection = connection::<Full<Bytes>>(&origin).await;
    let answer = connection.call(get(origin.url("/a?b"))).await.unwrap();
    assert_eq!(answer.status(), 200);
    let seen = &origin.seen()[0];
    assert_eq!(seen.line, "GET /a");
    assert_eq!(seen.host.as_deref(), Some(&*origin.address.to_string()));
}

#[tokio::test]
async fn calls_outlive_the_service() {
    let origin = Origin::started(Version::H1);
    let mut service = client::<Full<Bytes>>(&origin);
    let paths = ["/hold", "/1"];
    let calls = paths.map(|path| tokio::spawn(service.call(get(origin.url(path)))));
    origin.has_seen(1).await;
    // Both were handed over, and the second one waits behind the first.
    tokio::task::yield_now().await;
    drop(service);
    origin.release();
    for (call, path) in calls.into_iter().zip(paths) {
        let answer = within(call).await.unwrap().unwrap();
        let body = within(answer.into_body().collect()).await.unwrap();
        assert_eq!(body.to_bytes(), path);
    }
}

#[tokio::test]
async fn it_takes_one_request_at_a_time_in_the_order_of_the_calls() {
    let origin = Origin::started(Version::H1);
    let mut connection = connection::<Full<Bytes>>(&origin).await;
    let paths = ["/hold", "/1", "/2", "/3"];
    let calls: Vec<_> = paths
        .iter()
        .map(|path| tokio::spawn(connection.call(get(origin.url(path)))))
        .collect();
    origin.has_seen(1).await;
    assert_eq!(origin.lines(), ["GET /hold"]);
    origin.release();
    for (call, path) in calls.into_iter().zip(paths) {
        let answer = within(call).await.unwrap().unwrap();
        let body = within(answer.into_body().collect()).await.unwrap();
        assert_eq!(body.to_bytes(), path);
    }
    assert_eq!(origin.lines(), ["GET /hold", "GET /1", "GET /2", "GET /3"]);
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn who_is_not_polled_or_dropped_while_it_waits_holds_up_nobody() {
    let origin = Origin::started(Version::H1);
    let mut connection = connection::<Full<Bytes>>(&origin).await;
    let first = tokio::spawn(connection.call(get(origin.url("/hold"))));
    origin.has_seen(1).await;
    let dropped = connection.call(get(origin.url("/dropped")));
    let stalled = connection.call(get(origin.url("/stalled")));
    let last = tokio::spawn(connection.call(get(origin.url("/last"))));
    drop(dropped);
    origin.release();
    within(first).await.unwrap().unwrap();
    // hyper sends it to nobody in particular; its answer waits.
    within(last).await.unwrap().unwrap();
    within(stalled).await.unwrap();
    assert_eq!(origin.lines(), ["GET /hold", "GET /stalled", "GET /last"]);
}

/// Reads a little of its first connection and no more, and answers one request of each other one. Tells when it
/// has read that little.
fn stalled_first(listener: TcpListener) -> oneshot::Receiver<()> {
    let (stalled, first) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stuck, _) = listener.accept().await.unwrap();
        stuck.read_exact(&mut [0; 64]).await.unwrap();
        stalled.send(()).unwrap();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await.unwrap();
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    });
    first
}

/// More than the kernels take.
const LARGE: usize = 64 << 20;

#[tokio::test]
async fn an_upload_that_the_peer_does_not_read_goes_with_its_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let stalled = stalled_first(listener);
    let connect = Http1Connect::<_, Full<Bytes>>::new(HttpConnector::new());
    let tally = Arc::<Tally>::default();
    let layer = layer().observer(tally.clone());
    let service = layer.layer(Reconnect::to(connect, url.parse().unwrap()));
    let upload = Request::post(&url).body(Full::from(vec![0; LARGE]));
    let upload = spawn(&service, upload.unwrap());
    within(stalled).await.unwrap();
    // It waits behind the upload.
    let mut behind = Box::pin(service.clone().oneshot(get(url.clone())));
    assert!((&mut behind).now_or_never().is_none());
    upload.abort();
    assert!(within(upload).await.unwrap_err().is_cancelled());
    assert_eq!(within(behind).await.unwrap().status(), 204);
    // The peer may have been silent, so that is a failure of who has waited, and was not sent.
    assert_eq!((tally.failed(), tally.downs()), (1, 0));
    let after = within(service.oneshot(get(url))).await.unwrap();
    assert_eq!(after.status(), 204);
}

/// There is nothing wrong with the server, so those who wait behind go on, and no link is down.
#[tokio::test]
async fn uploads_whose_own_bodies_fail_hold_up_nobody() {
    let origin = Origin::started(Version::H1);
    let tally = Arc::<Tally>::default();
    let layer = layer().observer(tally.clone()).never_copy();
    let service = layer.layer(client::<Streaming>(&origin));
    for number in 1..=5 {
        let (sender, body) = Channel::<Bytes, std::io::Error>::new(1);
        let upload = Request::post(origin.url("/upload")).body(body.boxed_unsync());
        let upload = spawn(&service, upload.unwrap());
        origin.has_seen(2 * number - 1).await;
        let mut behind = Box::pin(service.clone().oneshot(stream(origin.url("/behind"))));
        assert!((&mut behind).now_or_never().is_none());
        sender.abort(std::io::ErrorKind::ConnectionReset.into());
        let error = within(upload).await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Reason::NotConnError, "{error}");
        assert_eq!(text(within(behind).await).await, "/behind");
        assert_eq!((tally.failed(), tally.downs()), (0, 0));
    }
}

/// So it is if that was answered before.
#[tokio::test]
async fn an_upload_whose_own_body_fails_after_the_answer_holds_up_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                read_head(&mut stream).await.unwrap();
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                stream.write_all(answer).await.unwrap();
                // Until the client closes it.
                while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    let tally = Arc::<Tally>::default();
    let layer = layer().observer(tally.clone()).never_copy();
    let connect = Http1Connect::<_, Streaming>::new(HttpConnector::new());
    let service = layer.layer(Reconnect::to(connect, url.parse().unwrap()));
    let (sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    let upload = Request::post(&url).body(body.boxed_unsync()).unwrap();
    assert_eq!(
        text(within(service.clone().oneshot(upload)).await).await,
        "ok"
    );
    let mut behind = Box::pin(service.clone().oneshot(stream(url)));
    assert!((&mut behind).now_or_never().is_none());
    sender.abort(std::io::ErrorKind::ConnectionReset.into());
    assert_eq!(text(within(behind).await).await, "ok");
    assert_eq!((tally.failed(), tally.downs()), (0, 0));
}

#[tokio::test]
async fn it_ends_when_the_last_clone_and_the_last_answer_are_gone() {
    let origin = Origin::started(Version::H1);
    let connection = connection::<Full<Bytes>>(&origin).await;
    let mut clone = connection.clone();
    drop(connection);
    let call = clone.call(get(origin.url("/1")));
    drop(clone);
    let answer = within(call).await.unwrap();
    let body = within(answer.into_body().collect()).await.unwrap();
    assert_eq!(body.to_bytes(), "/1");
    origin.all_closed().await;
}

#[tokio::test]
async fn a_dead_connection_says_so_and_hands_back_what_waits() {
    let mut origin = Origin::started(Version::H1);
    let mut connection = connection::<Streaming>(&origin).await;
    let first = tokio::spawn(connection.call(get(origin.url("/hold"))));
    origin.has_seen(1).await;
    let waits = tokio::spawn(connection.call(stream(origin.url("/order"))));
    origin.kill().await;

    let error = within(first).await.unwrap().unwrap_err();
    let found = classify(&error).unwrap();
    assert_eq!(found.sent(), Sent::Maybe, "{error:?}");
    assert!(error.take_request().is_none());

    let error = within(waits).await.unwrap().unwrap_err();
    let found = classify(&error).unwrap();
    assert_eq!(found.sent(), Sent::No, "{error:?}");
    let request = error.take_request().unwrap();
    assert_eq!(request.uri(), &*origin.url("/order"));
    assert!(request.headers().is_empty());
    let body = within(request.into_body().collect()).await.unwrap();
    assert_eq!(body.to_bytes(), "one two three");

    let dead = std::future::poll_fn(|cx| Service::<Request<_>>::poll_ready(&mut connection, cx));
    let error = within(dead).await.unwrap_err();
    assert_eq!(classify(&error).map(|found| found.sent()), Some(Sent::No));
    assert!(connection.is_closed());
    let late = connection.call(stream(origin.url("/late")));
    let error = within(late).await.unwrap_err();
    assert!(error.take_request().is_some());
    assert_eq!(origin.lines(), ["GET /hold"]);
}

#[test]
fn a_lost_runtime_hands_back_what_waits() {
    let start = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let lost = start();
    let (_origin, first, waits) = lost.block_on(async {
        let origin = Origin::started(Version::H1);
        let mut connection = connection::<Streaming>(&origin).await;
        let first = connection.call(get(origin.url("/hold")));
        let waits = connection.call(stream(origin.url("/order")));
        origin.has_seen(1).await;
        (origin, first, waits)
    });
    drop(lost);
    start().block_on(async {
        let error = within(first).await.unwrap_err();
        assert_eq!(classify(&error).unwrap().sent(), Sent::Maybe);
        let error = within(waits).await.unwrap_err();
        assert_eq!(classify(&error).unwrap().sent(), Sent::No);
        assert!(error.take_request().is_some());
    });
}

#[tokio::test]
async fn a_streaming_body_that_waited_is_replayed_whole_after_a_restart() {
    let origin = Origin::started(Version::H1);
    let service = layer().never_copy().layer(client::<Streaming>(&origin));
    let first = spawn(&service, get(origin.url("/hold")));
    origin.has_seen(1).await;
    let waits = spawn(&service, stream(origin.url("/order")));
    tokio::task::yield_now().await;
    origin.reset().await;

    let error = within(first).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Reason::NotReplayable);
    assert_eq!((error.sent(), error.attempts()), (Sent::Maybe, 1));
    assert_eq!(text(within(waits).await.unwrap()).await, "/order");
    assert_eq!(origin.lines(), ["GET /hold", "POST /order"]);
    assert_eq!(
        origin.seen()[1].body.as_deref(),
        Some(&b"one two three"[..])
    );
}

#[tokio::test]
async fn a_streaming_body_to_a_dead_server_is_replayed_whole() {
    let mut origin = Origin::stopped(Version::H1);
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
async fn a_post_that_was_read_is_not_replayed() {
    let origin = Origin::started(Version::H1);
    let service = layer().layer(client(&origin));
    let call = spawn(&service, post(origin.url("/hold"), "one"));
    origin.has_seen(1).await;
    origin.reset().await;
    let error = within(call).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Reason::NotIdempotent);
    assert_eq!(error.sent(), Sent::Maybe);
    assert_eq!(
        text(service.oneshot(get(origin.url("/next"))).await).await,
        "/next"
    );
    assert_eq!(origin.lines(), ["POST /hold", "GET /next"]);
}

#[tokio::test]
async fn a_get_that_was_read_is_replayed_if_it_can_be_copied() {
    let origin = Origin::started(Version::H1);
    let service = layer().layer(client::<Full<Bytes>>(&origin));
    let call = spawn(&service, get(origin.url("/hold")));
    origin.has_seen(1).await;
    origin.reset().await;
    origin.release();
    assert_eq!(text(within(call).await.unwrap()).await, "/hold");
    assert_eq!(origin.lines(), ["GET /hold", "GET /hold"]);
}

/// It ends with the head: what comes later is the body's error, and nobody replays it.
#[tokio::test]
async fn a_body_that_breaks_off_is_not_replayed_and_can_be_recognised() {
    let origin = Origin::started(Version::H1);
    let service = layer().layer(client::<Full<Bytes>>(&origin));
    let answer = within(service.oneshot(get(origin.url("/breaks"))))
        .await
        .unwrap();
    let mut body = answer.into_body();
    let frame = within(body.frame()).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "half of it");
    origin.reset().await;
    let error = within(body.frame()).await.unwrap().unwrap_err();
    assert!(is_conn_error(&error), "{error:?}");
    assert_eq!(origin.lines(), ["GET /breaks"]);
}

#[tokio::test]
async fn a_server_that_never_comes_back_is_a_refused_connection() {
    let origin = Origin::stopped(Version::H1);
    let service = layer()
        .max_attempts(2)
        .layer(client::<Full<Bytes>>(&origin));
    let error = within(service.oneshot(get(origin.url("/1"))))
        .await
        .unwrap_err();
    let found = error.conn_error().unwrap();
    assert_eq!(
        (found.kind(), found.sent()),
        (ConnErrorKind::Refused, Sent::No)
    );
    assert_eq!(
        (error.reason(), error.sent()),
        (Reason::AttemptsExhausted, Sent::No)
    );
}
