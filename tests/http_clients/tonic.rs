//! tonic's channel in the layer, with a client as the code generator makes it.

use std::error::Error as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use hyper::Request;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tower::{Layer, ServiceBuilder};
use tower_conn_retry::http::Idempotent;
use tower_conn_retry::{Error, Reason, ReplayBodyLayer, Sent, is_conn_error};

use super::calls::{Tally, layer, within};
use super::echo::EchoClient;
use super::origin::{Origin, Version};

fn channel(origin: &Origin) -> Channel {
    Endpoint::from_shared(origin.url(""))
        .unwrap()
        .connect_lazy()
}

/// Bodies are kept up to here.
const CAP: usize = 1 << 16;

macro_rules! client {
    ($origin:expr, $layer:expr) => {
        client!($origin, $layer, CAP)
    };
    ($origin:expr, $layer:expr, $cap:expr) => {
        EchoClient::new(
            ServiceBuilder::new()
                .map_err(Status::from)
                .layer(ReplayBodyLayer::new($cap))
                .layer($layer)
                .map_request(|request: Request<_>| request.map(Body::new))
                .service(channel($origin)),
        )
    };
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
            .map_err(Status::from)
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

/// Messages of the caller's that the server may wait for. There is room for one: the next can be sent
/// when it was read.
fn messages() -> (mpsc::Sender<Bytes>, impl Stream<Item = Bytes> + Send) {
    let (sender, receiver) = mpsc::channel(1);
    let next =
        |mut receiver: mpsc::Receiver<Bytes>| async { Some((receiver.recv().await?, receiver)) };
    (sender, stream::unfold(receiver, next))
}

async fn send(messages: &mpsc::Sender<Bytes>, texts: &[&'static str]) {
    for text in texts {
        let sent = messages.send(Bytes::from_static(text.as_bytes()));
        within(sent).await.unwrap();
    }
}

async fn next(answers: &mut Streaming<Bytes>) -> Option<Bytes> {
    within(answers.message()).await.unwrap()
}

/// Marked, and answered when the server releases it.
fn held_stream<S>(messages: S) -> tonic::Request<S> {
    let mut request = tonic::Request::new(messages);
    request.extensions_mut().insert(Idempotent);
    let there = "1".parse().unwrap();
    request.metadata_mut().insert("hold", there);
    request
}

#[tokio::test]
async fn a_stream_of_requests_that_was_not_read_waits_for_the_server() {
    let mut origin = Origin::stopped(Version::H2);
    let tally = Arc::new(Tally::default());
    let mut client = client!(&origin, layer().observer(tally.clone()), 0); // nothing need be kept
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

#[tokio::test]
async fn a_stream_of_requests_that_breaks_off_half_way_is_replayed_whole() {
    let mut origin = Origin::started(Version::H2);
    let mut client = client!(&origin, layer());
    let (sender, texts) = messages();
    let call = tokio::spawn(async move { client.join(held_stream(texts)).await });
    origin.has_seen(1).await;
    send(&sender, &["one ", "two ", "three "]).await; // so the second was read
    origin.reset().await;
    origin.has_seen(2).await;
    send(&sender, &["four "]).await; // a replay has read the third
    origin.kill().await;
    origin.start();
    origin.has_seen(3).await;
    origin.release();
    send(&sender, &["five"]).await;
    drop(sender);
    let answer = within(call).await.unwrap().unwrap();
    assert_eq!(answer.into_inner(), "one two three four five");
    assert_eq!(origin.lines(), ["POST /echo.Echo/Join"; 3]);
}

#[tokio::test]
async fn a_stream_of_requests_over_the_cap_is_sent_but_not_replayed() {
    let origin = Origin::started(Version::H2);
    let mut client = client!(&origin, layer(), 8); // a message takes five bytes and its own
    for breaks in [false, true] {
        let (sender, texts) = messages();
        let mut client = client.clone();
        let call = tokio::spawn(async move { client.join(held_stream(texts)).await });
        origin.has_seen(1 + usize::from(breaks)).await;
        send(&sender, &["one ", "two ", "three"]).await;
        if breaks {
            origin.reset().await;
            let status = within(call).await.unwrap().unwrap_err();
            assert_eq!(status.code(), Code::Unavailable);
            let error = ours(&status);
            assert_eq!(
                (error.reason(), error.sent()),
                (Reason::NotReplayable, Sent::Maybe)
            );
        } else {
            origin.release();
            drop(sender);
            let answer = within(call).await.unwrap().unwrap();
            assert_eq!(answer.into_inner(), "one two three");
            origin.hold();
        }
    }
    assert_eq!(origin.lines(), ["POST /echo.Echo/Join"; 2]);
    // The client is as good as before.
    origin.release();
    let answer = within(client.say(request("one"))).await.unwrap();
    assert_eq!(answer.into_inner(), "one");
}

/// Neither side waits for the end of the other's messages, whatever happens before the answer's head.
#[tokio::test]
async fn a_conversation_waits_is_replayed_from_its_start_and_goes_on() {
    let mut origin = Origin::stopped(Version::H2);
    let tally = Arc::new(Tally::default());
    let mut client = client!(&origin, layer().observer(tally.clone()));
    let (sender, texts) = messages();
    let call = tokio::spawn(async move { client.chat(held_stream(texts)).await });
    send(&sender, &["one"]).await;
    within(async {
        while tally.downs() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    origin.start();
    origin.has_seen(1).await;
    send(&sender, &["two", "three"]).await; // so the second was read
    origin.reset().await;
    origin.has_seen(2).await;
    origin.release();
    let mut answers = within(call).await.unwrap().unwrap().into_inner();
    for text in ["one", "two", "three"] {
        assert_eq!(next(&mut answers).await.unwrap(), text);
    }
    for text in ["four", "five", "six"] {
        send(&sender, &[text]).await;
        assert_eq!(next(&mut answers).await.unwrap(), text);
    }
    drop(sender);
    assert_eq!(next(&mut answers).await, None);
    assert_eq!(origin.lines(), ["POST /echo.Echo/Chat"; 2]);
}

#[tokio::test]
async fn a_conversation_that_has_begun_ends_with_its_connection_and_not_with_a_goaway() {
    let origin = Origin::started(Version::H2);
    origin.release();
    let mut client = client!(&origin, layer());
    let (sender, texts) = messages();
    let mut answers = within(client.chat(held_stream(texts)))
        .await
        .unwrap()
        .into_inner();
    send(&sender, &["one"]).await;
    assert_eq!(next(&mut answers).await.unwrap(), "one");

    origin.close_gracefully();
    send(&sender, &["two"]).await;
    assert_eq!(next(&mut answers).await.unwrap(), "two");
    let other = within(client.say(request("other"))).await.unwrap();
    assert_eq!(other.into_inner(), "other");

    origin.reset().await;
    let status = within(answers.message()).await.unwrap_err();
    assert!(is_conn_error(&status), "{status:?}");
    let lines = ["POST /echo.Echo/Chat", "POST /echo.Echo/Say"];
    assert_eq!(origin.lines(), lines);
    // Nobody reads on.
    within(sender.closed()).await;
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

/// Below tonic, a GOAWAY is no proof: what it met is not replayed, and its caller is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goaways_under_load_double_nothing() {
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
    let mut failed = 0;
    for call in calls {
        match within(call).await.unwrap() {
            Ok(answer) => assert_eq!(answer.into_inner(), "one"),
            Err(status) => {
                let error = status.source().unwrap().downcast_ref::<Error>().unwrap();
                assert_eq!(error.sent(), Sent::Maybe, "{error:?}");
                failed += 1;
            }
        }
    }
    let seen = origin.seen().len();
    assert!((400 - failed..=400).contains(&seen), "{seen}, {failed}");
    assert_eq!(tally.downs(), 0);
}
