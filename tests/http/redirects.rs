//! The trap: after a redirect the first server has read the request, and nothing in the error of the
//! second one tells.

use http_body_util::Full;
use hyper::body::Bytes;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_conn_retry::{ConnErrorKind, Reason, ReplayBody, ReplayBodyLayer, Sent};

use super::calls::{
    client, client_without_redirects, get, held, kind, layer, post, post_with_key, spawn, text,
    within,
};
use super::server::{Answer, Server};

/// Method and body are kept: 307.
fn redirect(to: &Server) -> Answer {
    let location = to.url("/moved");
    Answer::Head(format!("307 Temporary Redirect\r\nLocation: {location}"))
}

#[tokio::test]
async fn a_post_that_was_redirected_to_a_dead_server_is_not_replayed() {
    let first = Server::started().unwrap();
    let mut second = Server::stopped().unwrap();
    first.next(redirect(&second));
    let service = layer().layer(client());

    let order = post(first.url("/order"), "one");
    let error = within(service.clone().oneshot(order)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotIdempotent);
    assert_eq!(kind(&error), Some(ConnErrorKind::Refused));
    // What was seen is that the connection failed. It says nothing about the request.
    assert_eq!(error.conn_error().map(|error| error.sent()), Some(Sent::No));
    assert_eq!(error.sent(), Sent::Maybe);
    let text = error.to_string();
    assert!(text.contains("redirect::Policy::none()"), "{text}");
    assert!(text.contains(".redirects_off()"), "{text}");
    assert!(text.contains("Idempotency-Key"), "{text}");

    // It was read once, and is not on its way.
    second.start().unwrap();
    let next = service.oneshot(get(second.url("/next"))).await.unwrap();
    assert_eq!(next.status(), 200);
    assert_eq!(first.lines(), ["POST /order"]);
    assert_eq!(second.lines(), ["GET /next"]);
}

#[tokio::test]
async fn a_post_with_a_key_is_replayed_from_the_first_server_on() {
    let first = Server::started().unwrap();
    let mut second = Server::stopped().unwrap();
    for _ in 0..100 {
        first.next(redirect(&second));
    }
    let service = layer().layer(client());
    let order = post_with_key(first.url("/order"), "one", "8e03978e");
    let call = spawn(&service, order);
    held(&service.links(), 1).await;
    second.start().unwrap();
    let answer = within(call).await.unwrap().unwrap();
    assert_eq!(text(answer).await, "/moved");

    assert_eq!(second.lines(), ["POST /moved"]);
    assert!(first.seen().len() >= 2, "{:?}", first.seen());
    for order in first.seen().into_iter().chain(second.seen()) {
        assert_eq!(order.key.as_deref(), Some("8e03978e"));
        assert_eq!(order.body, b"one");
    }
}

/// Nor if it was not reqwest's when the layer had it.
#[tokio::test]
async fn a_stream_that_was_redirected_to_a_dead_server_is_not_replayed() {
    let first = Server::started().unwrap();
    let second = Server::stopped().unwrap();
    first.next(Answer::Head(format!(
        "303 See Other\r\nLocation: {}", // reqwest can't send a stream twice, so not 307
        second.url("/moved")
    )));
    let client = client();
    let service = ServiceBuilder::new()
        .layer(ReplayBodyLayer::new(100))
        .layer(layer())
        .service_fn(move |request: http::Request<ReplayBody<Full<Bytes>>>| {
            let client = client.clone();
            async move {
                let request = request.map(reqwest::Body::wrap);
                client.execute(request.try_into()?).await
            }
        });
    let order = http::Request::post(first.url("/order"));
    let order = order.body(Full::from("one")).unwrap();
    let error = within(service.oneshot(order)).await.unwrap_err();
    assert_eq!(kind(&error), Some(ConnErrorKind::Refused));
    assert_eq!(error.reason(), Reason::NotIdempotent);
    assert_eq!(error.sent(), Sent::Maybe);
    assert_eq!(first.lines(), ["POST /order"]);
}

/// The careful reading holds for every failed connect, since it could have been a second one.
#[tokio::test]
async fn a_post_to_a_dead_server_is_not_replayed_either() {
    let server = Server::stopped().unwrap();
    let order = post(server.url("/order"), "one");
    let error = within(layer().layer(client()).oneshot(order))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::NotIdempotent);
    assert_eq!((error.sent(), error.attempts()), (Sent::Maybe, 1));
    assert!(error.to_string().contains(".redirects_off()"), "{error}");
}

#[tokio::test]
async fn with_redirects_off_a_post_to_a_dead_server_is_replayed() {
    let mut server = Server::stopped().unwrap();
    let service = layer().redirects_off().layer(client_without_redirects());
    let call = spawn(&service, post(server.url("/order"), "one"));
    held(&service.links(), 1).await;
    server.start().unwrap();
    let answer = within(call).await.unwrap().unwrap();
    assert_eq!(text(answer).await, "/order");
    assert_eq!(server.lines(), ["POST /order"]);
    assert_eq!(server.seen()[0].body, b"one");
}

/// It is about failed connects only.
#[tokio::test]
async fn with_redirects_off_a_post_that_was_read_is_not_replayed() {
    let server = Server::started().unwrap();
    server.next(Answer::HangUp);
    let service = layer().redirects_off().layer(client_without_redirects());
    let order = post(server.url("/order"), "one");
    let error = within(service.clone().oneshot(order)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotIdempotent);
    assert_eq!(error.sent(), Sent::Maybe);
    let next = service.oneshot(get(server.url("/next"))).await.unwrap();
    assert_eq!(next.status(), 200);
    assert_eq!(server.lines(), ["POST /order", "GET /next"]);
}
