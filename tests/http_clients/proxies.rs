//! A proxy between client and server: what it answers is an answer, unless the client asked it for a
//! tunnel.

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_conn_retry::{ConnErrorKind, Destination, Outlook, Reason, Sent};

use super::calls::{layer, post, within};
use super::origin::{Origin, Version};

/// Answers everything with this, and closes.
async fn proxy(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}")
}

type Tunnelled = Client<Tunnel<HttpConnector>, Full<Bytes>>;

fn through(proxy: String) -> Tunnelled {
    let tunnel = Tunnel::new(proxy.parse().unwrap(), HttpConnector::new());
    Client::builder(TokioExecutor::new()).build(tunnel)
}

/// There is no connection to the server then, so the request was not sent; that the proxy is there
/// says nothing about the server.
#[tokio::test]
async fn a_tunnel_that_is_refused_is_a_failed_connect() {
    for (refusal, kind) in [
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", ConnErrorKind::Other),
        ("", ConnErrorKind::Closed),
    ] {
        let service = layer().max_attempts(2).layer(through(proxy(refusal).await));
        let order = post("http://away.example/order".into(), "one");
        let error = within(service.clone().oneshot(order)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::AttemptsExhausted, "{error:?}");
        assert_eq!((error.sent(), error.attempts()), (Sent::No, 2));
        let found = error.conn_error().unwrap();
        assert_eq!((found.kind(), found.outlook()), (kind, Outlook::Transient));
        let status = service.links().status();
        let to = Destination::new("http://away.example");
        assert_eq!(status[0].destination(), &to);
    }
}

#[tokio::test]
async fn wrong_credentials_for_a_tunnel_are_not_tried_again() {
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
    let service = layer().max_attempts(2).layer(through(proxy(refusal).await));
    let order = post("http://away.example/order".into(), "one");
    let error = within(service.oneshot(order)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Permanent, "{error:?}");
    assert_eq!((error.sent(), error.attempts()), (Sent::No, 1));
}

#[cfg(feature = "_tests")]
#[tokio::test]
async fn nor_are_they_by_reqwest() {
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
    let client = reqwest::Client::builder()
        .proxy(reqwest::Proxy::all(proxy(refusal).await).unwrap())
        .tls_backend_native()
        .build()
        .unwrap();
    let service = layer().redirects_off().max_attempts(2).layer(client);
    let url = "https://away.example/".parse().unwrap();
    let order = reqwest::Request::new(reqwest::Method::POST, url);
    let error = within(service.oneshot(order)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Permanent, "{error:?}");
    assert_eq!((error.sent(), error.attempts()), (Sent::No, 1));
}

#[tokio::test]
async fn a_proxy_that_is_away_is_a_refused_connection() {
    let away = Origin::stopped(Version::H1);
    let service = layer().max_attempts(2).layer(through(away.url("")));
    let order = post("http://away.example/order".into(), "one");
    let error = within(service.oneshot(order)).await.unwrap_err();
    assert_eq!(error.sent(), Sent::No);
    let kind = error.conn_error().unwrap().kind();
    assert_eq!(kind, ConnErrorKind::Refused, "{error:?}");
}

/// Without a tunnel (`http://` through a forward proxy) its answer is the answer.
#[tokio::test]
async fn what_a_forward_proxy_answers_is_an_answer() {
    let bad = proxy("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    let client = reqwest::Client::builder()
        .proxy(reqwest::Proxy::all(bad).unwrap())
        .build()
        .unwrap();
    let url = "http://away.example/".parse().unwrap();
    let request = reqwest::Request::new(reqwest::Method::GET, url);
    let answer = within(layer().layer(client).oneshot(request)).await;
    assert_eq!(answer.unwrap().status(), 502);
}

#[tokio::test]
async fn a_forward_proxy_that_is_away_proves_that_nothing_was_sent() {
    let away = Origin::stopped(Version::H1);
    let client = reqwest::Client::builder()
        .proxy(reqwest::Proxy::all(away.url("")).unwrap())
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let service = layer().redirects_off().max_attempts(2).layer(client);
    let url = "http://away.example/".parse().unwrap();
    let order = reqwest::Request::new(reqwest::Method::POST, url);
    let error = within(service.oneshot(order)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::AttemptsExhausted);
    assert_eq!((error.sent(), error.attempts()), (Sent::No, 2));
    assert_eq!(error.conn_error().unwrap().kind(), ConnErrorKind::Refused);
}
