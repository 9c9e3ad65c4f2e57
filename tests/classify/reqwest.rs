//! Real errors of reqwest.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body as _, Bytes, Frame};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Body, Client};
use tower_conn_retry::ConnErrorKind::{Closed, Dns, Refused, Reset, Timeout};
use tower_conn_retry::Outlook::Transient;
use tower_conn_retry::Sent::{Maybe, No};
use tower_conn_retry::{ConnError, ConnErrorKind, Outlook, Sent, classify};

use super::http_server::{Answer, BadBody, Server};
use super::sockets::refusing;

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

#[track_caller]
fn assert_is(error: &(dyn Error + 'static), kind: ConnErrorKind, outlook: Outlook, sent: Sent) {
    let expected = ConnError::new(kind).with_outlook(outlook).with_sent(sent);
    assert_eq!(classify(error), Some(expected), "{error:?}");
}

async fn failure(server: &Server) -> reqwest::Error {
    let error = client().get(server.url()).send().await.unwrap_err();
    assert_eq!(server.requests(), 1);
    error
}

#[tokio::test]
async fn refused() {
    let url = format!("http://{}/", refusing());
    let error = client().get(url).send().await.unwrap_err();
    assert_is(&error, Refused, Transient, No);
    assert_is(&io::Error::other(error), Refused, Transient, No);
}

#[tokio::test]
async fn the_whole_request_is_read_and_the_connection_closed() {
    let server = Server::start(Answer::NONE).await;
    assert_is(&failure(&server).await, Closed, Transient, Maybe);
}

#[tokio::test]
async fn the_whole_request_is_read_and_the_connection_reset() {
    let server = Server::start(Answer::Reset).await;
    assert_is(&failure(&server).await, Reset, Transient, Maybe);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let server = Server::start(Answer::Silence).await;
    let error = client()
        .get(server.url())
        .timeout(Duration::from_millis(50))
        .send()
        .await
        .unwrap_err();
    assert_is(&error, Timeout, Transient, Maybe);
}

#[tokio::test]
async fn a_name_that_does_not_resolve() {
    let error = client()
        .get("http://no-such-host.invalid/")
        .send()
        .await
        .unwrap_err();
    let found = classify(&error).unwrap();
    assert_eq!((found.kind(), found.sent()), (Dns, No));
}

/// A resolver of the caller's own, whose own server can't be reached.
struct Unreachable;

impl Resolve for Unreachable {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async {
            let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
            Err::<Addrs, _>(refused.into())
        })
    }
}

/// A resolver of the caller's own, with a type of its own.
struct Stranger;

impl Resolve for Stranger {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err::<Addrs, _>("no idea".into()) })
    }
}

#[tokio::test]
async fn custom_resolvers() {
    for builder in [
        Client::builder().dns_resolver(Unreachable),
        Client::builder().dns_resolver(Stranger),
    ] {
        let client = builder.no_proxy().build().unwrap();
        let error = client.get("http://robot.test/").send().await.unwrap_err();
        assert_is(&error, Dns, Transient, No);
    }
}

#[tokio::test]
async fn the_callers_own_body_is_none_of_the_connections() {
    let server = Server::start(Answer::Silence).await;
    let request = client().post(server.url()).body(Body::wrap(BadBody::RESET));
    let error = request.send().await.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
}

/// Outside of a request, where no hyper error is around it.
#[tokio::test]
async fn a_body_by_itself_is_none_of_the_connections() {
    for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::TimedOut] {
        let mut body = Body::wrap(BadBody(kind));
        let error = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))
            .await
            .unwrap()
            .unwrap_err();
        assert!(error.is_body());
        assert_eq!(classify(&error), None, "{error:?}");
    }
}

/// What a decoder says of a truncated gzip that came in whole: the same chain, made without one.
#[tokio::test]
async fn truncated_content_is_none_of_the_connections() {
    struct Truncated;

    impl hyper::body::Body for Truncated {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())))
        }
    }

    let answer = hyper::Response::new(Body::wrap(Truncated));
    let error = reqwest::Response::from(answer).bytes().await.unwrap_err();
    assert!(error.is_decode());
    assert_eq!(classify(&error), None, "{error:?}");
}

/// "hello", in gzip (RFC 1952), with a stored block.
#[cfg(feature = "_tests")]
const GZIP: &[u8] = &[
    0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1, 5, 0, 0xfa, 0xff, b'h', b'e', b'l', b'l', b'o', 0x86,
    0xa6, 0x10, 0x36, 5, 0, 0, 0,
];

/// The answer of a server that announces so many bytes of gzip, and sends these.
#[cfg(feature = "_tests")]
async fn gzip(announced: usize, sent: &[u8]) -> Result<Bytes, reqwest::Error> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {announced}\r\n\r\n");
    let server = Server::start(Answer::Bytes([head.as_bytes(), sent].concat())).await;
    let answer = client().get(server.url()).send().await.unwrap();
    answer.bytes().await
}

#[cfg(feature = "_tests")]
#[tokio::test]
async fn gzip_that_is_cut_off() {
    assert_eq!(gzip(GZIP.len(), GZIP).await.unwrap(), "hello");
    let all = GZIP.len();
    for cut in [1, 4, 10, 14] {
        let part = &GZIP[..all - cut];
        // By the server's mistake: all that it announced came.
        let error = gzip(part.len(), part).await.unwrap_err();
        assert!(error.is_decode());
        assert_eq!(classify(&error), None, "{error:?}");
        // By the connection.
        let error = gzip(all, part).await.unwrap_err();
        assert!(error.is_decode());
        assert_is(&error, Closed, Transient, Maybe);
    }
    // Damaged.
    let error = gzip(all, &[0; 28]).await.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
}

#[tokio::test]
async fn a_lost_answer() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello");
        let server = Server::start(Answer::text(answer)).await;
        let answer = client().get(server.url()).send().await.unwrap();
        let error = answer.bytes().await.unwrap_err();
        assert!(error.is_decode());
        assert_is(&error, Closed, Transient, Maybe);
    }
}

#[tokio::test]
async fn a_silent_answer_is_a_timeout() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello";
    let server = Server::start(Answer::Stalls(answer.into())).await;
    let answer = client()
        .get(server.url())
        .timeout(Duration::from_millis(100))
        .send()
        .await
        .unwrap();
    let error = answer.bytes().await.unwrap_err();
    assert_is(&error, Timeout, Transient, Maybe);
}

/// As `http::Response`s, for tower-http's layers say.
macro_rules! lost_bodies {
    ($name:ident, $reqwest:ident) => {
        #[tokio::test]
        async fn $name() {
            async fn read(request: $reqwest::RequestBuilder) -> $reqwest::Error {
                let answer = request.send().await.unwrap();
                let mut body = hyper::Response::<$reqwest::Body>::from(answer).into_body();
                loop {
                    let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
                    if let Err(error) = frame.unwrap() {
                        assert!(error.is_body());
                        return error;
                    }
                }
            }
            let client = $reqwest::Client::builder().no_proxy().build().unwrap();
            for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
                let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello");
                let server = Server::start(Answer::text(text.clone())).await;
                let error = read(client.get(server.url())).await;
                assert_is(&error, Closed, Transient, Maybe);

                let server = Server::start(Answer::Stalls(text)).await;
                let short = Duration::from_millis(100);
                let error = read(client.get(server.url()).timeout(short)).await;
                assert_is(&error, Timeout, Transient, Maybe);
            }
        }
    };
}

lost_bodies!(a_lost_body_of_an_answer, reqwest);
#[cfg(feature = "reqwest-0-12")]
lost_bodies!(a_lost_body_of_an_answer_of_0_12, reqwest_0_12);

#[tokio::test]
async fn redirect_loops_are_none_of_the_connections() {
    let answer =
        "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let server = Server::start(Answer::text(answer)).await;
    let error = client().get(server.url()).send().await.unwrap_err();
    assert!(error.is_redirect());
    assert_eq!(classify(&error), None);
}

/// Whatever a redirect policy says about it.
#[tokio::test]
async fn errors_of_a_redirect_policy_are_none_of_the_connections() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(Answer::text(answer)).await;
    let policy = reqwest::redirect::Policy::custom(|attempt| {
        attempt.error(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    let client = Client::builder()
        .no_proxy()
        .redirect(policy)
        .build()
        .unwrap();
    let error = client.get(server.url()).send().await.unwrap_err();
    assert!(error.is_redirect());
    assert_eq!(classify(&error), None, "{error:?}");
}

/// The trap: what is seen is the last hop, and nothing in the error says that there was another.
#[tokio::test]
async fn after_a_redirect_only_the_last_hop_is_seen() {
    let gone: SocketAddr = refusing();
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{gone}/\r\nContent-Length: 0\r\n\r\n"
    );
    let server = Server::start(Answer::text(answer)).await;
    let error = client().post(server.url()).send().await.unwrap_err();
    assert_eq!(server.requests(), 1);
    assert_is(&error, Refused, Transient, No);
}

#[tokio::test]
async fn requests_and_answers_are_none_of_the_connections() {
    let error = client().get("http://").send().await.unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
    let error = client()
        .get("gopher://127.0.0.1/")
        .send()
        .await
        .unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");

    let unavailable = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(Answer::text(unavailable)).await;
    let answer = client().get(server.url()).send().await.unwrap();
    let error = answer.error_for_status().unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");

    let server = Server::start(Answer::text("220 smtp.robot.test ESMTP\r\n\r\n")).await;
    assert_eq!(classify(&failure(&server).await), None);
}
