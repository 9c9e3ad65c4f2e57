//! What can't be brought about at will with a real socket: the order of events, and time.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, DuplexStream, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::codec::LengthDelimitedCodec;
use tower_service::Service as _;

use super::*;
use crate::Sent;
use crate::tcp::book::InOrder;

type FramedClient = Client<Bytes, BytesMut>;

fn spawn<Io>(io: Io, options: &Options) -> FramedClient
where
    Io: AsyncRead + AsyncWrite + Socket + Unpin + Send + 'static,
{
    let (client, driver) = Driver::new(io, LengthDelimitedCodec::new(), InOrder::new(), options);
    tokio::spawn(driver.run());
    client
}

fn patient_for(limit: Duration) -> Options {
    Options {
        response_timeout: Some(limit),
        ..Options::default()
    }
}

/// In-order answers need nothing of the socket.
macro_rules! not_a_socket {
    ($($io:ty),*) => {$(
        impl Socket for $io {
            fn is_plain(&self) -> bool {
                true
            }
            fn written(&self) -> u64 {
                0
            }
            fn unacknowledged(&self) -> io::Result<u64> {
                Err(io::ErrorKind::Unsupported.into())
            }
            fn give_up(&self) {}
        }
    )*};
}

not_a_socket!(DuplexStream, BreaksInWriting, Counts, Deaf);

macro_rules! flushes {
    () => {
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    };
}

macro_rules! says_nothing {
    () => {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    };
}

async fn ready(client: &mut FramedClient) -> Result<&mut FramedClient, Error> {
    std::future::poll_fn(|cx| client.poll_ready(cx)).await?;
    Ok(client)
}

/// Takes so many bytes, then fails to write. From then on, and not before, the answer can be read.
struct BreaksInWriting {
    takes: usize,
    broken: bool,
    reader: Option<Waker>,
    answer: &'static [u8],
}

impl AsyncRead for BreaksInWriting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.broken {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        buf.put_slice(self.answer);
        self.answer = &[];
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for BreaksInWriting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.takes == 0 {
            self.broken = true;
            self.reader.take().into_iter().for_each(Waker::wake);
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let n = buf.len().min(self.takes);
        self.takes -= n;
        Poll::Ready(Ok(n))
    }

    flushes!();
}

#[tokio::test]
async fn answers_are_read_to_the_end_when_writing_fails() {
    let io = BreaksInWriting {
        takes: 11, // two frames of five bytes, and one byte
        broken: false,
        reader: None,
        answer: &[0, 0, 0, 1, b'a'],
    };
    let mut client = spawn(io, &Options::default());
    let mut calls = Vec::new();
    for request in ["a", "b", "c"] {
        let client = ready(&mut client).await.unwrap();
        calls.push(client.call(request.into()));
    }
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.map_err(|error| (error.kind(), error.sent())));
    }
    let expected = [
        Ok("a".into()),
        Err((ErrorKind::Io, Sent::Maybe)),
        Err((ErrorKind::Io, Sent::No)),
    ];
    assert_eq!(results, expected);
    let error = ready(&mut client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

/// As TLS does it: takes all, writes so much to the socket, and fails.
struct FailsBelow {
    writes: u64,
    written: u64,
}

impl Socket for FailsBelow {
    fn is_plain(&self) -> bool {
        false
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn unacknowledged(&self) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn give_up(&self) {}
}

impl AsyncRead for FailsBelow {
    says_nothing!();
}

impl AsyncWrite for FailsBelow {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written += self.writes;
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }

    flushes!();
}

#[tokio::test]
async fn what_a_layer_wrote_before_it_failed_may_have_been_sent() {
    for (writes, expected) in [
        (0, [Sent::No, Sent::No]),
        (9, [Sent::Maybe, Sent::No]), // a frame is five bytes
        (10, [Sent::Maybe, Sent::Maybe]),
        (1_000, [Sent::Maybe, Sent::Maybe]), // its own bytes, too
    ] {
        let written = 3_000; // the handshake
        let mut client = spawn(FailsBelow { writes, written }, &Options::default());
        let calls = [
            ready(&mut client).await.unwrap().call("a".into()),
            ready(&mut client).await.unwrap().call("b".into()),
        ];
        let mut sent = Vec::new();
        for call in calls {
            sent.push(call.await.unwrap_err().sent());
        }
        assert_eq!(sent, expected, "{writes}");
    }
}

/// Takes all, and counts how often.
struct Counts(Arc<AtomicUsize>);

impl AsyncRead for Counts {
    says_nothing!();
}

impl AsyncWrite for Counts {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(buf.len()))
    }

    flushes!();
}

#[tokio::test]
async fn requests_that_come_together_share_their_writes() {
    let writes = Arc::<AtomicUsize>::default();
    let mut client = spawn(Counts(Arc::clone(&writes)), &Options::default());
    let mut calls = Vec::new();
    for _ in 0..1_000 {
        let client = ready(&mut client).await.unwrap();
        calls.push(client.call(vec![0; 60].into()));
    }
    tokio::task::yield_now().await;
    // 64,000 bytes, in one.
    assert_eq!(writes.load(Ordering::Relaxed), 1);
}

/// Takes nothing, and says nothing.
struct Deaf;

impl AsyncRead for Deaf {
    says_nothing!();
}

impl AsyncWrite for Deaf {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    flushes!();
}

/// Or else they could go on to another connection, and past those.
#[tokio::test(start_paused = true)]
async fn those_who_wait_for_room_hear_of_the_end_after_those_in_flight() {
    let options = Options {
        max_in_flight: 1,
        ..Options::default()
    };
    let mut client = spawn(Deaf, &options);
    let (heard, mut order) = mpsc::unbounded_channel();
    let call = ready(&mut client).await.unwrap().call("a".into());
    let in_flight = heard.clone();
    tokio::spawn(async move { in_flight.send(("in flight", call.await.unwrap_err())) });
    tokio::spawn(async move {
        let error = ready(&mut client).await.map(drop).unwrap_err();
        heard.send(("waits", error))
    });
    for expected in ["in flight", "waits"] {
        let (who, error) = order.recv().await.unwrap();
        assert_eq!(who, expected);
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Io, Sent::No));
    }
}

async fn answer(peer: &mut DuplexStream) {
    let mut frame = [0; 5];
    peer.read_exact(&mut frame).await.unwrap();
    peer.write_all(&frame).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_with_a_long_queue_is_not_a_dead_one() {
    let (io, mut peer) = tokio::io::duplex(1024);
    let mut client = spawn(io, &patient_for(Duration::from_secs(10)));
    // Idle for however long: it owes nothing.
    sleep(Duration::from_secs(1_000)).await;
    let mut calls = Vec::new();
    for _ in 0..10 {
        calls.push(ready(&mut client).await.unwrap().call("x".into()));
    }
    let last = calls.pop().unwrap();
    for call in calls {
        sleep(Duration::from_secs(9)).await;
        answer(&mut peer).await;
        call.await.unwrap();
    }
    // Silence.
    let begun = Instant::now();
    let error = last.await.unwrap_err();
    let seen = (error.kind(), error.sent());
    assert_eq!(seen, (ErrorKind::ResponseTimeout, Sent::Maybe));
    let waited = begun.elapsed();
    assert!((Duration::from_secs(10)..Duration::from_millis(10_010)).contains(&waited));
}

#[tokio::test(start_paused = true)]
async fn patience_begins_anew_after_an_idle_time() {
    let (io, mut peer) = tokio::io::duplex(1024);
    let mut client = spawn(io, &patient_for(Duration::from_secs(10)));
    for _ in 0..3 {
        let call = ready(&mut client).await.unwrap().call("x".into());
        sleep(Duration::from_secs(9)).await;
        answer(&mut peer).await;
        call.await.unwrap();
        sleep(Duration::from_secs(9)).await;
    }
}

#[tokio::test]
async fn a_runtime_that_is_shut_down_leaves_nobody_waiting() {
    let (io, _peer) = tokio::io::duplex(1024);
    let (mut client, driver) = Driver::<_, _, Bytes, _>::new(
        io,
        LengthDelimitedCodec::new(),
        InOrder::new(),
        &Options::default(),
    );
    let task = tokio::spawn(driver.run());
    let call = ready(&mut client).await.unwrap().call("x".into());
    tokio::task::yield_now().await;
    task.abort();
    let error = call.await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Gone, Sent::Maybe));
    let error = ready(&mut client).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Gone, Sent::No));
}

/// Counts the bytes it has encoded.
struct Counting(Arc<AtomicUsize>);

impl Encoder<Bytes> for Counting {
    type Error = io::Error;

    fn encode(&mut self, request: Bytes, buffer: &mut BytesMut) -> io::Result<()> {
        self.0.fetch_add(request.len(), Ordering::Relaxed);
        buffer.extend_from_slice(&request);
        Ok(())
    }
}

impl Decoder for Counting {
    type Item = BytesMut;
    type Error = io::Error;

    fn decode(&mut self, _: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        Ok(None)
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_costs_a_bounded_amount_of_memory() {
    let (io, _peer) = tokio::io::duplex(1024);
    let encoded = Arc::new(AtomicUsize::new(0));
    let codec = Counting(Arc::clone(&encoded));
    let options = Options {
        max_in_flight: 10_000,
        ..Options::default()
    };
    let (mut client, driver) = Driver::new(io, codec, InOrder::new(), &options);
    tokio::spawn(driver.run());
    let request = Bytes::from(vec![7; 1000]);
    let mut calls = Vec::new();
    for _ in 0..10_000 {
        calls.push(ready(&mut client).await.unwrap().call(request.clone()));
    }
    // The clock goes on when the task has nothing more to do.
    sleep(Duration::from_secs(1)).await;
    let encoded = encoded.load(Ordering::Relaxed);
    let bound = HIGH_WATER + 1024 + request.len();
    assert!((HIGH_WATER..bound).contains(&encoded), "{encoded}");
}

/// Takes a few bytes. None of them is ever acknowledged.
struct Stuck {
    room: usize,
    written: u64,
    given_up: Arc<AtomicBool>,
}

impl Socket for Stuck {
    fn is_plain(&self) -> bool {
        true
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn unacknowledged(&self) -> io::Result<u64> {
        Ok(self.written)
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

impl AsyncRead for Stuck {
    says_nothing!();
}

impl AsyncWrite for Stuck {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.room == 0 {
            return Poll::Pending;
        }
        let n = buf.len().min(self.room);
        self.room -= n;
        self.written += n as u64;
        Poll::Ready(Ok(n))
    }

    flushes!();
}

#[tokio::test(start_paused = true)]
async fn bytes_that_stay_unacknowledged_end_the_connection() {
    let given_up = Arc::<AtomicBool>::default();
    let io = Stuck {
        room: 11, // two frames of five bytes, and one byte
        written: 0,
        given_up: Arc::clone(&given_up),
    };
    let mut client = spawn(io, &Options::default());
    let begun = Instant::now();
    let mut calls = Vec::new();
    for request in ["a", "b", "c"] {
        calls.push(ready(&mut client).await.unwrap().call(request.into()));
    }
    for (call, sent) in calls.into_iter().zip([Sent::Maybe, Sent::Maybe, Sent::No]) {
        let error = timeout(Duration::from_secs(60), call).await.unwrap();
        let error = error.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Io, sent));
        let verdict = crate::classify(&error).unwrap();
        let expected = crate::ConnError::new(crate::ConnErrorKind::Timeout);
        assert_eq!(verdict, expected.with_sent(sent));
    }
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(19), "{taken:?}");
    assert!(given_up.load(Ordering::Relaxed));
}
