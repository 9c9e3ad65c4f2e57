use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};
use tower::{Service, ServiceExt};
use tower_conn_retry::Sent;
use tower_conn_retry::tcp::{Connector, ErrorKind};

use crate::server::{echo, framed, listen, pair, pair_with, read_frame, send, write_frame};

#[tokio::test]
async fn a_thousand_requests_in_flight_get_their_answers_in_order() {
    let (listener, address) = listen().await;
    echo(listener);
    let mut client = framed(address).call(()).await.unwrap();
    let mut calls = Vec::new();
    for n in 0..1_000 {
        calls.push(send(&mut client, format!("message {n}")).await);
    }
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), format!("message {n}"));
    }
}

#[tokio::test]
async fn clones_share_the_connection() {
    let (mut client, mut server) = pair().await;
    let mut clone = client.clone();
    let (a, b) = (send(&mut client, "a").await, send(&mut clone, "b").await);
    for _ in 0..2 {
        let frame = read_frame(&mut server).await.unwrap();
        write_frame(&mut server, &frame).await;
    }
    assert_eq!(
        (a.await.unwrap(), b.await.unwrap()),
        ("a".into(), "b".into())
    );
}

#[tokio::test]
async fn a_dropped_call_does_not_shift_the_answers() {
    let (mut client, mut server) = pair().await;
    let a = send(&mut client, "a").await;
    let b = send(&mut client, "b").await;
    let c = send(&mut client, "c").await;
    let frames = [
        read_frame(&mut server).await.unwrap(),
        read_frame(&mut server).await.unwrap(),
        read_frame(&mut server).await.unwrap(),
    ];
    drop(b);
    for frame in frames {
        write_frame(&mut server, &frame).await;
    }
    assert_eq!(
        (a.await.unwrap(), c.await.unwrap()),
        ("a".into(), "c".into())
    );
}

#[tokio::test]
async fn a_call_dropped_before_it_is_encoded_is_not_sent() {
    let (mut client, mut server) = pair().await;
    // The task of the connection has not run between these lines.
    drop(send(&mut client, "a").await);
    let b = send(&mut client, "b").await;
    let frame = read_frame(&mut server).await.unwrap();
    assert_eq!(frame, b"b");
    write_frame(&mut server, &frame).await;
    assert_eq!(b.await.unwrap(), "b");
}

#[tokio::test]
async fn readiness_is_given_to_as_many_as_may_be_in_flight() {
    let (mut client, mut server) = pair_with(|c| c.max_in_flight(2)).await;
    let a = send(&mut client, "a").await;
    let b = send(&mut client, "b").await;
    let mut third = client.clone();
    let mut ready = tokio_task(third.ready());
    assert!(ready.poll_pending());
    // Called all the same: an error, not a panic, and not sent.
    let error = client.call(Bytes::from("c")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.sent()),
        (ErrorKind::NotReady, Sent::No)
    );
    // A caller that goes away frees no room: the peer still owes its answer.
    drop(b);
    assert!(ready.poll_pending());

    let frame = read_frame(&mut server).await.unwrap();
    write_frame(&mut server, &frame).await;
    assert_eq!(a.await.unwrap(), "a");
    ready.future.await.unwrap();
}

#[tokio::test]
async fn a_bound_of_zero_is_one() {
    let (listener, address) = listen().await;
    echo(listener);
    let mut client = framed(address).max_in_flight(0).call(()).await.unwrap();
    assert_eq!(send(&mut client, "a").await.await.unwrap(), "a");
    assert_eq!(send(&mut client, "b").await.await.unwrap(), "b");
}

#[tokio::test]
async fn a_request_that_cannot_be_encoded_fails_alone() {
    let (listener, address) = listen().await;
    echo(listener);
    let codec = || {
        LengthDelimitedCodec::builder()
            .max_frame_length(3)
            .new_codec()
    };
    let mut client = Connector::new(address, codec).call(()).await.unwrap();
    let a = client.ready().await.unwrap().call(Bytes::from("a"));
    let long = client.ready().await.unwrap().call(Bytes::from("too long"));
    let b = client.ready().await.unwrap().call(Bytes::from("b"));

    let error = long.await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Encode, Sent::No));
    assert_eq!(
        (a.await.unwrap(), b.await.unwrap()),
        ("a".into(), "b".into())
    );
}

#[tokio::test]
async fn the_connection_ends_when_nobody_is_interested_any_more() {
    let (mut client, mut server) = pair().await;
    let call = send(&mut client, "a").await;
    drop(client);
    // The answer is still waited for.
    let frame = read_frame(&mut server).await.unwrap();
    write_frame(&mut server, &frame).await;
    assert_eq!(call.await.unwrap(), "a");
    let end = read_frame(&mut server).await.unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn the_connection_ends_when_the_last_call_is_dropped() {
    let (mut client, mut server) = pair().await;
    let call = send(&mut client, "a").await;
    read_frame(&mut server).await.unwrap();
    drop(client);
    drop(call);
    let end = read_frame(&mut server).await.unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
}

/// A codec that is not about bytes: numbers, one per line.
struct Numbers;

impl Encoder<u64> for Numbers {
    type Error = io::Error;

    fn encode(&mut self, number: u64, buffer: &mut BytesMut) -> io::Result<()> {
        buffer.extend_from_slice(format!("{number}\n").as_bytes());
        Ok(())
    }
}

impl Decoder for Numbers {
    type Item = u64;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<u64>> {
        let Some(end) = buffer.iter().position(|b| *b == b'\n') else {
            return Ok(None);
        };
        let line = buffer.split_to(end + 1);
        let text = std::str::from_utf8(&line).map_err(io::Error::other)?;
        text.trim().parse().map(Some).map_err(io::Error::other)
    }
}

#[tokio::test]
async fn any_codec_will_do() {
    let (listener, address) = listen().await;
    echo(listener);
    let mut client = Connector::new(address, || Numbers).call(()).await.unwrap();
    assert_eq!(client.ready().await.unwrap().call(42).await.unwrap(), 42);
}

#[tokio::test]
async fn a_codec_that_panics_leaves_nobody_waiting() {
    struct Panics;
    impl Encoder<u64> for Panics {
        type Error = io::Error;
        fn encode(&mut self, number: u64, buffer: &mut BytesMut) -> io::Result<()> {
            Numbers.encode(number, buffer)
        }
    }
    impl Decoder for Panics {
        type Item = u64;
        type Error = io::Error;
        fn decode(&mut self, _: &mut BytesMut) -> io::Result<Option<u64>> {
            panic!("on purpose")
        }
    }
    let (listener, address) = listen().await;
    let mut connector = Connector::new(address, || Panics);
    let (client, accepted) = tokio::join!(connector.call(()), listener.accept());
    let (mut client, mut server) = (client.unwrap(), accepted.unwrap().0);
    let call = client.ready().await.unwrap().call(1);
    server.write_all(b"1\n").await.unwrap();
    assert_eq!(call.await.unwrap_err().kind(), ErrorKind::Gone);
    let error = client.ready().await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Gone, Sent::No));
}

/// A future that is polled by hand.
struct Task<F> {
    future: std::pin::Pin<Box<F>>,
}

fn tokio_task<F: Future>(future: F) -> Task<F> {
    let future = Box::pin(future);
    Task { future }
}

impl<F: Future> Task<F> {
    fn poll_pending(&mut self) -> bool {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        self.future.as_mut().poll(&mut cx).is_pending()
    }
}
