use std::error::Error as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::codec::LengthDelimitedCodec;
use tower::Service;
use tower_conn_retry::Sent;
use tower_conn_retry::tcp::{Connector, Error, ErrorKind};

use crate::server::{framed, listen};

async fn error_of(address: &str) -> Error {
    let mut connector = Connector::<_, Bytes>::new(address, LengthDelimitedCodec::new);
    connector.call(()).await.unwrap_err()
}

#[tokio::test]
async fn a_refused_connect_says_so_and_is_not_sent() {
    let (listener, address) = listen().await;
    drop(listener);
    let error = framed(address).call(()).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Connect, Sent::No));
    let source = error.source().unwrap().downcast_ref::<io::Error>();
    assert_eq!(source.unwrap().kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn addresses_and_names_that_lead_nowhere() {
    for (address, kind) in [
        ("no port", ErrorKind::Address),
        ("localhost:port", ErrorKind::Address),
        ("name.invalid:1", ErrorKind::Resolve),
    ] {
        let error = error_of(address).await;
        assert_eq!((error.kind(), error.sent()), (kind, Sent::No), "{address}");
        let text = error.to_string();
        assert!(text.ends_with(&format!(" ({address})")), "{text}");
    }
}

#[tokio::test]
async fn a_connect_timeout_of_zero_fails_every_connect() {
    let (_listener, address) = listen().await;
    let mut connector = framed(address).connect_timeout(Duration::ZERO);
    let error = connector.call(()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.sent()),
        (ErrorKind::ConnectTimeout, Sent::No)
    );
}

#[tokio::test]
async fn extreme_options_are_taken() {
    let (_listener, address) = listen().await;
    for duration in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let mut connector = framed(address)
            .keepalive(duration)
            .user_timeout(duration)
            .connect_timeout(Duration::MAX)
            .max_in_flight(usize::MAX)
            .nodelay(false);
        connector.call(()).await.unwrap();
    }
}
