//! What the tests need: a file, and runtimes that begin and end like processes.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tower::Layer;
use tower_conn_retry::outbox::{Codec, OutboxErrorKind};
use tower_conn_retry::{
    BoxError, ByTrait, ConnRetry, DefaultPolicy, Outbox, OutboxBuilder, Replayable, RetryOnConnErr,
};

use crate::peer::{Client, MS, Message, Peer, message};

pub(crate) type Service = ConnRetry<Client, DefaultPolicy, ByTrait, Outbox<Message>>;

pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A directory that goes when the test ends.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("outbox-restart-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("outbox")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A life of the process: its tasks end with it, wherever they are.
pub(crate) fn life<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { timeout(LONG, run).await.expect("it hangs") })
}

/// Opens the file as soon as the life before it has let go of it.
pub(crate) fn open(file: &Path, builder: impl Fn() -> OutboxBuilder<Message>) -> Outbox<Message> {
    open_with(file, || Numbers, builder)
}

pub(crate) fn open_with<Req, C>(
    file: &Path,
    codec: impl Fn() -> C,
    builder: impl Fn() -> OutboxBuilder<Req>,
) -> Outbox<Req>
where
    Req: Replayable + Send + 'static,
    C: Codec<Req>,
{
    let end = Instant::now() + LONG;
    loop {
        match builder().open(file, codec()) {
            Ok(outbox) => return outbox,
            Err(error) if error.kind() == OutboxErrorKind::Locked && Instant::now() < end => {
                std::thread::yield_now();
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// A layer whose probes come soon.
pub(crate) fn quick() -> RetryOnConnErr {
    RetryOnConnErr::new().backoff(|| std::iter::repeat(5 * MS))
}

pub(crate) fn with(peer: &Peer, outbox: &Outbox<Message>) -> Service {
    quick().outbox(outbox.clone()).layer(peer.client())
}

/// To `a`, `b` or the one peer, by its number.
pub(crate) fn spread(number: u64) -> Message {
    Message {
        to: ["", "a", "b"][(number % 3) as usize],
        ..message(number)
    }
}

/// The first time of each.
pub(crate) fn firsts(attempts: Vec<u64>) -> Vec<u64> {
    let mut seen = std::collections::HashSet::new();
    let new = |number: &u64| seen.insert(*number);
    attempts.into_iter().filter(new).collect()
}

/// By [`spread`]. Those of 666 can't be encoded.
pub(crate) struct Numbers;

impl Codec<Message> for Numbers {
    fn encode(&self, request: &Message, into: &mut Vec<u8>) -> Result<(), BoxError> {
        if request.number == 666 {
            return Err("not this one".into());
        }
        into.extend_from_slice(&request.number.to_le_bytes());
        into.push(u8::from(request.to.is_empty()));
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Message, BoxError> {
        let (number, one_peer) = bytes.split_at(8);
        let number = u64::from_le_bytes(number.try_into()?);
        Ok(match one_peer {
            [1] => message(number),
            _ => spread(number),
        })
    }
}
