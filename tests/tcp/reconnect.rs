//! `Reconnect` over the TCP client.

use std::error::Error;
use std::future::poll_fn;
use std::io::ErrorKind as ErrorKindIo;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio_util::codec::LengthDelimitedCodec;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_conn_retry::tcp::{self, Connector, ErrorKind};
use tower_conn_retry::{BoxError, ConnectError, Reconnect, RetryOnConnErr, Sent, Unsent};

use crate::server::{bounded, echo, framed, listen, read_frame, reset, write_frame};

/// The `tcp::Error` in an error's chain. (What waited together shares it through an `Arc`.)
fn tcp_error(error: &BoxError) -> &tcp::Error {
    let mut next: Option<&(dyn Error + 'static)> = Some(&**error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<tcp::Error>() {
            return found;
        }
        if let Some(shared) = error.downcast_ref::<std::sync::Arc<dyn Error + Send + Sync>>() {
            next = Some(&**shared);
        } else {
            next = error.source();
        }
    }
    panic!("no tcp::Error in {error:?}")
}

#[tokio::test]
async fn types_are_inferred_from_the_line_in_the_documentation() {
    let (listener, address) = listen().await;
    echo(listener);
    let address = address.to_string();
    let mut service = ServiceBuilder::new()
        .layer(tower::timeout::TimeoutLayer::new(Duration::from_secs(5)))
        .service(Reconnect::new(tcp::Connector::new(address, || {
            LengthDelimitedCodec::new()
        })));
    let answer = service.ready().await.unwrap().call(Bytes::from("a")).await;
    assert_eq!(answer.unwrap(), "a");
}

#[tokio::test]
async fn types_are_inferred_for_a_codec_of_several_request_types() {
    let (listener, address) = listen().await;
    echo(listener);
    // Encodes `Bytes` and `BytesMut`.
    let codec = || tokio_util::codec::BytesCodec::new();
    let service = Reconnect::new(Connector::new(address, codec));
    assert_eq!(service.oneshot(Bytes::from("a")).await.unwrap(), "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_callers_share_one_connection() {
    let (listener, address) = listen().await;
    let (accepted, _server) = echo(listener);
    let service = Reconnect::new(framed(address));
    let mut callers = JoinSet::new();
    for n in 0..100 {
        let service = service.clone();
        callers.spawn(async move {
            let message = format!("{n}");
            let answer = service.oneshot(Bytes::from(message.clone())).await.unwrap();
            assert_eq!(answer, message);
        });
    }
    callers.join_all().await;
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn callers_that_wait_are_served_in_the_order_of_their_calls() {
    let (listener, address) = listen().await;
    let mut service = Reconnect::new(framed(address));
    let calls: Vec<_> = (0..50_u8)
        .map(|n| service.call(Bytes::from(vec![n])))
        .collect();
    let mut callers = JoinSet::new();
    for call in calls {
        callers.spawn(call);
    }
    let (mut server, _) = listener.accept().await.unwrap();
    for n in 0..50 {
        assert_eq!(read_frame(&mut server).await.unwrap(), [n]);
    }
}

#[tokio::test]
async fn refused_is_the_calls_error_with_the_proof_that_nothing_was_sent() {
    let (listener, address) = listen().await;
    drop(listener);
    let mut service = Reconnect::new(framed(address));
    for _ in 0..2 {
        let ready = service.ready().await.unwrap();
        let error = ready.call(Bytes::from("a")).await.unwrap_err();
        assert!(error.downcast_ref::<ConnectError>().is_some());
        let error = tcp_error(&error);
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Connect, Sent::No));
    }
}

#[tokio::test]
async fn a_new_connection_is_made_when_the_server_is_back() {
    let (listener, address) = listen().await;
    let mut service = Reconnect::new(framed(address));
    for _ in 0..3 {
        let call = service.ready().await.unwrap().call(Bytes::from("a"));
        let call = tokio::spawn(call);
        let (mut server, _) = listener.accept().await.unwrap();
        let frame = read_frame(&mut server).await.unwrap();
        write_frame(&mut server, &frame).await;
        assert_eq!(call.await.unwrap().unwrap(), "a");

        let call = tokio::spawn(service.call(Bytes::from("b")));
        read_frame(&mut server).await.unwrap();
        reset(server);
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(tcp_error(&error).sent(), Sent::Maybe);
    }
}

#[tokio::test]
async fn a_call_outlives_the_service_and_the_connection_does_not_outlive_the_call() {
    let (listener, address) = listen().await;
    let mut service = Reconnect::new(framed(address));
    let calls = [(); 2].map(|()| tokio::spawn(service.call(Bytes::from("a"))));
    let (mut server, _) = listener.accept().await.unwrap();
    for _ in &calls {
        read_frame(&mut server).await.unwrap();
    }
    drop(service);
    tokio::task::yield_now().await;
    for call in calls {
        write_frame(&mut server, b"a").await;
        assert_eq!(call.await.unwrap().unwrap(), "a");
    }
    let end = bounded(read_frame(&mut server)).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKindIo::UnexpectedEof);
}

#[tokio::test]
async fn a_call_that_fails_when_the_service_has_gone_says_so() {
    let (listener, address) = listen().await;
    let mut service = Reconnect::new(framed(address));
    let call = tokio::spawn(service.call(Bytes::from("a")));
    let (mut server, _) = listener.accept().await.unwrap();
    read_frame(&mut server).await.unwrap();
    drop(service);
    reset(server);
    let error = bounded(call).await.unwrap().unwrap_err();
    assert_eq!(tcp_error(&error).sent(), Sent::Maybe);
}

/// It would go past the other one otherwise, which has to be sent again.
#[tokio::test]
async fn whoever_waits_for_room_on_a_connection_fails_with_those_who_were_before() {
    let (listener, address) = listen().await;
    let mut service = Reconnect::new(framed(address).max_in_flight(1));
    let first = tokio::spawn(service.call(Bytes::from("first")));
    let (mut server, _) = listener.accept().await.unwrap();
    read_frame(&mut server).await.unwrap();
    let mut second = std::pin::pin!(service.call(Bytes::from("second")));
    let waits = poll_fn(|cx| Poll::Ready(second.as_mut().poll(cx).is_pending()));
    assert!(waits.await);
    reset(server);

    let error = first.await.unwrap().unwrap_err();
    assert_eq!(tcp_error(&error).sent(), Sent::Maybe);
    let second = tokio::time::timeout(Duration::from_secs(10), second).await;
    let error = second.expect("it connects").unwrap_err();
    assert_eq!(tcp_error(&error).sent(), Sent::No);
    assert_eq!(Unsent::find(&*error), Some(Bytes::from("second")));
}

/// A peer that pauses longer than its clients wait must not find later what they gave up and sent to
/// another connection.
#[tokio::test]
async fn what_was_given_up_does_not_arrive_after_its_replay() {
    let (listener, address) = listen().await;
    let connector = framed(address).response_timeout(Duration::from_millis(50));
    let service = Reconnect::new(connector);
    let mut service = RetryOnConnErr::new().in_order().layer(service);
    let mut calls = Vec::new();
    for n in 0..8 {
        let service = service.ready().await.unwrap();
        // More than the kernel's buffers take.
        calls.push(tokio::spawn(service.call(Bytes::from(vec![n; 4 << 20]))));
    }
    let (mut paused, _) = bounded(listener.accept()).await.unwrap();
    echo(listener);
    for call in calls {
        bounded(call).await.unwrap().unwrap();
    }
    // Nothing but the part of a frame that was there before.
    let error = read_frame(&mut paused).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKindIo::ConnectionReset);
}

#[tokio::test]
async fn a_call_that_finds_room_does_not_go_past_those_who_wait_for_it() {
    let (listener, address) = listen().await;
    let mut service = Reconnect::new(framed(address).max_in_flight(2));
    let before = [
        tokio::spawn(service.call(Bytes::from("a"))),
        tokio::spawn(service.call(Bytes::from("b"))),
    ];
    let (mut server, _) = listener.accept().await.unwrap();
    let mut frames = Vec::new();
    for _ in &before {
        frames.push(read_frame(&mut server).await.unwrap());
    }
    let mut waits = std::pin::pin!(service.call(Bytes::from("c")));
    let pending = poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx).is_pending()));
    assert!(pending.await);
    for frame in frames {
        write_frame(&mut server, &frame).await;
    }
    for call in before {
        call.await.unwrap().unwrap();
    }
    // There is room for two now, and the one who waits has not been polled since.
    let late = tokio::spawn(service.call(Bytes::from("d")));
    tokio::task::yield_now().await;
    let pending = poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx).is_pending()));
    assert!(pending.await);
    for expected in ["c", "d"] {
        assert_eq!(read_frame(&mut server).await.unwrap(), expected.as_bytes());
    }
    late.abort();
}

/// Calls that found no room, and are never polled, or once, keep nobody from the room that there is
/// later.
#[tokio::test]
async fn callers_who_do_not_come_for_their_room_hold_up_nobody() {
    for room in [1, 4] {
        let (listener, address) = listen().await;
        echo(listener);
        let service = Reconnect::new(framed(address).max_in_flight(room));
        let mut service = RetryOnConnErr::new().layer(service);
        let warm = service.ready().await.unwrap().call(Bytes::from("warm"));
        warm.await.unwrap();
        let mut calls: Vec<_> = (0..3 * room)
            .map(|_| Box::pin(service.call(Bytes::from("a"))))
            .collect();
        let mut stalled = calls.split_off(room);
        for call in &mut stalled[..room] {
            assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await);
        }
        for call in calls {
            bounded(call).await.unwrap();
        }
        bounded(service.call(Bytes::from("b"))).await.unwrap();
        // They come after all.
        for call in stalled {
            bounded(call).await.unwrap();
        }
    }
}
