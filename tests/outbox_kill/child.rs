//! The process that is killed: this test's own file, started again.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;
use tokio_util::codec::LengthDelimitedCodec;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_conn_retry::outbox::Codec;
use tower_conn_retry::{
    BoxError, Destination, ExponentialBackoff, Limits, Outbox, Reconnect, Replayable,
    RetryOnConnErr, tcp,
};

/// A life, a destination, a number.
pub(super) const FRAME: usize = 4 + 1 + 8;
pub(super) const DESTINATIONS: u64 = 3;
/// So many calls are under way.
pub(super) const CALLS: usize = 24;
/// The numbers of a life begin with this many times its own.
pub(super) const NUMBERS: u64 = 1_000_000;

const JOB: &str = "OUTBOX_KILL_JOB";

/// What the process tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Opened,
    /// It had no attempt of its own.
    Deferred(u64),
    /// It had one.
    DeferredAfterAttempt(u64),
    Answered(u64),
    Drained,
}

impl Said {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (word, number) = line.split_once('=')?;
        let number = number.parse().unwrap();
        match word {
            "opened" => Some(Self::Opened),
            "deferred" => Some(Self::Deferred(number)),
            "deferred-after-attempt" => Some(Self::DeferredAfterAttempt(number)),
            "answered" => Some(Self::Answered(number)),
            "drained" => Some(Self::Drained),
            _ => None,
        }
    }

    pub(super) fn number(self) -> Option<u64> {
        match self {
            Self::Deferred(number)
            | Self::DeferredAfterAttempt(number)
            | Self::Answered(number) => Some(number),
            Self::Opened | Self::Drained => None,
        }
    }
}

/// In one write, which a pipe takes as a whole. The harness writes there too, not always whole lines.
fn say(word: &str, number: u64) {
    let mut out = std::io::stdout().lock();
    let said = out.write_all(format!("\n{word}={number}\n").as_bytes());
    said.and_then(|()| out.flush()).unwrap();
}

/// Starts a process that sends as fast as it can, or one that only delivers what is left.
pub(super) fn start(file: &std::path::Path, port: u16, life: u32, drains: bool) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "outbox_kill::child::the_process_that_is_killed"])
        .args(["--ignored", "--nocapture", "--test-threads=1"])
        .env(JOB, format!("{port} {life} {drains} {}", file.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "the other tests start it"]
fn the_process_that_is_killed() {
    let Ok(job) = std::env::var(JOB) else {
        return;
    };
    let mut job = job.splitn(4, ' ');
    let mut next = || job.next().unwrap();
    let (port, life) = (next().parse().unwrap(), next().parse().unwrap());
    let (drains, file) = (next() == "true", next());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    // Should the parent end without killing it.
    let limit = Duration::from_secs(60);
    let run = run(port, life, drains, file);
    runtime
        .block_on(async { tokio::time::timeout(limit, run).await })
        .unwrap();
}

async fn run(port: u16, life: u32, drains: bool, file: &str) {
    let outbox = Outbox::builder()
        .limits(Limits::new().requests(1_000_000).bytes(1 << 30))
        .open(file, Numbers)
        .unwrap();
    say("opened", outbox.len() as u64);
    let ms = Duration::from_millis;
    let mut service = RetryOnConnErr::new()
        .never_give_up()
        .in_order()
        .backoff(ExponentialBackoff::new().initial(ms(1)).cap(ms(10)))
        .outbox(outbox.clone())
        .layer(clients(port, life));
    if drains {
        outbox.flush().await;
        return say("drained", 0);
    }
    let mut calls = JoinSet::new();
    for number in u64::from(life) * NUMBERS.. {
        while calls.len() >= CALLS {
            calls.join_next().await.unwrap().unwrap();
        }
        let message = Message(number);
        let mut call = Box::pin(service.ready().await.unwrap().call(message));
        // Here, so that what has to wait gets into line in the order of the calls.
        let now = call.as_mut().now_or_never();
        calls.spawn(async move {
            let end = match now {
                Some(end) => end,
                None => call.await,
            };
            match end {
                Ok(answer) => {
                    assert_eq!(answer, number);
                    say("answered", number);
                }
                Err(error) if error.is_deferred() => match error.attempts() {
                    0 => say("deferred", number),
                    _ => say("deferred-after-attempt", number),
                },
                Err(error) => panic!("{number}: {error:?}"),
            }
        });
    }
}

/// One connection for each destination.
fn clients(
    port: u16,
    life: u32,
) -> impl Service<
    Message,
    Response = u64,
    Error = BoxError,
    Future = BoxFuture<'static, Result<u64, BoxError>>,
> + Clone
+ Send
+ 'static {
    let address = format!("127.0.0.1:{port}");
    let connect = |_| Reconnect::new(tcp::Connector::new(&address, LengthDelimitedCodec::new));
    let mut clients: Vec<_> = (0..DESTINATIONS).map(connect).collect();
    service_fn(move |message: Message| {
        let mut frame = BytesMut::with_capacity(FRAME);
        frame.put_u32(life);
        frame.put_u8(message.to());
        frame.put_u64(message.0);
        // Always ready.
        let answer = clients[usize::from(message.to())].call(frame.freeze());
        let answer = answer.map(move |answer: Result<BytesMut, BoxError>| {
            let answer = answer?;
            let number = answer[FRAME - 8..].try_into()?;
            Ok(u64::from_be_bytes(number))
        });
        answer.boxed()
    })
}

#[derive(Debug, Clone)]
struct Message(u64);

impl Message {
    fn to(&self) -> u8 {
        (self.0 % DESTINATIONS) as u8
    }
}

impl Replayable for Message {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn destination(&self) -> Destination {
        Destination::new(format!("base {}", self.to()))
    }

    fn size_hint(&self) -> usize {
        8
    }
}

struct Numbers;

impl Codec<Message> for Numbers {
    fn encode(&self, request: &Message, into: &mut Vec<u8>) -> Result<(), BoxError> {
        into.put_u64(request.0);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Message, BoxError> {
        Ok(Message(u64::from_be_bytes(bytes.try_into()?)))
    }
}
