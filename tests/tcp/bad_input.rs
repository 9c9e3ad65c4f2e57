//! Peers that misbehave on their first connection, in every way: a clear error, and nothing is lost.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::{Layer, Service, ServiceExt};
use tower_conn_retry::tcp::{self, ErrorKind};
use tower_conn_retry::{BoxError, ConnErrorKind, Reconnect, RetryOnConnErr, Sent, classify};

use crate::by_id::FirstByte;
use crate::server::{bounded, framed, listen, pair, read_frame, send, write_frame};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bad {
    Garbage,
    AboveTheLimit,
    NobodyAsked,
    Twice,
    ClosesInMidFrame,
    NeverReads,
    NeverAnswers,
}

use Bad::*;

const ALL: [Bad; 7] = [
    Garbage,
    AboveTheLimit,
    NobodyAsked,
    Twice,
    ClosesInMidFrame,
    NeverReads,
    NeverAnswers,
];

impl Bad {
    /// Answers two requests, then misbehaves, and stays connected if it can.
    async fn serve(self, mut stream: TcpStream) -> TcpStream {
        if self == NeverReads {
            return stream;
        }
        let mut answered = Vec::new();
        for _ in 0..2 {
            answered = read_frame(&mut stream).await.unwrap();
            write_frame(&mut stream, &answered).await;
        }
        let bytes: Vec<u8> = match self {
            Garbage => b"HTTP/1.1 400 Bad Request\r\n\r\n".into(),
            AboveTheLimit => u32::MAX.to_be_bytes().into(),
            NobodyAsked => b"\0\0\0\x01\xff".into(),
            Twice => [&(answered.len() as u32).to_be_bytes()[..], &answered].concat(),
            ClosesInMidFrame => vec![0, 0, 0, 9, b'x'],
            NeverReads | NeverAnswers => Vec::new(),
        };
        let _ = stream.write_all(&bytes).await;
        if self == ClosesInMidFrame {
            let _ = stream.shutdown().await;
        }
        stream
    }
}

/// Misbehaves on the first connection, echoes on the others.
fn server(listener: TcpListener, bad: Bad) {
    tokio::spawn(async move {
        let (first, _) = listener.accept().await.unwrap();
        let _first = bad.serve(first).await;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                while let Ok(frame) = read_frame(&mut stream).await {
                    write_frame(&mut stream, &frame).await;
                }
            });
        }
    });
}

const LIMIT: Duration = Duration::from_millis(100);

/// Twenty requests at once, each with an answer that is its own.
async fn all_are_answered<S>(bad: Bad, service: S)
where
    S: Service<Bytes, Response = BytesMut, Future: Send + 'static> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
{
    let service = RetryOnConnErr::new().layer(service);
    let mut calls = JoinSet::new();
    for id in 1..=20_u8 {
        // Together more than the kernels take in for a peer that does not read.
        let size = if bad == NeverReads { 1 << 20 } else { 10 };
        let request = Bytes::from(vec![id; size]);
        let call = service.clone().oneshot(request.clone());
        calls.spawn(async move { assert_eq!(call.await.unwrap(), request, "{bad:?}") });
    }
    bounded(calls.join_all()).await;
}

#[tokio::test]
async fn nothing_is_lost_to_a_peer_that_answers_in_order() {
    for bad in ALL {
        // In order, what comes next is the next one's answer: of no use where they are told apart.
        if matches!(bad, NobodyAsked | Twice) {
            continue;
        }
        let (listener, address) = listen().await;
        server(listener, bad);
        let connector = framed(address).response_timeout(LIMIT);
        all_are_answered(bad, Reconnect::new(connector)).await;
    }
}

#[tokio::test]
async fn nothing_is_lost_to_a_peer_that_answers_by_id() {
    for bad in ALL {
        let (listener, address) = listen().await;
        server(listener, bad);
        let connector = framed(address)
            .response_timeout(LIMIT)
            .correlate(|| FirstByte);
        all_are_answered(bad, Reconnect::new(connector)).await;
    }
}

#[tokio::test]
async fn each_is_a_clear_error() {
    for (bad, kind, conn) in [
        (Garbage, ErrorKind::Decode, ConnErrorKind::Closed),
        (AboveTheLimit, ErrorKind::Decode, ConnErrorKind::Closed),
        (
            NobodyAsked,
            ErrorKind::UnexpectedAnswer,
            ConnErrorKind::Closed,
        ),
        (Twice, ErrorKind::UnexpectedAnswer, ConnErrorKind::Closed),
        (ClosesInMidFrame, ErrorKind::Closed, ConnErrorKind::Closed),
        (
            NeverAnswers,
            ErrorKind::ResponseTimeout,
            ConnErrorKind::Timeout,
        ),
    ] {
        let (listener, address) = listen().await;
        server(listener, bad);
        let mut connector = framed(address)
            .response_timeout(10 * LIMIT)
            .correlate(|| FirstByte);
        let mut client = connector.call(()).await.unwrap();
        let mut calls = Vec::new();
        for id in 1..=3 {
            calls.push(send(&mut client, vec![id]).await);
        }
        let last = calls.pop().unwrap();
        for call in calls {
            call.await.unwrap();
        }
        let error: tcp::Error = last.await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (kind, Sent::Maybe), "{bad:?}");
        assert_eq!(classify(&error).unwrap().kind(), conn, "{bad:?}");
    }
}

#[tokio::test]
async fn a_frame_that_announces_more_than_the_limit_is_not_waited_for() {
    let (mut client, mut server) = pair().await;
    let call = send(&mut client, "a").await;
    read_frame(&mut server).await.unwrap();
    // One more than the codec's default of 8 MiB, and not a byte of it.
    let len = (8 << 20) + 1_u32;
    server.write_all(&len.to_be_bytes()).await.unwrap();
    assert_eq!(call.await.unwrap_err().kind(), ErrorKind::Decode);
}
