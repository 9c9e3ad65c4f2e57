//! reqwest 0.12, whose types are others than 0.13's: the same promises.

use std::time::Duration;

use reqwest_0_12::{Client, Method, Request};
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_conn_retry::outbox::HttpCodec;
use tower_conn_retry::{
    Codec, ConnErrorKind, IdempotencyKeyLayer, Reason, Sent, UnavailableLayer, classify,
};

use super::calls::{held, kind, layer, spawn, within};
use super::server::{Answer, Server};

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

fn request(method: Method, url: String) -> Request {
    Request::new(method, url.parse().unwrap())
}

fn post(url: String) -> Request {
    let mut request = request(Method::POST, url);
    *request.body_mut() = Some("one".into());
    request
}

#[tokio::test]
async fn a_get_through_an_outage_is_answered() {
    let mut server = Server::started().unwrap();
    let service = layer().layer(client());
    let url = server.url("/");
    server.stop().await.unwrap();
    let call = spawn(&service, request(Method::GET, url));
    held(&service.links(), 1).await;
    server.start().unwrap();
    let answer = within(call).await.unwrap().unwrap();
    assert_eq!(answer.text().await.unwrap(), "/");
    assert_eq!(server.lines(), ["GET /"]);
}

#[tokio::test]
async fn a_post_that_was_read_and_not_answered_is_never_read_twice() {
    let server = Server::started().unwrap();
    server.next(Answer::HangUp);
    let call = layer().layer(client()).oneshot(post(server.url("/order")));
    let error = within(call).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotIdempotent);
    assert_eq!(kind(&error), Some(ConnErrorKind::Closed));
    assert_eq!((error.sent(), error.attempts()), (Sent::Maybe, 1));
    assert!(error.downcast_ref::<reqwest_0_12::Error>().is_some());
    assert_eq!(server.lines(), ["POST /order"]);
}

#[tokio::test]
async fn a_post_with_a_key_is_replayed_with_its_body_and_key() {
    let server = Server::started().unwrap();
    server.next(Answer::HangUp);
    let service = ServiceBuilder::new()
        .layer(IdempotencyKeyLayer::new())
        .layer(layer())
        .layer(UnavailableLayer::new())
        .service(client());
    let answer = within(service.oneshot(post(server.url("/order")))).await;
    assert_eq!(answer.unwrap().status(), 200);
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[0].key.is_some());
    assert!(seen.iter().all(|order| order.key == seen[0].key));
    assert!(seen.iter().all(|order| order.body == b"one"));
}

/// The trap: nothing in the error tells that the first server has read the request.
#[tokio::test]
async fn a_post_that_was_redirected_to_where_nobody_is_was_perhaps_sent() {
    let gone = Server::stopped().unwrap().url("/moved");
    let nowhere = "http://no-such-host.invalid/moved".to_owned();
    for (to, of, reason) in [
        (gone, ConnErrorKind::Refused, Reason::NotIdempotent),
        (nowhere, ConnErrorKind::Dns, Reason::Permanent),
    ] {
        let first = Server::started().unwrap();
        first.next(Answer::Head(format!(
            "307 Temporary Redirect\r\nLocation: {to}"
        )));
        let call = layer().layer(client()).oneshot(post(first.url("/order")));
        let error = within(call).await.unwrap_err();
        assert_eq!((kind(&error), error.reason()), (Some(of), reason));
        assert_eq!(error.conn_error().map(|error| error.sent()), Some(Sent::No));
        assert_eq!(error.sent(), Sent::Maybe, "{to}");
        assert_eq!(first.lines(), ["POST /order"]);
    }
}

#[tokio::test]
async fn a_post_is_replayed_from_a_failed_connect_where_redirects_are_off() {
    let mut server = Server::stopped().unwrap();
    let policy = reqwest_0_12::redirect::Policy::none();
    let client = Client::builder().no_proxy().redirect(policy);
    let service = layer().redirects_off().layer(client.build().unwrap());
    let call = spawn(&service, post(server.url("/order")));
    held(&service.links(), 1).await;
    server.start().unwrap();
    assert_eq!(within(call).await.unwrap().unwrap().status(), 200);
    assert_eq!(server.lines(), ["POST /order"]);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    // The kernel accepts, and nobody answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let mut get = request(Method::GET, url);
    *get.timeout_mut() = Some(Duration::from_millis(50));
    let error = client().execute(get).await.unwrap_err();
    let found = classify(&error).unwrap();
    assert_eq!(
        (found.kind(), found.sent()),
        (ConnErrorKind::Timeout, Sent::Maybe)
    );
}

#[tokio::test]
async fn what_is_not_about_the_connection() {
    let bad_url = client().get("nonsense").send().await.unwrap_err();
    assert!(classify(&bad_url).is_none());
    let server = Server::started().unwrap();
    server.next(Answer::Head("404 Not Found".into()));
    let answer = client().get(server.url("/")).send().await.unwrap();
    assert!(classify(&answer.error_for_status().unwrap_err()).is_none());
}

#[test]
fn an_outbox_stores_it_and_either_version_reads_it() {
    let mut request = post("https://robot.example/rooms?floor=2".to_owned());
    *request.timeout_mut() = Some(Duration::from_millis(1_500));
    let headers = request.headers_mut();
    headers.insert("x-room", "7".parse().unwrap());
    let mut bytes = Vec::new();
    HttpCodec.encode(&request, &mut bytes).unwrap();

    let same: Request = HttpCodec.decode(&bytes).unwrap();
    let other: reqwest::Request = HttpCodec.decode(&bytes).unwrap();
    for (method, url, headers, timeout, body) in [
        (
            same.method(),
            same.url(),
            same.headers(),
            same.timeout(),
            same.body().and_then(|body| body.as_bytes()),
        ),
        (
            other.method(),
            other.url(),
            other.headers(),
            other.timeout(),
            other.body().and_then(|body| body.as_bytes()),
        ),
    ] {
        assert_eq!((method, url), (request.method(), request.url()));
        assert_eq!((headers, timeout), (request.headers(), request.timeout()));
        assert_eq!(body, Some(&b"one"[..]));
    }
}
