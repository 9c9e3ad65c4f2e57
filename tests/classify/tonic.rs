//! Real errors of tonic's channels.

use std::error::Error;
use std::time::Duration;

use h2::Reason;
use hyper::Request;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::{Service, ServiceExt};
use tower_conn_retry::ConnErrorKind::{Closed, Refused, Timeout};
use tower_conn_retry::Sent::{Maybe, No};
use tower_conn_retry::{ConnError, ConnErrorKind, Sent, classify};

use super::h2::{go_away, reset, serve};
use super::sockets::refusing;

fn endpoint(address: std::net::SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

async fn call(channel: Channel) -> tonic::transport::Error {
    let mut channel = channel;
    let channel = channel.ready().await.unwrap();
    let request = Request::post("http://robot.test/move.Robot/Left")
        .body(Body::empty())
        .unwrap();
    channel.call(request).await.unwrap_err()
}

#[track_caller]
fn assert_is(error: &(dyn Error + 'static), kind: ConnErrorKind, sent: Sent) {
    let expected = Some(ConnError::new(kind).with_sent(sent));
    assert_eq!(classify(error), expected, "{error:?}");
}

/// As a client has it: the code says nothing, the source everything.
fn status(error: tonic::transport::Error) -> Status {
    Status::from_error(error.into())
}

#[tokio::test]
async fn refused() {
    let error = endpoint(refusing()).connect().await.unwrap_err();
    assert_is(&error, Refused, No);
    let error = call(endpoint(refusing()).connect_lazy()).await;
    assert_is(&error, Refused, No);
    assert_is(&status(error), Refused, No);
}

#[tokio::test]
async fn a_lost_connection() {
    let address = serve(Vec::new(), true).await;
    let error = call(endpoint(address).connect_lazy()).await;
    assert_is(&error, Closed, Maybe);
    assert_is(&status(error), Closed, Maybe);
}

#[tokio::test]
async fn refused_streams_and_goaways() {
    for answer in [
        reset(Reason::REFUSED_STREAM),
        go_away(0, Reason::NO_ERROR),
        go_away(0, Reason::ENHANCE_YOUR_CALM),
    ] {
        let address = serve(answer, false).await;
        let error = call(endpoint(address).connect_lazy()).await;
        assert_is(&status(error), Closed, No);
    }
}

#[tokio::test]
async fn silence_is_a_timeout() {
    // A SETTINGS acknowledgement, and nothing else.
    let address = serve(Vec::new(), false).await;
    let endpoint = endpoint(address).timeout(Duration::from_millis(50));
    let error = call(endpoint.connect_lazy()).await;
    assert_is(&error, Timeout, Maybe);
    assert_is(&status(error), Timeout, Maybe);
}

#[test]
fn a_status_that_the_server_sent_is_none_of_the_connections() {
    for code in [
        Code::Unavailable,
        Code::Unknown,
        Code::DeadlineExceeded,
        Code::Aborted,
    ] {
        assert_eq!(classify(&Status::new(code, "transport error")), None);
    }
}

#[tokio::test]
async fn bad_urls_are_none_of_the_connections() {
    let error = Endpoint::from_static("robot.test")
        .connect()
        .await
        .unwrap_err();
    assert_eq!(classify(&error), None, "{error:?}");
}
