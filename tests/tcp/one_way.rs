//! Messages without answers: done when the peer's kernel has acknowledged them.
#![cfg(any(target_os = "linux", target_os = "android"))]

use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::codec::LengthDelimitedCodec;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_conn_retry::tcp::{self, Connector, Error, ErrorKind};
use tower_conn_retry::{Reconnect, RetryOnConnErr, Sent};

use crate::server::{Framed, framed, listen, read_frame, reset, send};

type Client = tcp::Client<Bytes, ()>;

async fn pair_with(set: impl FnOnce(Framed) -> Framed) -> (Client, TcpStream) {
    let (listener, address) = listen().await;
    let mut connector = set(framed(address)).one_way();
    let (client, accepted) = tokio::join!(connector.call(()), listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}

fn seen(error: &Error) -> (ErrorKind, Sent) {
    (error.kind(), error.sent())
}

/// More than the kernel's buffers take, eight of them.
fn large() -> Vec<u8> {
    vec![0; 7 << 20]
}

#[tokio::test]
async fn a_message_is_done_when_the_kernel_has_it_though_no_program_has() {
    let (mut client, mut server) = pair_with(|c| c).await;
    for n in 0..10 {
        let call = send(&mut client, format!("{n}")).await;
        call.await.unwrap();
    }
    // Nothing has been read until now.
    for n in 0..10 {
        let frame = read_frame(&mut server).await.unwrap();
        assert_eq!(frame, format!("{n}").as_bytes());
    }
}

#[tokio::test]
async fn many_messages_in_flight_are_all_done_and_all_arrive() {
    let (mut client, mut server) = pair_with(|c| c.max_in_flight(100)).await;
    let server = tokio::spawn(async move {
        for n in 0..2_000_u32 {
            assert_eq!(read_frame(&mut server).await.unwrap(), n.to_be_bytes());
        }
        server
    });
    let mut calls = Vec::new();
    for n in 0..2_000_u32 {
        calls.push(send(&mut client, n.to_be_bytes().to_vec()).await);
    }
    for call in calls {
        call.await.unwrap();
    }
    server.await.unwrap();
}

#[tokio::test]
async fn what_a_peer_that_never_reads_has_no_room_for_is_not_done() {
    let limit = Duration::from_millis(200);
    let (mut client, _server) = pair_with(|c| c.response_timeout(limit)).await;
    let small = send(&mut client, "small").await;
    let mut calls = Vec::new();
    for _ in 0..8 {
        calls.push(send(&mut client, large()).await);
    }
    small.await.unwrap();
    let last = calls.pop().unwrap().await.unwrap_err();
    assert_eq!(seen(&last), (ErrorKind::ResponseTimeout, Sent::No));
    for call in calls {
        if let Err(error) = call.await {
            assert_eq!(error.kind(), ErrorKind::ResponseTimeout);
        }
    }
}

#[tokio::test]
async fn what_was_not_acknowledged_at_the_break_may_have_been_sent_or_was_not() {
    let (mut client, mut server) = pair_with(|c| c).await;
    let first = send(&mut client, "first").await;
    let mut calls = Vec::new();
    for _ in 0..8 {
        calls.push(send(&mut client, large()).await);
    }
    first.await.unwrap();
    assert_eq!(read_frame(&mut server).await.unwrap(), b"first");
    reset(server);
    let mut sent = Vec::new();
    for call in calls {
        let error = call.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        sent.push(error.sent());
    }
    assert_eq!(sent.last(), Some(&Sent::No));
    assert!(sent.is_sorted_by_key(|sent| *sent == Sent::No));
    assert_eq!(
        seen(&client.ready().await.unwrap_err()),
        (ErrorKind::Io, Sent::No)
    );
}

#[tokio::test]
async fn whatever_the_peer_says_is_the_end() {
    let (mut client, mut server) = pair_with(|c| c).await;
    send(&mut client, "a").await.await.unwrap();
    server.write_all(b"?").await.unwrap();
    // Until the client has heard it.
    let error = loop {
        match client.ready().await {
            Ok(client) => {
                let _ = client.call(Bytes::from("a")).await;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(seen(&error), (ErrorKind::UnexpectedAnswer, Sent::No));
}

#[tokio::test]
async fn a_peer_that_closes_is_noticed() {
    let (mut client, server) = pair_with(|c| c).await;
    send(&mut client, "a").await.await.unwrap();
    drop(server);
    let error = loop {
        match client.ready().await {
            Ok(client) => {
                let _ = client.call(Bytes::from("a")).await;
            }
            Err(error) => break error,
        }
    };
    // Unread bytes make a close a reset.
    assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Closed));
}

#[tokio::test]
async fn a_codec_that_only_encodes_will_do() {
    struct Lines;
    impl tokio_util::codec::Encoder<String> for Lines {
        type Error = std::io::Error;
        fn encode(&mut self, line: String, buffer: &mut bytes::BytesMut) -> std::io::Result<()> {
            buffer.extend_from_slice(line.as_bytes());
            buffer.extend_from_slice(b"\n");
            Ok(())
        }
    }
    let (listener, address) = listen().await;
    let connector = Connector::new(address, || Lines).one_way();
    let mut service = ServiceBuilder::new()
        .layer(RetryOnConnErr)
        .service(Reconnect::new(connector));
    for n in 0..5 {
        service
            .ready()
            .await
            .unwrap()
            .call(format!("{n}"))
            .await
            .unwrap();
    }
    let (server, _) = listener.accept().await.unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(server));
    for n in 0..5 {
        let line = lines.next_line().await.unwrap();
        assert_eq!(line, Some(format!("{n}")));
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_encoded_fails_alone() {
    let (listener, address) = listen().await;
    let codec = || {
        LengthDelimitedCodec::builder()
            .max_frame_length(3)
            .new_codec()
    };
    let mut client = Connector::new(address, codec)
        .one_way()
        .call(())
        .await
        .unwrap();
    let a = send(&mut client, "a").await;
    let long = send(&mut client, "too long").await;
    let b = send(&mut client, "b").await;
    assert_eq!(
        seen(&long.await.unwrap_err()),
        (ErrorKind::Encode, Sent::No)
    );
    a.await.unwrap();
    b.await.unwrap();
    drop(listener);
}

#[tokio::test]
async fn the_connection_ends_in_order_when_all_is_done_and_nobody_is_left() {
    let (mut client, mut server) = pair_with(|c| c).await;
    let call = send(&mut client, "a").await;
    drop(client);
    call.await.unwrap();
    assert_eq!(read_frame(&mut server).await.unwrap(), b"a");
    let end = read_frame(&mut server).await.unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof);
}

/// TLS makes other bytes of a message, and keeps some of them back.
#[cfg(feature = "tls")]
#[tokio::test]
async fn below_tls_it_is_the_bytes_that_tls_made_which_are_acknowledged() {
    use tokio::io::AsyncReadExt;

    let identity = crate::tls::identity("127.0.0.1");
    let tls = tcp::Tls::roots([identity.certificate.clone()]).unwrap();
    let (listener, address) = listen().await;
    let limit = Duration::from_millis(500);
    let mut connector = framed(address).tls(tls).response_timeout(limit).one_way();
    let accept = crate::tls::accept(&listener, &identity);
    let (client, server) = tokio::join!(connector.call(()), accept);
    let (mut client, mut server) = (client.unwrap(), server.unwrap());

    // While the peer reads, all is done.
    let mut calls = Vec::new();
    for n in 0..100_u8 {
        calls.push(send(&mut client, vec![n; 10_000]).await);
    }
    let reads = tokio::spawn(async move {
        for n in 0..100_u8 {
            assert_eq!(server.read_u32().await.unwrap(), 10_000);
            let mut frame = vec![0; 10_000];
            server.read_exact(&mut frame).await.unwrap();
            assert_eq!(frame, [n; 10_000]);
        }
        server
    });
    for call in calls {
        call.await.unwrap();
    }
    let _server = reads.await.unwrap();

    // From now on it does not.
    let small = send(&mut client, "small").await;
    small.await.unwrap();
    let mut calls = Vec::new();
    for _ in 0..8 {
        calls.push(send(&mut client, large()).await);
    }
    let last = calls.pop().unwrap().await.unwrap_err();
    assert_eq!(seen(&last), (ErrorKind::ResponseTimeout, Sent::No));
}
