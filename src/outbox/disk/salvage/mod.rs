//! What is intact of a damaged file.

mod pages;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use bytes::Bytes;

use super::engine::TABLE_NAME;
use super::file::{OutboxFile, sync_directory};
use super::head::Head;
use super::record::{Envelope, Key, Meta, Queue};
use super::store::DiskStore;
use crate::outbox::{Changes, Message, OutboxError, OutboxErrorKind, Raw, Store, Ticket};
use crate::{BoxError, Destination};
use pages::{Number, Pages};

/// How many messages are written at once.
const BATCH: usize = 4_096;

/// What [`salvage`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvage {
    kept: usize,
    lost: usize,
    aside: PathBuf,
}

impl Salvage {
    /// How many messages are in the new file.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// How many are missing, as far as the damaged file still tells how many there were.
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// Where the damaged file is now.
    pub fn aside(&self) -> &Path {
        &self.aside
    }
}

/// Makes a new file of what is intact in one that is [damaged](OutboxErrorKind::Corrupt). The damaged one
/// stays beside it, under another name.
///
/// It is not done unasked: what is lost with the damage is not delivered, and nobody else would hear
/// of that. Each message has a checksum of its own, over its destination and ticket too; those
/// that are right, and can be found, are kept with all that is known of them, and with their order. Damage of the
/// pages by which others are found may cost many messages, and a message that was delivered already may be
/// found again. A message whose destination can't be read is kept only if that is the one peer.
///
/// If it fails, or the process is killed meanwhile, the file is as it was.
///
/// ```
/// # fn main() -> Result<(), tower_conn_retry::BoxError> {
/// use tower_conn_retry::outbox::{Outbox, OutboxErrorKind, Raw, disk};
///
/// # let path = std::env::temp_dir().join(format!("doc-salvage-{}.outbox", std::process::id()));
/// let outbox = match Outbox::<String>::open(&path, Raw) {
///     Err(error) if error.kind() == OutboxErrorKind::Corrupt => {
///         let salvage = disk::salvage(&path)?;
///         eprintln!("{error}: {} messages kept, {} lost", salvage.kept(), salvage.lost());
///         Outbox::open(&path, Raw)?
///     }
///     other => other?,
/// };
/// # drop(outbox);
/// # std::fs::remove_file(path)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// - [`Corrupt`](OutboxErrorKind::Corrupt): nothing in it can be read, or it is not an outbox.
/// - [`Locked`](OutboxErrorKind::Locked): an outbox has it open.
/// - [`NewerVersion`](OutboxErrorKind::NewerVersion): a newer version of this crate wrote it.
/// - [`Io`](OutboxErrorKind::Io): it can't be read, or the new one can't be written beside it.
pub fn salvage(path: impl AsRef<Path>) -> Result<Salvage, OutboxError> {
    let path = path.as_ref();
    let error = |kind, source: BoxError| OutboxError::new(kind, path, Some(source));
    let io = |source: io::Error| error(OutboxErrorKind::Io, source.into());
    // Keeps the lock to the end.
    let file = OutboxFile::open(path, false)?;
    let geometry = match file.head().map_err(io)? {
        Some(Head::Ready { geometry, .. }) => Some(geometry),
        Some(Head::Newer(version)) => {
            let why = format!("the file has version {version}");
            return Err(error(OutboxErrorKind::NewerVersion, why.into()));
        }
        Some(Head::Corrupt) => None,
        None | Some(Head::Unfinished) => {
            return Err(error(OutboxErrorKind::Corrupt, "nothing is in it".into()));
        }
    };
    let nothing = || error(OutboxErrorKind::Corrupt, "nothing in it can be read".into());
    let pages = Pages::new(&file, geometry).ok_or_else(nothing)?;
    let mut found = Found::look(&pages).ok_or_else(nothing)?;
    found.reserved = file.reserved().map_err(io)?;

    let new = beside(path, "salvage");
    match fs::remove_file(&new) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(io(source)),
        _ => {} // of a process that was killed
    }
    let kept = found.write(&pages, &new).inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })?;
    let aside = set_aside(path, &new).map_err(io)?;
    Ok(Salvage {
        kept,
        lost: found.expected().saturating_sub(kept),
        aside,
    })
}

/// What there is beside messages.
struct Found {
    root: Number,
    meta: Option<Meta>,
    /// Tickets below this number may have been given.
    reserved: u64,
    /// Of the tree that is used.
    queues: HashMap<u64, Queue>,
    /// Of all trees.
    names: HashMap<u64, Destination>,
}

impl Found {
    /// Looks for the newest tree that knows of itself.
    fn look(pages: &Pages<'_>) -> Option<Self> {
        let mut best: Option<Self> = None;
        let mut names = HashMap::new();
        for tables in pages.roots() {
            let Some(root) = pages.table(tables, TABLE_NAME) else {
                continue;
            };
            let mut found = Self {
                root,
                meta: None,
                reserved: 0,
                queues: HashMap::new(),
                names: HashMap::new(),
            };
            let mut rows = 0_usize;
            each_row(pages, root, &mut |(queue, number), row| {
                rows += 1;
                if (queue, number) == Meta::KEY {
                    found.meta = found.meta.or(Meta::read(row).ok());
                } else if queue == 0 {
                    if let Ok((destination, queue)) = Queue::read(number, row) {
                        found.queues.insert(number, queue);
                        names.entry(number).or_insert(destination);
                    }
                }
            });
            let commits = |of: &Self| of.meta.map(|meta| meta.commits);
            let better = best.as_ref().is_none_or(|it| commits(it) < commits(&found));
            if rows > 0 && better {
                best = Some(found);
            }
        }
        let best = best?;
        Some(Self { names, ..best })
    }

    /// How many messages there were.
    fn expected(&self) -> usize {
        let all: u64 = self.queues.values().map(|queue| queue.len).sum();
        usize::try_from(all).unwrap_or(usize::MAX)
    }

    /// A message, if it is one.
    fn message(&self, key: Key, row: &[u8]) -> Option<Message<Bytes>> {
        let (queue, ticket) = key;
        let destination = self.names.get(&queue).cloned().unwrap_or_default();
        let (envelope, bytes) = Envelope::read(key, &destination, row).ok()?;
        Some(Message {
            ticket: Ticket::new(ticket),
            destination,
            request: Bytes::copy_from_slice(bytes),
            size: usize::try_from(envelope.size).unwrap_or(usize::MAX),
            since: Duration::from_nanos(envelope.since),
            attempts: envelope.attempts,
            maybe_sent: envelope.maybe_sent,
            max_age: envelope.max_age.map(Duration::from_nanos),
        })
    }

    /// Writes a new file. How many messages are in it.
    fn write(&self, pages: &Pages<'_>, path: &Path) -> Result<usize, OutboxError> {
        let mut store = DiskStore::<Bytes, Raw>::open(path, Raw)?;
        let mut clock = self.meta.map_or(0, |meta| meta.clock);
        let mut batch = Vec::new();
        let mut done: Result<(), BoxError> = Ok(());
        each_row(pages, self.root, &mut |key, row| {
            let Some(message) = self.message(key, row).filter(|_| done.is_ok()) else {
                return;
            };
            if self.meta.is_none() {
                clock = clock.max(u64::try_from(message.since.as_nanos()).unwrap_or(u64::MAX));
            }
            batch.push(message);
            if batch.len() == BATCH {
                done = put(&mut store, std::mem::take(&mut batch), None, clock);
            }
        });
        done.and_then(|()| put(&mut store, batch, self.last(), clock))
            .and_then(|()| store.contents())
            .map(|contents| contents.destinations.iter().map(|of| of.1).sum())
            .map_err(OutboxError::of_store)
    }

    /// The last ticket that was given.
    fn last(&self) -> Option<Ticket> {
        let next = self.meta.map_or(0, |meta| meta.next).max(self.reserved);
        Some(Ticket::new(next.checked_sub(1)?))
    }
}

fn each_row(pages: &Pages<'_>, root: Number, show: &mut dyn FnMut(Key, &[u8])) {
    pages.rows(root, Some(size_of::<Key>()), &mut |key, row| {
        if let (Some(queue), Some(number)) = (pages::u64_at(key, 0), pages::u64_at(key, 8)) {
            show((queue, number), row);
        }
    });
}

/// `last` is a ticket that is not to be given again. If it is free, it is put and removed.
fn put(
    store: &mut DiskStore<Bytes, Raw>,
    put: Vec<Message<Bytes>>,
    last: Option<Ticket>,
    clock: u64,
) -> Result<(), BoxError> {
    let clock = Duration::from_nanos(clock);
    let remove = Vec::new();
    store.commit(Changes { put, remove, clock })?;
    let next = store.contents()?.next;
    let Some(ticket) = last.filter(|last| last.get() >= next) else {
        return Ok(());
    };
    let nothing = Message {
        ticket,
        destination: Destination::default(),
        request: Bytes::new(),
        size: 0,
        since: clock,
        attempts: 0,
        maybe_sent: false,
        max_age: None,
    };
    store.commit(Changes {
        remove: vec![(nothing.destination.clone(), ticket)],
        put: vec![nothing],
        clock,
    })
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(what);
    name.into()
}

/// Gives the damaged file another name, and the new one its name. At no moment there is none.
fn set_aside(path: &Path, new: &Path) -> io::Result<PathBuf> {
    let names = std::iter::once(beside(path, "damaged"));
    let names = names.chain((2..10_000).map(|n| beside(path, &format!("damaged-{n}"))));
    for aside in names {
        match fs::hard_link(path, &aside) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            // Where files can't have two names.
            Err(_) if aside.exists() => continue,
            Err(_) => fs::rename(path, &aside)?,
        }
        sync_directory(path)?;
        fs::rename(new, path)?;
        sync_directory(path)?;
        return Ok(aside);
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
