//! Streaming bodies through connections that break while they are sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode, Version};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_conn_retry::{Reason, ReplayBody, ReplayBodyLayer, Sent};

use super::calls::{layer, within};
use super::upload_server::{Then, Upload, UploadServer};

/// A body that another task writes.
struct Piped(mpsc::UnboundedReceiver<io::Result<Frame<Bytes>>>);

impl Body for Piped {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx)
    }
}

type Writer = mpsc::UnboundedSender<io::Result<Frame<Bytes>>>;

fn piped() -> (Writer, Piped) {
    let (writer, reader) = mpsc::unbounded_channel();
    (writer, Piped(reader))
}

const CHUNKS: usize = 64;
const CHUNK: usize = 4_096;

/// Something that is not the same anywhere.
fn chunk(n: usize) -> Bytes {
    (0..CHUNK)
        .map(|at| (n * 31 + at * 7 + at / 251) as u8)
        .collect()
}

fn all() -> Vec<u8> {
    (0..CHUNKS).flat_map(chunk).collect()
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "262144".parse().unwrap());
    trailers
}

/// A body with all chunks, and the trailers.
fn whole() -> Piped {
    let (writer, body) = piped();
    for n in 0..CHUNKS {
        writer.send(Ok(Frame::data(chunk(n)))).unwrap();
    }
    writer.send(Ok(Frame::trailers(trailers()))).unwrap();
    body
}

fn put<B>(server: &UploadServer, body: B) -> Request<B> {
    Request::put(server.url())
        .header("trailer", "x-sum")
        .body(body)
        .unwrap()
}

fn client(
    h2: bool,
) -> impl Service<Request<ReplayBody<Piped>>, Response = Response<Incoming>, Error = Error, Future: Send>
+ Clone {
    Client::builder(TokioExecutor::new())
        .http2_only(h2)
        .build_http()
}

fn is_whole(upload: &Upload) {
    assert!(upload.whole);
    assert!(upload.data == all());
    assert_eq!(upload.trailers, Some(trailers()));
}

#[tokio::test]
async fn resets_in_the_middle_of_a_body_cost_it_nothing() {
    for h2 in [false, true] {
        let resets = [0, 1, CHUNK * 3, CHUNK * CHUNKS - 1, CHUNK * CHUNKS];
        let server = UploadServer::start(resets.map(Then::Reset).into()).await;
        let service = ServiceBuilder::new()
            .layer(ReplayBodyLayer::new(1 << 20))
            .layer(layer())
            .service(client(h2));
        let answer = within(service.oneshot(put(&server, whole())))
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let uploads = server.uploads();
        assert_eq!(uploads.len(), resets.len() + 1);
        for (upload, reset) in uploads.iter().zip(resets) {
            assert!(all().starts_with(&upload.data));
            assert!(upload.data.len() >= reset && !upload.whole);
            assert_eq!(upload.version == Version::HTTP_2, h2);
        }
        is_whole(uploads.last().unwrap());
    }
}

/// Any chunks, caps, trailers and points of failure.
#[tokio::test]
async fn every_attempt_that_arrives_whole_is_the_same() {
    let mut random = fastrand::Rng::with_seed(7);
    for case in 0..60 {
        let chunks: Vec<Bytes> = (0..random.usize(0..20))
            .map(|n| chunk(n).slice(..random.usize(0..CHUNK)))
            .collect();
        let data = chunks.concat();
        let cap = random.usize(0..40_000);
        let resets: Vec<_> = (0..random.usize(0..4))
            .map(|_| random.usize(0..=data.len()))
            .collect();
        let with_trailers = random.bool();

        let server = UploadServer::start(resets.iter().copied().map(Then::Reset).collect()).await;
        let service = ServiceBuilder::new()
            .layer(ReplayBodyLayer::new(cap))
            .layer(layer())
            .service(client(random.bool()));
        let (writer, body) = piped();
        for chunk in chunks {
            writer.send(Ok(Frame::data(chunk))).unwrap();
        }
        if with_trailers {
            writer.send(Ok(Frame::trailers(trailers()))).unwrap();
        }
        drop(writer);
        let result = within(service.oneshot(put(&server, body))).await;

        let uploads = server.uploads();
        let context = format!("case {case}: {} bytes, cap {cap}, {resets:?}", data.len());
        let expected = with_trailers.then(trailers);
        let (whole, broken): (Vec<_>, Vec<_>) = uploads.iter().partition(|upload| upload.whole);
        assert!(whole.iter().all(|upload| upload.data == data), "{context}");
        assert!(
            whole.iter().all(|upload| upload.trailers == expected),
            "{context}"
        );
        assert!(
            broken.iter().all(|upload| data.starts_with(&upload.data)),
            "{context}"
        );
        match result {
            Ok(_) => assert_eq!((whole.len(), broken.len()), (1, resets.len()), "{context}"),
            Err(error) => {
                assert!(data.len() + 12 > cap, "{context}");
                assert_eq!(error.reason(), Reason::NotReplayable, "{context}");
                assert_eq!(whole.len(), 0, "{context}");
                // No other attempt was made after one that has read too much.
                assert!(broken.len() <= resets.len(), "{context}");
            }
        }
        let too_much = |upload: &Upload| upload.data.len() > cap;
        let first = uploads.iter().position(too_much);
        assert!(first.is_none_or(|at| at + 1 == uploads.len()), "{context}");
    }
}

/// The same through a real outage, where what was begun is held meanwhile.
#[tokio::test]
async fn a_body_that_is_written_during_the_outage_arrives_whole() {
    for h2 in [false, true] {
        let server = UploadServer::start(vec![Then::Reset(CHUNK)]).await;
        let service = ServiceBuilder::new()
            .layer(ReplayBodyLayer::new(1 << 20))
            .layer(layer())
            .service(client(h2));
        let (writer, body) = piped();
        let call = tokio::spawn(service.oneshot(put(&server, body)));
        for n in 0..CHUNKS {
            writer.send(Ok(Frame::data(chunk(n)))).unwrap();
            if n == 1 {
                server.has(|uploads| uploads.len() == 2).await;
            }
        }
        writer.send(Ok(Frame::trailers(trailers()))).unwrap();
        drop(writer);
        let answer = within(call).await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let uploads = server.uploads();
        assert_eq!(uploads.len(), 2);
        is_whole(&uploads[1]);
    }
}

#[tokio::test]
async fn a_body_over_its_cap_is_sent_once_and_never_replayed() {
    for h2 in [false, true] {
        let server = UploadServer::start(vec![Then::Answer, Then::Reset(CHUNK * 3)]).await;
        let service = ServiceBuilder::new()
            .layer(ReplayBodyLayer::new(CHUNK * 2))
            .layer(layer())
            .service(client(h2));
        let answer = within(service.clone().oneshot(put(&server, whole()))).await;
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
        is_whole(&server.uploads()[0]);

        let error = within(service.oneshot(put(&server, whole())))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Reason::NotReplayable);
        assert_eq!((error.attempts(), error.sent()), (1, Sent::Maybe));
        assert_eq!(server.uploads().len(), 2);
        assert!(!server.uploads()[1].whole);
    }
}

#[tokio::test]
async fn a_body_that_was_not_touched_is_replayed_whatever_its_size() {
    let mut server = super::server::Server::stopped().unwrap();
    let retry = layer().layer(Client::builder(TokioExecutor::new()).build_http());
    let links = retry.links();
    let service = ReplayBodyLayer::new(0).layer(retry);
    let body = http_body_util::Full::new(chunk(1));
    let request = Request::post(server.url("/")).body(body).unwrap();
    let call = tokio::spawn(service.oneshot(request));
    super::calls::held(&links, 1).await;
    server.start().unwrap();
    assert_eq!(
        within(call).await.unwrap().unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(server.seen()[0].body, chunk(1));
}

/// The attempt is given up by its timeout while its connection, which is well, still waits for more
/// of the body: the replay takes over, and the old one's message is broken off, not ended.
#[tokio::test]
async fn an_attempt_that_is_given_up_lets_go_of_the_body() {
    for h2 in [false, true] {
        let server = UploadServer::start(vec![Then::Silence]).await;
        let service = ServiceBuilder::new()
            .layer(ReplayBodyLayer::new(1 << 20))
            .layer(layer().attempt_timeout(Duration::from_secs(2)))
            .service(client(h2));
        let (writer, body) = piped();
        let call = tokio::spawn(service.oneshot(put(&server, body)));
        writer.send(Ok(Frame::data(chunk(0)))).unwrap();
        server.has(|uploads| uploads.len() == 2).await;
        for n in 1..CHUNKS {
            writer.send(Ok(Frame::data(chunk(n)))).unwrap();
        }
        writer.send(Ok(Frame::trailers(trailers()))).unwrap();
        drop(writer);
        let answer = within(call).await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        is_whole(&server.uploads()[1]);
        server.has(|uploads| uploads[0].broken).await;
        assert!(!server.uploads()[0].whole);
    }
}

#[tokio::test]
async fn an_error_of_the_body_is_passed_through() {
    for h2 in [false, true] {
        let server = UploadServer::start(vec![]).await;
        let service = ServiceBuilder::new()
            .layer(ReplayBodyLayer::new(1 << 20))
            .layer(layer())
            .service(client(h2));
        let (writer, body) = piped();
        writer.send(Ok(Frame::data(chunk(0)))).unwrap();
        writer
            .send(Err(io::ErrorKind::ConnectionReset.into()))
            .unwrap();
        let error = within(service.oneshot(put(&server, body)))
            .await
            .unwrap_err();
        assert_eq!(error.attempts(), 1);
        assert_eq!(error.reason(), Reason::NotConnError, "{error:?}");
        assert!(server.uploads().iter().all(|upload| !upload.whole));
        assert!(server.uploads().len() <= 1);
    }
}

/// hyper's clients don't wait for the `100`.
#[tokio::test]
async fn a_body_that_expects_a_continue_is_replayed_as_any_other_one() {
    for h2 in [false, true] {
        let server =
            UploadServer::start(vec![Then::Reset(1), Then::Answer, Then::Refuse(417)]).await;
        let service = ServiceBuilder::new()
            .layer(ReplayBodyLayer::new(1 << 20))
            .layer(layer())
            .service(client(h2));
        let mut answers = Vec::new();
        for _ in 0..2 {
            let mut request = put(&server, whole());
            let expect = "100-continue".parse().unwrap();
            request.headers_mut().insert("expect", expect);
            let answer = within(service.clone().oneshot(request)).await.unwrap();
            answers.push(answer.status());
        }
        assert_eq!(answers, [StatusCode::OK, StatusCode::EXPECTATION_FAILED]);
        let uploads = server.uploads();
        assert_eq!(uploads.len(), 3);
        assert!(
            uploads
                .iter()
                .all(|upload| upload.headers.contains_key("expect"))
        );
        is_whole(&uploads[1]);
    }
}

#[tokio::test]
async fn a_stream_goes_through_reqwest() {
    let server = UploadServer::start(vec![Then::Reset(CHUNK * 2)]).await;
    through_reqwest(&server, put(&server, whole())).await;
}

/// As its forms are: their bodies are streams, too.
#[tokio::test]
async fn a_stream_of_reqwests_own_goes_through_it() {
    let server = UploadServer::start(vec![Then::Reset(CHUNK * 2)]).await;
    let request = put(&server, reqwest::Body::wrap(whole()));
    let request = reqwest::Request::try_from(request).unwrap();
    assert!(request.try_clone().is_none());
    let request = Request::<reqwest::Body>::try_from(request).unwrap();
    through_reqwest(&server, request).await;
}

async fn through_reqwest<B>(server: &UploadServer, request: Request<B>)
where
    B: Body<Data = Bytes, Error: Into<tower_conn_retry::BoxError>> + Send + 'static,
{
    let client = super::calls::client_without_redirects();
    let service = ServiceBuilder::new()
        .layer(ReplayBodyLayer::new(1 << 20))
        .layer(layer())
        .service_fn(move |request: Request<ReplayBody<B>>| {
            let client = client.clone();
            async move {
                let request = request.map(reqwest::Body::wrap);
                client.execute(request.try_into()?).await
            }
        });
    let answer = within(service.oneshot(request)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let uploads = server.uploads();
    assert_eq!(uploads.len(), 2);
    is_whole(&uploads[1]);
}
