//! A client of whatever kind, and what has become of its calls.

use std::error::Error as _;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use tonic::Status;
use tower::{Layer, Service, ServiceExt};
use tower_conn_retry::http::KeyedRequest;
use tower_conn_retry::{
    ConnErrorKind, Error, IdempotencyKeyLayer, Links, Reason, Sent, is_conn_error,
};

use super::calls::{Call, HTTP, Key, Kind};

pub(crate) enum Outcome {
    /// With this text. Or it was lost, after the head of the answer: that is no business of the layer's.
    Answered(Option<Bytes>),
    Failed(Failure),
}

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) sent: Sent,
    pub(crate) kind: Option<ConnErrorKind>,
    /// For the reader.
    _error: String,
}

impl Outcome {
    fn failed(error: &Error) -> Self {
        Self::Failed(Failure {
            reason: error.reason(),
            sent: error.sent(),
            kind: error.conn_error().map(|error| error.kind()),
            _error: format!("{error:?}"),
        })
    }
}

type Sending = Box<dyn Fn(&Call) -> BoxFuture<'static, Outcome>>;

pub(crate) struct Caller {
    /// Of its calls.
    pub(crate) kinds: &'static [Kind],
    pub(crate) links: Links,
    send: Sending,
}

impl Caller {
    pub(crate) fn new(
        kinds: &'static [Kind],
        links: Links,
        send: impl Fn(&Call) -> BoxFuture<'static, Outcome> + 'static,
    ) -> Self {
        let send = Box::new(send);
        Self { kinds, links, send }
    }

    /// `service` has the layer.
    pub(crate) fn http<C, Req>(
        links: Links,
        service: C,
        request: impl Fn(&Call) -> Req + 'static,
    ) -> Self
    where
        C: Service<Req, Error = Error, Future: Send> + Clone + Send + 'static,
        C::Response: Answer,
        Req: KeyedRequest + Send + 'static,
    {
        let keyed = IdempotencyKeyLayer::new().layer(service.clone());
        Self::new(&HTTP, links, move |call| match call.kind.key {
            Key::Layer => answered(keyed.clone().oneshot(request(call))).boxed(),
            _ => answered(service.clone().oneshot(request(call))).boxed(),
        })
    }

    pub(crate) fn send(&self, call: &Call) -> BoxFuture<'static, Outcome> {
        (self.send)(call)
    }
}

/// The head of an answer.
pub(crate) trait Answer: Send {
    fn code(&self) -> StatusCode;

    fn text(self) -> impl Future<Output = Option<Bytes>> + Send;
}

impl Answer for Response<Incoming> {
    fn code(&self) -> StatusCode {
        self.status()
    }

    async fn text(self) -> Option<Bytes> {
        let text = self.into_body().collect().await.ok()?;
        Some(text.to_bytes())
    }
}

impl Answer for reqwest::Response {
    fn code(&self) -> StatusCode {
        self.status()
    }

    async fn text(self) -> Option<Bytes> {
        self.bytes().await.ok()
    }
}

async fn answered<A: Answer>(call: impl Future<Output = Result<A, Error>>) -> Outcome {
    match call.await {
        Ok(answer) => {
            assert_eq!(answer.code(), 200);
            Outcome::Answered(answer.text().await)
        }
        Err(error) => Outcome::failed(&error),
    }
}

/// The same for gRPC.
pub(crate) fn said(answer: Result<tonic::Response<Bytes>, Status>) -> Outcome {
    let status = match answer {
        Ok(answer) => return Outcome::Answered(Some(answer.into_inner())),
        Err(status) => status,
    };
    let ours = status.source().and_then(|error| error.downcast_ref());
    match ours {
        Some(error) => Outcome::failed(error),
        None => {
            assert!(is_conn_error(&status), "answered with {status:?}");
            Outcome::Answered(None)
        }
    }
}
