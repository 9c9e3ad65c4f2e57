//! What is none of the connection's matters is not touched.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Layer, ServiceExt};
use tower_conn_retry::{Reason, Sent};

use super::calls::{client, get, layer, within};
use super::server::{Answer, Server};

#[tokio::test]
async fn an_error_status_is_an_answer() {
    let server = Server::started().unwrap();
    server.next(Answer::Head("503 Service Unavailable".into()));
    let service = layer().layer(client());
    let answer = within(service.oneshot(get(server.url("/")))).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(server.lines(), ["GET /"]);
}

/// A body of the caller's own that fails with what looks like a connection error.
#[derive(Clone)]
struct BadBody;

impl Body for BadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
    }
}

#[track_caller]
fn assert_passed_through(error: &tower_conn_retry::Error, inner: &str) {
    assert_eq!(error.reason(), Reason::NotConnError);
    assert_eq!(error.conn_error(), None);
    assert_eq!((error.sent(), error.attempts()), (Sent::Maybe, 1));
    assert_eq!(error.to_string(), inner);
}

/// PUT is idempotent and the body can be copied, so that nothing else stands against a replay.
#[tokio::test]
async fn an_error_of_the_callers_own_body_is_passed_through_hyper_util() {
    let server = Server::started().unwrap();
    let service = layer().layer(Client::builder(TokioExecutor::new()).build_http());
    let request = Request::put(server.url("/")).body(BadBody).unwrap();
    let error = within(service.oneshot(request)).await.unwrap_err();
    let inner = error
        .downcast_ref::<hyper_util::client::legacy::Error>()
        .unwrap();
    assert_passed_through(&error, &inner.to_string());
    let source = error.source().map(ToString::to_string);
    assert_eq!(source, inner.source().map(ToString::to_string));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn an_error_of_the_callers_own_body_is_passed_through_reqwest() {
    let server = Server::started().unwrap();
    let service = layer().layer(client());
    let mut request = reqwest::Request::new(Method::PUT, server.url("/").parse().unwrap());
    *request.body_mut() = Some(reqwest::Body::wrap(BadBody));
    let error = within(service.oneshot(request)).await.unwrap_err();
    let inner = error.downcast_ref::<reqwest::Error>().unwrap();
    assert_passed_through(&error, &inner.to_string());
    assert!(server.seen().is_empty());
}
