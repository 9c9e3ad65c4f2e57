//! Answers that say "try again later".

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use reqwest::{Request, Response};
use tokio::time::Instant;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_conn_retry::{
    ConnErrorKind, Error, IdempotencyKeyLayer, Reason, RetryOnConnErr, Sent, Unavailable,
    UnavailableLayer,
};

use super::calls::{client, get, kind, layer, post, text, within};
use super::server::{Answer, Server};

fn service(
    retry: RetryOnConnErr,
    unavailable: UnavailableLayer,
) -> impl Service<Request, Response = Response, Error = Error> + Clone {
    ServiceBuilder::new()
        .layer(retry)
        .layer(unavailable)
        .service(client())
}

fn head(head: &str) -> Answer {
    Answer::Head(head.to_owned())
}

#[tokio::test]
async fn a_get_outlasts_a_503() {
    let server = Server::started().unwrap();
    for _ in 0..3 {
        server.next(head("503 Service Unavailable"));
    }
    let service = service(layer(), UnavailableLayer::new());
    let answer = within(service.oneshot(get(server.url("/")))).await.unwrap();
    assert_eq!(text(answer).await, "/");
    assert_eq!(server.lines(), ["GET /"; 4]);
}

#[tokio::test]
async fn the_same_with_hyper() {
    let server = Server::started().unwrap();
    server.next(head("503 Service Unavailable"));
    let service = ServiceBuilder::new()
        .layer(layer())
        .layer(UnavailableLayer::new())
        .service(Client::builder(TokioExecutor::new()).build_http());
    let request = http::Request::get(server.url("/"));
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let answer = within(service.oneshot(request)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(server.lines(), ["GET /"; 2]);
}

#[tokio::test]
async fn a_post_with_a_key_is_replayed_and_one_without_is_not() {
    for key in [true, false] {
        let server = Server::started().unwrap();
        server.next(head("503 Service Unavailable"));
        let service = ServiceBuilder::new()
            .option_layer(key.then(IdempotencyKeyLayer::new))
            .service(service(layer(), UnavailableLayer::new()));
        let result = within(service.oneshot(post(server.url("/"), "one"))).await;
        if key {
            assert_eq!(text(result.unwrap()).await, "/");
            continue;
        }
        let error = result.unwrap_err();
        assert_eq!(error.reason(), Reason::NotIdempotent);
        assert_eq!(error.sent(), Sent::Maybe);
        assert_eq!(kind(&error), Some(ConnErrorKind::Other));
        let answer: &Unavailable = error.downcast_ref().unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(server.lines(), ["POST /"]);
    }
}

#[tokio::test]
async fn who_gives_up_has_the_answer() {
    let server = Server::started().unwrap();
    for _ in 0..2 {
        server.next(head("503 Busy\r\nx-why: maintenance\r\nRetry-After: 86400"));
    }
    let unavailable = UnavailableLayer::new().max_retry_after(Duration::from_millis(20));
    let service = service(layer().max_attempts(2), unavailable);
    let error = within(service.oneshot(get(server.url("/"))))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::AttemptsExhausted);
    let answer: &Unavailable = error.downcast_ref().unwrap();
    assert_eq!(answer.headers()["x-why"], "maintenance");
    assert_eq!(answer.headers()["retry-after"], "86400");
    assert_eq!(answer.retry_after(), Some(Duration::from_millis(20)));
}

#[tokio::test]
async fn the_statuses_are_the_users_choice() {
    let gateway = [StatusCode::BAD_GATEWAY, StatusCode::GATEWAY_TIMEOUT];
    for (unavailable, waits_for) in [
        (UnavailableLayer::new(), vec!["503"]),
        (
            UnavailableLayer::new().statuses(gateway),
            vec!["502", "504"],
        ),
    ] {
        for status in ["200", "404", "429", "500", "502", "503", "504"] {
            let server = Server::started().unwrap();
            server.next(head(&format!("{status} So")));
            let service = service(layer(), unavailable.clone());
            let answer = within(service.oneshot(get(server.url("/")))).await.unwrap();
            let replayed = waits_for.contains(&status);
            assert_eq!(server.lines().len(), 1 + usize::from(replayed), "{status}");
            assert_eq!(
                answer.status().as_str() == status,
                status == "200" || !replayed
            );
        }
    }
}

/// Virtual time, and a service that is no server.
#[tokio::test(start_paused = true)]
async fn retry_after_is_the_earliest_time_of_the_next_probe() {
    for (retry_after, waits) in [
        ("10", 10),
        ("0", 0),
        ("3600", 60), // the cap
        ("Fri, 31 Dec 1999 23:59:59 GMT", 29),
        ("later", 0),
    ] {
        let began = Instant::now();
        let first = Arc::new(AtomicBool::new(true));
        let service = ServiceBuilder::new()
            .layer(RetryOnConnErr::new().backoff(|| std::iter::repeat(Duration::from_millis(10))))
            .layer(UnavailableLayer::new())
            .service_fn(move |_: http::Request<()>| {
                let answer = http::Response::builder();
                let answer = if first.swap(false, Ordering::Relaxed) {
                    answer
                        .status(503)
                        .header("Retry-After", retry_after)
                        .header("Date", "Fri, 31 Dec 1999 23:59:30 GMT")
                } else {
                    answer
                };
                ready(Ok::<_, Infallible>(answer.body(()).unwrap()))
            });
        let answer = service.oneshot(http::Request::new(())).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(began.elapsed().as_secs(), waits, "{retry_after}");
    }
}
