//! tonic's channel in the layer, with a client as the code generator makes it.

use std::error::Error as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::{BoxError, Layer, ServiceBuilder};
use tower_conn_retry::http::Idempotent;
use tower_conn_retry::{Error, Reason, Sent, is_conn_error};

use super::calls::{Tally, layer, within};
use super::echo::EchoClient;
use super::origin::{Origin, Version};

fn channel(origin: &Origin) -> Channel {
    Endpoint::from_shared(origin.url(""))
        .unwrap()
        .connect_lazy()
}

/// The body of a call with one message, in memory.
async fn buffered(request: Request<Body>) -> Result<Request<Full<Bytes>>, BoxError> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Request::from_parts(head, Full::new(body)))
}

macro_rules! client {
    ($origin:expr, $layer:expr) => {
        EchoClient::new(
            ServiceBuilder::new()
                .filter_async(buffered)
                .map_err(status)
                .layer($layer)
                .map_request(|request: Request<Full<Bytes>>| request.map(Body::new))
                .service(channel($origin)),
        )
    };
}

/// As `Status::from` does, below a layer that boxes errors.
fn status(error: Error) -> Status {
    error.into()
}

fn request(text: &'static str) -> tonic::Request<Bytes> {
    tonic::Request::new(Bytes::from(text))
}

fn idempotent(text: &'static str) -> tonic::Request<Bytes> {
    let mut request = request(text);
    request.extensions_mut().insert(Idempotent);
    request
}

/// Answered when the server releases it.
fn held_there(mut request: tonic::Request<Bytes>) -> tonic::Request<Bytes> {
    let there = "1".parse().unwrap();
    request.metadata_mut().insert("hold", there);
    request
}

/// Ours, in the status.
fn ours(status: &Status) -> &Error {
    status.source().unwrap().downcast_ref().unwrap()
}

#[tokio::test]
async fn a_call_to_a_server_that_is_away_is_answered_when_it_is_back() {
    let mut origin = Origin::stopped(Version::H2);
    let tally = Arc::new(Tally::default());
    let mut client = client!(&origin, layer().observer(tally.clone()));
    let call = tokio::spawn(async move { client.say(request("one")).await });
    within(async {
        while tally.downs() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    origin.start();
    let answer = within(call).await.unwrap().unwrap();
    assert_eq!(answer.into_inner(), "one");
    assert_eq!(origin.lines(), ["POST /echo.Echo/Say"]);
}

#[tokio::test]
async fn a_call_that_was_read_is_replayed_if_it_is_marked() {
    let origin = Origin::started(Version::H2);
    let mut client = client!(&origin, layer());
    let mut keyed = request("keyed");
    let key = "8e03978e".parse().unwrap();
    keyed.metadata_mut().insert("idempotency-key", key);
    for (n, marked) in [idempotent("marked"), keyed].into_iter().enumerate() {
        let text = marked.get_ref().clone();
        let mut client = client.clone();
        let call = tokio::spawn(async move { client.say(held_there(marked)).await });
        origin.has_seen(2 * n + 1).await;
        origin.reset().await;
        origin.has_seen(2 * n + 2).await;
        origin.release();
        assert_eq!(within(call).await.unwrap().unwrap().into_inner(), text);
        origin.hold();
    }
    assert_eq!(origin.lines(), ["POST /echo.Echo/Say"; 4]);
    // The stream's head is the answer; this one has one message.
    let mut answers = within(client.count(request("one")))
        .await
        .unwrap()
        .into_inner();
    for _ in 0..3 {
        let text = within(answers.message()).await.unwrap();
        assert_eq!(text.unwrap(), "one");
    }
    assert!(within(answers.message()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_call_that_was_read_and_is_not_marked_fails_as_unavailable() {
    let origin = Origin::started(Version::H2);
    let mut client = client!(&origin, layer());
    let call = tokio::spawn(async move { client.say(held_there(request("one"))).await });
    origin.has_seen(1).await;
    origin.reset().await;
    let status = within(call).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("not idempotent"), "{status}");
    let error = ours(&status);
    assert_eq!(
        (error.reason(), error.sent()),
        (Reason::NotIdempotent, Sent::Maybe)
    );
    assert_eq!(origin.lines(), ["POST /echo.Echo/Say"]);
}

/// What the server answers is an answer, whatever its code.
#[tokio::test]
async fn a_status_of_the_server_is_passed_through() {
    let origin = Origin::started(Version::H2);
    let mut grpc = tonic::client::Grpc::new(
        ServiceBuilder::new()
            .map_err(status)
            .layer(layer().never_copy())
            .service(channel(&origin)),
    );
    grpc.ready().await.unwrap();
    let path = "/echo.Echo/Nothing".parse().unwrap();
    let codec = super::echo::TextCodec;
    let answer = within(grpc.unary(request("one"), path, codec)).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_stream_of_answers_that_breaks_off_is_not_replayed_and_can_be_recognised() {
    let origin = Origin::started(Version::H2);
    let mut client = client!(&origin, layer());
    let mut answers = within(client.count(idempotent("breaks")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(within(answers.message()).await.unwrap().unwrap(), "breaks");
    origin.reset().await;
    let status = within(answers.message()).await.unwrap_err();
    assert!(is_conn_error(&status), "{status:?}");
    assert_eq!(origin.lines(), ["POST /echo.Echo/Count"]);
}

#[tokio::test]
async fn a_stream_of_requests_that_was_buffered_is_replayed_whole() {
    let mut origin = Origin::stopped(Version::H2);
    let tally = Arc::new(Tally::default());
    let mut client = client!(&origin, layer().observer(tally.clone()));
    let texts = stream::iter(["one ", "two ", "three"].map(Bytes::from));
    let call = tokio::spawn(async move { client.join(tonic::Request::new(texts)).await });
    within(async {
        while tally.downs() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    origin.start();
    let answer = within(call).await.unwrap().unwrap();
    assert_eq!(answer.into_inner(), "one two three");
    assert_eq!(origin.lines(), ["POST /echo.Echo/Join"]);
}

/// Without a buffer a call still gets its attempt, and its error tells the truth.
#[tokio::test]
async fn without_a_buffer_nothing_is_replayed() {
    let origin = Origin::stopped(Version::H2);
    let service = layer().never_copy().layer(channel(&origin));
    let mut client = EchoClient::new(service);
    let status = within(client.say(idempotent("one"))).await.unwrap_err();
    let error = ours(&status);
    assert_eq!(
        (error.reason(), error.sent()),
        (Reason::NotReplayable, Sent::No)
    );
}

#[tokio::test]
async fn goaways_under_load_lose_and_double_nothing() {
    let origin = Origin::started(Version::H2);
    let tally = Arc::new(Tally::default());
    let client = client!(&origin, layer().observer(tally.clone()));
    let mut calls = Vec::new();
    for n in 0..400 {
        let mut client = client.clone();
        let call = async move { client.say(request("one")).await };
        calls.push(tokio::spawn(call));
        if n % 40 == 39 {
            origin.close_gracefully();
            tokio::task::yield_now().await;
        }
    }
    for call in calls {
        let answer = within(call).await.unwrap();
        assert_eq!(answer.unwrap().into_inner(), "one");
    }
    assert_eq!(origin.seen().len(), 400);
    assert_eq!(tally.downs(), 0);
}
