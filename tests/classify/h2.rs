//! Real errors of h2, from a server that sends the frames by hand (RFC 9113 §4.1).

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use h2::Reason;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_conn_retry::ConnErrorKind::Closed;
use tower_conn_retry::Sent::{self, Maybe, No};
use tower_conn_retry::{BoxError, ConnError, RetryOnConnErr, classify};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, 0]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

pub(crate) fn go_away(last: u32, reason: Reason) -> Vec<u8> {
    let mut payload = last.to_be_bytes().to_vec();
    payload.extend(u32::from(reason).to_be_bytes());
    frame(GOAWAY, 0, &payload)
}

pub(crate) fn reset(reason: Reason) -> Vec<u8> {
    frame(RST_STREAM, 1, &u32::from(reason).to_be_bytes())
}

/// Answers the first request of each connection with these bytes. Then it closes, or waits to be
/// closed.
pub(crate) async fn serve(answer: Vec<u8>, closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move { drop(connection(stream, &answer, closes).await) });
        }
    });
    address
}

/// One connection of such a server, over TCP or TLS.
pub(crate) async fn connection(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &[u8],
    closes: bool,
) -> io::Result<()> {
    stream.read_exact(&mut [0; 24]).await?; // the preface
    stream.write_all(&frame(SETTINGS, 0, &[])).await?;
    stream.flush().await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await?;
        if head[3] == HEADERS {
            break;
        }
    }
    stream.write_all(answer).await?;
    stream.flush().await?;
    if !closes {
        while !matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_)) {}
    }
    Ok(())
}

async fn failure(answer: Vec<u8>, closes: bool) -> h2::Error {
    let address = serve(answer, closes).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = Request::get("http://robot.test/").body(()).unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    let error = answer.await.unwrap_err();
    connection.abort();
    error
}

#[tokio::test]
async fn a_refused_stream_was_not_processed() {
    let error = failure(reset(Reason::REFUSED_STREAM), false).await;
    let expected = Some(ConnError::new(Closed).with_sent(No));
    assert_eq!(classify(&error), expected);
    assert_eq!(classify(&io::Error::other(Arc::new(error))), expected);
}

#[tokio::test]
async fn other_resets_are_about_one_request() {
    for reason in [
        Reason::CANCEL,
        Reason::INTERNAL_ERROR,
        Reason::NO_ERROR,
        Reason::ENHANCE_YOUR_CALM,
    ] {
        let error = failure(reset(reason), false).await;
        assert_eq!(classify(&error), None, "{error:?}");
    }
}

#[tokio::test]
async fn a_goaway_below_the_request() {
    let error = failure(go_away(0, Reason::NO_ERROR), false).await;
    assert!(error.is_go_away());
    assert_eq!(classify(&error), Some(ConnError::new(Closed).with_sent(No)));
    // With another reason the connection itself has the very same error.
    let error = failure(go_away(0, Reason::ENHANCE_YOUR_CALM), false).await;
    assert_eq!(classify(&error), Some(ConnError::new(Closed)));
}

/// hyper gives a request any GOAWAY that it reads at the wrong moment (see `http_clients/goaways.rs`).
async fn failure_below_hyper(answer: Vec<u8>) -> hyper::Error {
    let address = serve(answer, false).await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
    let (mut client, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://robot.test/").body(String::new());
    client.send_request(request.unwrap()).await.unwrap_err()
}

/// As thiserror makes it: hyper's error is in it, but not in its chain.
#[derive(Debug)]
struct Transparent(hyper::Error);

impl fmt::Display for Transparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Transparent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// What the layer makes of it: is an attempt that failed so taken for not sent?
async fn layers_word(error: impl Error + Send + Sync + 'static) -> Sent {
    use tower::{Layer, ServiceExt, service_fn};

    let error = Arc::new(Mutex::new(Some(error)));
    let service = service_fn(move |_: u8| {
        let error = error.lock().unwrap().take().expect("one attempt");
        std::future::ready(Err::<(), BoxError>(error.into()))
    });
    let layer = RetryOnConnErr::new().max_attempts(1).clone_requests();
    let error = layer.layer(service).oneshot(7).await;
    error.unwrap_err().sent()
}

#[tokio::test]
async fn the_layer_does_not_rely_on_a_goaway_below_hyper() {
    for reason in [Reason::NO_ERROR, Reason::ENHANCE_YOUR_CALM] {
        let error = failure_below_hyper(go_away(0, reason)).await;
        let below = error.source().and_then(|below| below.downcast_ref());
        assert!(below.is_some_and(h2::Error::is_go_away), "{error:?}");
        assert_eq!(layers_word(error).await, Maybe);
        let error = Transparent(failure_below_hyper(go_away(0, reason)).await);
        assert_eq!(layers_word(error).await, Maybe);
    }
    // h2's own word, and a stream's refusal, are proof.
    let error = failure(go_away(0, Reason::NO_ERROR), false).await;
    assert_eq!(layers_word(error).await, No);
    let error = failure_below_hyper(reset(Reason::REFUSED_STREAM)).await;
    assert_eq!(layers_word(error).await, No);
}

#[tokio::test]
async fn a_stream_that_is_refused_below_hyper_was_not_processed() {
    let error = failure_below_hyper(reset(Reason::REFUSED_STREAM)).await;
    assert_eq!(classify(&error), Some(ConnError::new(Closed).with_sent(No)));
}

/// Our own connections see to it that a GOAWAY is the stream's own, whoever is around them.
#[cfg(all(feature = "hyper-conn", feature = "hyper-util"))]
#[tokio::test]
async fn a_goaway_on_a_connection_of_our_own() {
    use hyper_util::client::legacy::connect::HttpConnector;
    use tower::ServiceExt;
    use tower_conn_retry::http::connection::Http2Connect;

    for (last, sent) in [(0, No), (1, Maybe)] {
        for reason in [Reason::NO_ERROR, Reason::ENHANCE_YOUR_CALM] {
            let address = serve(go_away(last, reason), last > 0).await;
            let uri = format!("http://{address}").parse::<hyper::Uri>().unwrap();
            let connect = Http2Connect::<_, String>::new(HttpConnector::new());
            let connection = connect.oneshot(uri).await.unwrap();
            let request = Request::post("http://robot.test/").body(String::new());
            let error = connection.oneshot(request.unwrap()).await.unwrap_err();
            let found = classify(&error).unwrap();
            assert_eq!((found.kind(), found.sent()), (Closed, sent), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_goaway_that_includes_the_request() {
    let error = failure(go_away(1, Reason::NO_ERROR), true).await;
    let found = classify(&error).unwrap();
    assert_eq!(found.sent(), Maybe);
    assert_eq!(found.kind(), Closed);
}

#[tokio::test]
async fn a_lost_connection() {
    let error = failure(Vec::new(), true).await;
    let found = classify(&error).unwrap();
    assert_eq!((found.kind(), found.sent()), (Closed, Maybe));
}

#[test]
fn mistakes_of_the_callers_own() {
    assert_eq!(classify(&h2::Error::from(Reason::REFUSED_STREAM)), None);
}
