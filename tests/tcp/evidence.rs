//! How a connection breaks, and what is known then about each request.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::codec::LengthDelimitedCodec;
use tower::{Service, ServiceExt};
use tower_conn_retry::tcp::{Connector, Error, ErrorKind};
use tower_conn_retry::{ConnErrorKind, Sent, Unsent, classify};

use crate::server::{listen, pair, pair_with, read_frame, reset, send, write_frame};

fn seen(error: &Error) -> (ErrorKind, Sent) {
    (error.kind(), error.sent())
}

#[tokio::test]
async fn answers_that_came_before_the_end_are_handed_out_and_the_rest_is_maybe() {
    for orderly in [true, false] {
        let (mut client, mut server) = pair().await;
        let mut calls = Vec::new();
        for n in 0..10 {
            calls.push(send(&mut client, format!("{n}")).await);
        }
        for n in 0..10 {
            let frame = read_frame(&mut server).await.unwrap();
            if n < 4 {
                write_frame(&mut server, &frame).await;
            }
        }
        let expected = match orderly {
            true => {
                drop(server);
                (ErrorKind::Closed, Sent::Maybe)
            }
            false => {
                reset(server);
                (ErrorKind::Io, Sent::Maybe)
            }
        };
        for (n, call) in calls.into_iter().enumerate() {
            match call.await {
                Ok(answer) => assert_eq!((answer, n < 4), (format!("{n}").as_str().into(), true)),
                Err(error) => assert_eq!((seen(&error), n < 4), (expected, false)),
            }
        }
        // Whoever has heard of it finds the connection dead, for good.
        let error = client.ready().await.unwrap_err();
        assert_eq!(seen(&error), (expected.0, Sent::No));
        let error = client.call(Bytes::from("late")).await.unwrap_err();
        assert_eq!(seen(&error), (expected.0, Sent::No));
    }
}

#[tokio::test]
async fn a_frame_that_was_written_in_part_was_not_sent() {
    let (mut client, mut server) = pair_with(|c| c).await;
    let whole = send(&mut client, "whole").await;
    // More than all the kernel's buffers, and under the codec's limit of 8 MiB; with the next one
    // it can't be written.
    let mut parts = Vec::new();
    for _ in 0..8 {
        parts.push(send(&mut client, vec![0; 7 << 20]).await);
    }
    let queued = send(&mut client, "queued").await;

    assert_eq!(read_frame(&mut server).await.unwrap(), b"whole");
    // Part of the next frame has come, so part of it was written.
    server.read_u32().await.unwrap();
    server.read_u8().await.unwrap();
    reset(server);

    assert_eq!(whole.await.unwrap_err().sent(), Sent::Maybe);
    // Which one broke in the middle depends on the kernel's buffers. Later ones were not begun.
    let mut sent = Vec::new();
    for part in parts {
        sent.push(part.await.unwrap_err().sent());
    }
    assert_eq!(sent.last(), Some(&Sent::No));
    assert!(sent.is_sorted_by_key(|sent| *sent == Sent::No));
    let queued = queued.await.unwrap_err();
    assert_eq!(queued.sent(), Sent::No);
    // What was never encoded is handed back, and so is what comes too late.
    assert_eq!(Unsent::find(&queued), Some(Bytes::from("queued")));
    let late = client.call(Bytes::from("late")).await.unwrap_err();
    assert_eq!(Unsent::find(&late), Some(Bytes::from("late")));
}

#[tokio::test]
async fn one_frame_larger_than_all_buffers_was_not_sent() {
    let (listener, address) = listen().await;
    let codec = || {
        LengthDelimitedCodec::builder()
            .max_frame_length(1 << 30)
            .new_codec()
    };
    let mut connector = Connector::new(address, codec);
    let (client, accepted) = tokio::join!(connector.call(()), listener.accept());
    let (mut client, mut server) = (client.unwrap(), accepted.unwrap().0);
    let call = client
        .ready()
        .await
        .unwrap()
        .call(Bytes::from(vec![0; 64 << 20]));
    server.read_u32().await.unwrap();
    server.read_u8().await.unwrap();
    reset(server);
    assert_eq!(seen(&call.await.unwrap_err()), (ErrorKind::Io, Sent::No));
}

#[tokio::test]
async fn a_peer_that_closes_in_the_middle_of_a_frame_has_closed() {
    let (mut client, mut server) = pair().await;
    let call = send(&mut client, "a").await;
    read_frame(&mut server).await.unwrap();
    server.write_all(&[0, 0, 0, 9, b'x']).await.unwrap();
    drop(server);
    let error = call.await.unwrap_err();
    assert_eq!(seen(&error), (ErrorKind::Closed, Sent::Maybe));
    // The codec's own account of it.
    assert!(error.source().is_some());
}

#[tokio::test]
async fn garbage_is_a_clear_error_and_the_end() {
    let (mut client, mut server) = pair().await;
    let (a, b) = (send(&mut client, "a").await, send(&mut client, "b").await);
    let frame = read_frame(&mut server).await.unwrap();
    write_frame(&mut server, &frame).await;
    read_frame(&mut server).await.unwrap();
    server.write_all(b"HTTP/1.1 302 Found\r\n").await.unwrap();
    assert_eq!(a.await.unwrap(), "a");
    let error = b.await.unwrap_err();
    assert_eq!(seen(&error), (ErrorKind::Decode, Sent::Maybe));
    assert!(error.source().is_some());
    let error = client.ready().await.unwrap_err();
    assert_eq!(seen(&error), (ErrorKind::Decode, Sent::No));
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_the_end() {
    let (mut client, mut server) = pair().await;
    let call = send(&mut client, "a").await;
    read_frame(&mut server).await.unwrap();
    write_frame(&mut server, b"a").await;
    write_frame(&mut server, b"a").await;
    assert_eq!(call.await.unwrap(), "a");
    // The server sees the end of the connection; then the client's side knows as well.
    assert!(read_frame(&mut server).await.is_err());
    let error = client.ready().await.unwrap_err();
    assert_eq!(seen(&error), (ErrorKind::UnexpectedAnswer, Sent::No));
}

#[tokio::test]
async fn a_silent_peer_is_noticed() {
    let limit = Duration::from_millis(50);
    let (mut client, mut server) = pair_with(|c| c.response_timeout(limit)).await;
    let (a, b) = (send(&mut client, "a").await, send(&mut client, "b").await);
    read_frame(&mut server).await.unwrap();
    let expected = (ErrorKind::ResponseTimeout, Sent::Maybe);
    assert_eq!(seen(&a.await.unwrap_err()), expected);
    assert_eq!(seen(&b.await.unwrap_err()), expected);
}

#[tokio::test]
async fn a_response_timeout_of_zero_fails_what_is_not_answered_at_once() {
    let (mut client, _server) = pair_with(|c| c.response_timeout(Duration::ZERO)).await;
    let error = send(&mut client, "a").await.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResponseTimeout);
}

#[tokio::test]
async fn a_response_timeout_beyond_the_end_of_time_is_none() {
    let (mut client, mut server) = pair_with(|c| c.response_timeout(Duration::MAX)).await;
    let call = send(&mut client, "a").await;
    let frame = read_frame(&mut server).await.unwrap();
    write_frame(&mut server, &frame).await;
    assert_eq!(call.await.unwrap(), "a");
}

#[tokio::test]
async fn a_peer_that_never_reads_is_noticed_too() {
    let limit = Duration::from_millis(50);
    let (mut client, _server) = pair_with(|c| c.response_timeout(limit)).await;
    let mut calls = Vec::new();
    for _ in 0..8 {
        calls.push(send(&mut client, vec![0; 7 << 20]).await);
    }
    let last = calls.pop().unwrap().await.unwrap_err();
    assert_eq!(seen(&last), (ErrorKind::ResponseTimeout, Sent::No));
}

/// Nor need it be told to: its kernel answers, but never with room.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_peer_that_never_reads_is_noticed_by_its_closed_window() {
    let limit = Duration::from_millis(500);
    let (mut client, _server) = pair_with(|c| c.user_timeout(limit)).await;
    let mut calls = Vec::new();
    for _ in 0..8 {
        calls.push(send(&mut client, vec![0; 7 << 20]).await);
    }
    let last = calls.pop().unwrap().await.unwrap_err();
    assert_eq!(seen(&last), (ErrorKind::Io, Sent::No));
    let verdict = classify(&last).unwrap();
    assert_eq!(verdict.kind(), ConnErrorKind::Timeout);
}

#[tokio::test]
async fn whoever_waits_for_readiness_hears_of_the_end() {
    let (mut client, mut server) = pair_with(|c| c.max_in_flight(1)).await;
    let call = send(&mut client, "a").await;
    let waiting = tokio::spawn(async move { client.ready().await.map(drop) });
    read_frame(&mut server).await.unwrap();
    reset(server);
    assert_eq!(seen(&call.await.unwrap_err()), (ErrorKind::Io, Sent::Maybe));
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(seen(&error), (ErrorKind::Io, Sent::No));
}
