//! Answers that carry an id. Here it is the first byte of each frame.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::codec::LengthDelimitedCodec;
use tower::{Service, ServiceExt};
use tower_conn_retry::tcp::{Connector, Correlate, Error, ErrorKind};
use tower_conn_retry::{BoxError, Reconnect, RetryOnConnErr, Sent, is_conn_error};

use crate::server::{Client, framed, listen, read_frame, reset, send, write_frame};

/// A frame that begins with this is no answer.
const PUSH: u8 = b'!';

pub(crate) struct FirstByte;

impl Correlate<Bytes, BytesMut> for FirstByte {
    type Id = u8;

    fn request(&mut self, request: &mut Bytes) -> u8 {
        request[0]
    }

    fn response(&mut self, response: &BytesMut) -> Option<u8> {
        response.first().copied().filter(|id| *id != PUSH)
    }
}

/// Takes messages that are no answers, as long as there is room.
struct Pushes(mpsc::Sender<BytesMut>);

impl Correlate<Bytes, BytesMut> for Pushes {
    type Id = u8;

    fn request(&mut self, request: &mut Bytes) -> u8 {
        FirstByte.request(request)
    }

    fn response(&mut self, response: &BytesMut) -> Option<u8> {
        FirstByte.response(response)
    }

    fn push(&mut self, message: BytesMut) -> Result<(), BoxError> {
        Ok(self.0.try_send(message)?)
    }
}

async fn pair() -> (Client, TcpStream) {
    pair_of(|| FirstByte).await
}

async fn pair_of<K>(correlate: impl Fn() -> K) -> (Client, TcpStream)
where
    K: Correlate<Bytes, BytesMut, Id: Send> + Send + 'static,
{
    let (listener, address) = listen().await;
    let mut connector = framed(address).correlate(correlate);
    let (client, accepted) = tokio::join!(connector.call(()), listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}

fn seen(error: &Error) -> (ErrorKind, Sent) {
    (error.kind(), error.sent())
}

const MAYBE: (ErrorKind, Sent) = (ErrorKind::UnexpectedAnswer, Sent::Maybe);

#[tokio::test]
async fn answers_come_in_any_order() {
    let (mut client, mut server) = pair().await;
    let mut calls = Vec::new();
    for id in 1..=30 {
        calls.push((id, send(&mut client, vec![id, 0]).await));
    }
    for _ in 1..=30 {
        read_frame(&mut server).await.unwrap();
    }
    for id in (1..=30).rev() {
        write_frame(&mut server, &[id, id]).await;
    }
    for (id, call) in calls {
        assert_eq!(call.await.unwrap(), [id, id][..]);
    }
}

#[tokio::test]
async fn one_that_is_answered_late_holds_up_nobody() {
    let (mut client, mut server) = pair().await;
    let late = send(&mut client, "late").await;
    for _ in 0..100 {
        let call = send(&mut client, "a").await;
        while read_frame(&mut server).await.unwrap() != b"a" {}
        write_frame(&mut server, b"a").await;
        call.await.unwrap();
    }
    write_frame(&mut server, b"late").await;
    assert_eq!(late.await.unwrap(), "late");
}

#[tokio::test]
async fn an_answer_with_an_id_that_nobody_has_is_the_end() {
    let (mut client, mut server) = pair().await;
    let call = send(&mut client, "a").await;
    read_frame(&mut server).await.unwrap();
    write_frame(&mut server, b"b").await;
    assert_eq!(seen(&call.await.unwrap_err()), MAYBE);
    let error = client.ready().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedAnswer);
}

#[tokio::test]
async fn a_second_answer_is_the_end_and_the_first_one_counts() {
    let (mut client, mut server) = pair().await;
    let (a, b) = (send(&mut client, "a").await, send(&mut client, "b").await);
    for _ in 0..2 {
        read_frame(&mut server).await.unwrap();
    }
    write_frame(&mut server, b"a1").await;
    write_frame(&mut server, b"a2").await;
    assert_eq!(a.await.unwrap(), "a1");
    assert_eq!(seen(&b.await.unwrap_err()), MAYBE);
}

#[tokio::test]
async fn an_answer_to_a_request_that_has_not_left_is_the_end() {
    let (mut client, mut server) = pair().await;
    let mut calls = Vec::new();
    for id in 1..=8 {
        calls.push(send(&mut client, vec![id; 7 << 20]).await);
    }
    // The peer has the beginning of the first, at least, and can't have that of the last.
    write_frame(&mut server, &[8]).await;
    let last = calls.pop().unwrap().await.unwrap_err();
    assert_eq!(seen(&last), (ErrorKind::UnexpectedAnswer, Sent::No));
}

#[tokio::test]
async fn the_answer_of_a_caller_that_has_gone_is_thrown_away() {
    let (mut client, mut server) = pair().await;
    let (a, b) = (send(&mut client, "a").await, send(&mut client, "b").await);
    for _ in 0..2 {
        read_frame(&mut server).await.unwrap();
    }
    drop(a);
    // Its id is still taken.
    let error = send(&mut client, "a").await.await.unwrap_err();
    assert_eq!(seen(&error), (ErrorKind::DuplicateId, Sent::No));
    write_frame(&mut server, b"a").await;
    write_frame(&mut server, b"b").await;
    assert_eq!(b.await.unwrap(), "b");
    // Now it is free.
    let again = send(&mut client, "a").await;
    read_frame(&mut server).await.unwrap();
    write_frame(&mut server, b"a").await;
    assert_eq!(again.await.unwrap(), "a");
}

#[tokio::test]
async fn an_id_that_is_in_use_is_that_requests_error_alone() {
    let (mut client, mut server) = pair().await;
    let first = send(&mut client, "a1").await;
    let second = send(&mut client, "a2").await;
    let other = send(&mut client, "b").await;
    let error = second.await.unwrap_err();
    assert_eq!(seen(&error), (ErrorKind::DuplicateId, Sent::No));
    assert!(!is_conn_error(&error));
    // Nothing of it was sent.
    for expected in ["a1", "b"] {
        let frame = read_frame(&mut server).await.unwrap();
        assert_eq!(frame, expected.as_bytes());
        write_frame(&mut server, &frame).await;
    }
    assert_eq!(first.await.unwrap(), "a1");
    assert_eq!(other.await.unwrap(), "b");
}

#[tokio::test]
async fn a_message_that_is_no_answer_is_the_end_by_default() {
    let (mut client, mut server) = pair().await;
    let call = send(&mut client, "a").await;
    read_frame(&mut server).await.unwrap();
    write_frame(&mut server, b"!news").await;
    let error = call.await.unwrap_err();
    assert_eq!(seen(&error), MAYBE);
    assert!(is_conn_error(&error));
}

#[tokio::test]
async fn a_message_that_is_no_answer_goes_where_it_is_wanted() {
    let (sender, mut pushes) = mpsc::channel(1);
    let (mut client, mut server) = pair_of(|| Pushes(sender.clone())).await;
    let call = send(&mut client, "a").await;
    read_frame(&mut server).await.unwrap();
    write_frame(&mut server, b"!news").await;
    write_frame(&mut server, b"a").await;
    assert_eq!(call.await.unwrap(), "a");
    assert_eq!(pushes.recv().await.unwrap(), "!news");

    // A flood that nobody takes: an error, not memory.
    let call = send(&mut client, "a").await;
    for _ in 0..2 {
        write_frame(&mut server, b"!news").await;
    }
    assert_eq!(
        seen(&call.await.unwrap_err()).0,
        ErrorKind::UnexpectedAnswer
    );
}

#[tokio::test]
async fn every_request_knows_whether_it_was_sent_when_the_connection_breaks() {
    let (mut client, mut server) = pair().await;
    let mut calls = vec![send(&mut client, vec![0]).await];
    for id in 1..=8 {
        calls.push(send(&mut client, vec![id; 7 << 20]).await);
    }
    assert_eq!(read_frame(&mut server).await.unwrap(), [0]);
    reset(server);
    let mut sent = Vec::new();
    for call in calls {
        sent.push(call.await.unwrap_err().sent());
    }
    assert_eq!((sent[0], sent[8]), (Sent::Maybe, Sent::No));
    assert!(sent.is_sorted_by_key(|sent| *sent == Sent::No));
}

#[tokio::test]
async fn a_peer_that_answers_nothing_any_more_is_noticed_when_all_places_are_taken() {
    let (listener, address) = listen().await;
    let mut connector = framed(address)
        .correlate(|| FirstByte)
        .max_in_flight(3)
        .response_timeout(Duration::from_millis(50));
    let (client, accepted) = tokio::join!(connector.call(()), listener.accept());
    let (mut client, mut server) = (client.unwrap(), accepted.unwrap().0);
    let mut calls = Vec::new();
    for id in 1..=3 {
        calls.push(send(&mut client, vec![id]).await);
    }
    for id in 1..=3 {
        assert_eq!(read_frame(&mut server).await.unwrap(), [id]);
    }
    // Their callers have gone, the places have not.
    drop(calls);
    let ready = timeout(Duration::from_secs(10), client.ready()).await;
    let error = ready.unwrap().map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResponseTimeout);
}

/// Ids that a counter writes into the request.
struct Counter(u32);

struct Question {
    id: u32,
    text: &'static str,
}

impl Clone for Question {
    fn clone(&self) -> Self {
        // Of no use to a copy.
        Self { id: 0, ..*self }
    }
}

struct Codec(LengthDelimitedCodec);

impl tokio_util::codec::Encoder<Question> for Codec {
    type Error = std::io::Error;

    fn encode(&mut self, question: Question, buffer: &mut BytesMut) -> std::io::Result<()> {
        let frame = [&question.id.to_be_bytes(), question.text.as_bytes()].concat();
        self.0.encode(Bytes::from(frame), buffer)
    }
}

impl tokio_util::codec::Decoder for Codec {
    type Item = BytesMut;
    type Error = std::io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> std::io::Result<Option<BytesMut>> {
        self.0.decode(buffer)
    }
}

impl Correlate<Question, BytesMut> for Counter {
    type Id = u32;

    fn request(&mut self, question: &mut Question) -> u32 {
        self.0 += 1;
        question.id = self.0;
        self.0
    }

    fn response(&mut self, answer: &BytesMut) -> Option<u32> {
        answer.first_chunk().copied().map(u32::from_be_bytes)
    }
}

#[tokio::test]
async fn a_replay_gets_an_id_of_its_own() {
    let (listener, address) = listen().await;
    let codec = || Codec(LengthDelimitedCodec::new());
    let connector = Connector::new(address, codec).correlate(|| Counter(0));
    let layer = RetryOnConnErr::new().clone_requests();
    let mut service = tower::ServiceBuilder::new()
        .layer(layer)
        .service(Reconnect::new(connector));
    let question = |text| Question { id: 0, text };
    let mut calls = tokio::task::JoinSet::new();
    calls.spawn(service.call(question("first")));
    calls.spawn(service.call(question("second")));

    let (mut server, _) = listener.accept().await.unwrap();
    for _ in 0..2 {
        read_frame(&mut server).await.unwrap();
    }
    reset(server);
    let (mut server, _) = listener.accept().await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let frame = read_frame(&mut server).await.unwrap();
        ids.push(frame[3]);
        write_frame(&mut server, &frame).await;
    }
    // A new connection counts anew.
    assert_eq!(ids, [1, 2]);
    for answer in calls.join_all().await {
        let text = answer.unwrap().split_off(4);
        assert!(text == "first" || text == "second");
    }
}
