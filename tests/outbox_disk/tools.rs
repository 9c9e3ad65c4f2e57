use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tower_conn_retry::outbox::{Changes, DiskStore, Message, OutboxError, Raw, Store, Ticket};
use tower_conn_retry::{BoxError, Destination};

pub(crate) type Disk = DiskStore<Bytes, Raw>;

/// A directory that goes when the test ends.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// Where a sync costs nothing, if there is such a place.
    pub(crate) fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        match memory.is_dir() {
            true => Self::below(memory),
            false => Self::new(),
        }
    }

    fn below(directory: &Path) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("outbox-disk-{}-{number}", std::process::id());
        let path = directory.join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn open(path: &Path) -> Result<Disk, OutboxError> {
    Disk::open(path, Raw)
}

/// To the one peer. Its bytes tell its ticket.
pub(crate) fn message(ticket: u64, len: usize) -> Message<Bytes> {
    let number = ticket.to_le_bytes().into_iter().cycle();
    Message {
        ticket: Ticket::new(ticket),
        destination: Destination::default(),
        request: number.take(len).collect(),
        size: len,
        since: Duration::ZERO,
        attempts: 1,
        maybe_sent: false,
        max_age: None,
    }
}

pub(crate) fn put(store: &mut Disk, messages: Vec<Message<Bytes>>) -> Result<(), BoxError> {
    store.commit(Changes {
        put: messages,
        remove: vec![],
        clock: Duration::ZERO,
    })
}

pub(crate) fn remove(store: &mut Disk, tickets: impl IntoIterator<Item = u64>) {
    let at = |ticket| (Destination::default(), Ticket::new(ticket));
    let removed = store.commit(Changes {
        put: vec![],
        remove: tickets.into_iter().map(at).collect(),
        clock: Duration::ZERO,
    });
    removed.unwrap();
}

/// All messages to the one peer.
pub(crate) fn all(store: &mut Disk) -> Result<Vec<Result<Message<Bytes>, Ticket>>, BoxError> {
    let mut found = Vec::new();
    let mut after = None;
    let peer = Destination::default();
    loop {
        let number = found.len();
        store.read(&peer, after, usize::MAX, &mut |ticket, message| {
            found.push(message.cloned().map_err(|_| ticket));
            after = Some(ticket);
        })?;
        if found.len() == number {
            return Ok(found);
        }
    }
}

pub(crate) fn tickets(store: &mut Disk) -> Vec<u64> {
    let found = all(store).unwrap().into_iter();
    found.map(|it| it.unwrap().ticket.get()).collect()
}

/// The engine panics on damage, which the store makes an error of. What its panics print, with their backtraces,
/// would take most of the time. Those of this crate and of its tests are printed.
pub(crate) fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let at = panic.location().map_or("", |location| location.file());
            if Path::new(at).is_relative() {
                others(panic);
            }
        }));
    });
}

/// Not on this machine; but where everything has to be tested, that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "can't be skipped in CI: {why}"
    );
    eprintln!("SKIPPED: {why}");
}
