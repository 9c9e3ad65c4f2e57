use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::engine::Engine;
use super::index::Index;
use super::record::{Envelope, nanos};
use crate::outbox::unwind::caught;
use crate::outbox::{
    Changes, Codec, Contents, Message, OutboxError, OutboxErrorKind, Store, Ticket,
};
use crate::{BoxError, Destination};

/// Keeps messages in one file.
///
/// The file is locked while it is open. After an error of the disk (no room left) the next call opens
/// it anew. Where many messages are large, a read shows about 1 MiB of them.
///
/// ```
/// use std::time::Duration;
/// use tower_conn_retry::outbox::{Changes, DiskStore, Message, Raw, Store, Ticket};
/// use tower_conn_retry::{BoxError, Destination};
///
/// # fn main() -> Result<(), BoxError> {
/// # let path = std::env::temp_dir().join(format!("doc-{}.outbox", std::process::id()));
/// let mut store = DiskStore::<String, Raw>::open(&path, Raw)?;
/// let message = Message {
///     ticket: Ticket::new(0),
///     destination: Destination::default(),
///     request: String::from("hello"),
///     size: 5,
///     since: Duration::ZERO,
///     attempts: 1,
///     maybe_sent: false,
///     max_age: None,
/// };
/// store.commit(Changes { put: vec![message], remove: vec![], clock: Duration::ZERO })?;
/// drop(store); // or the process ends
///
/// let mut store = DiskStore::<String, Raw>::open(&path, Raw)?;
/// assert_eq!(store.contents()?.next, 1);
/// # std::fs::remove_file(path)?;
/// # Ok(())
/// # }
/// ```
pub struct DiskStore<Req, C> {
    path: PathBuf,
    codec: C,
    /// `None` after an error.
    engine: Option<Engine>,
    index: Index,
    doubt: Option<Doubt>,
    _requests: PhantomData<fn() -> Req>,
}

/// Who panics.
const CODEC: &str = "the codec";

/// A commit failed so late that it may have taken effect.
#[derive(Debug)]
struct Doubt {
    commits: u64,
    put: Vec<(Destination, Ticket)>,
}

impl<Req, C: Codec<Req>> DiskStore<Req, C> {
    /// Opens the file, or makes it. Its directory must be there. An empty file is a new one.
    ///
    /// Checks the whole file: 0.4 s and a few megabytes of memory for a million messages of 64 bytes. A
    /// file that is mostly free space is made smaller.
    ///
    /// # Errors
    ///
    /// The file is open already, newer than this crate, damaged, or can't be read and written:
    /// see [`OutboxErrorKind`]. A file that was damaged may be changed by the attempt to open it.
    pub fn open(path: impl AsRef<Path>, codec: C) -> Result<Self, OutboxError> {
        let path = path.as_ref();
        // It may be opened again, and the program may be in another directory by then.
        let path = std::path::absolute(path)
            .map_err(|error| OutboxError::new(OutboxErrorKind::Io, path, Some(error.into())))?;
        let (engine, index) = Engine::open(&path, true)?;
        Ok(Self {
            path,
            codec,
            engine: Some(engine),
            index,
            doubt: None,
            _requests: PhantomData,
        })
    }

    /// The messages as rows, one after the other.
    fn encode(&self, messages: &[Message<Req>]) -> Result<(Vec<u8>, Vec<Range<usize>>), BoxError> {
        let mut rows = Vec::new();
        let mut places = Vec::with_capacity(messages.len());
        for message in messages {
            let start = rows.len();
            let envelope = Envelope {
                size: message.size as u64,
                since: nanos(message.since),
                attempts: message.attempts,
                maybe_sent: message.maybe_sent,
                max_age: message.max_age.map(nanos),
            };
            envelope.write(&mut rows);
            let encoded = caught(CODEC, || self.codec.encode(&message.request, &mut rows));
            encoded.map_err(|e| OutboxError::new(OutboxErrorKind::Encode, &self.path, Some(e)))?;
            places.push(start..rows.len());
        }
        Ok((rows, places))
    }

    /// Opens the file again after an error.
    fn reopen(&mut self) -> Result<(), OutboxError> {
        if self.engine.is_none() {
            let (engine, index) = Engine::open(&self.path, false)?;
            self.engine = Some(engine);
            self.index = index;
        }
        Ok(())
    }

    /// The engine, without what was refused.
    fn engine(&mut self) -> Result<&mut Engine, BoxError> {
        self.reopen()?;
        if let Some(doubt) = self.doubt.take() {
            if self.index.meta.commits >= doubt.commits {
                let clock = Duration::from_nanos(self.index.meta.clock);
                if let Err(error) = self.change(&[], (Vec::new(), Vec::new()), &doubt.put, clock) {
                    self.doubt = Some(doubt);
                    return Err(error);
                }
            }
        }
        let failed = || OutboxError::new(OutboxErrorKind::Store, &self.path, None);
        self.engine.as_mut().ok_or_else(|| failed().into())
    }

    fn change(
        &mut self,
        put: &[Message<Req>],
        (mut rows, places): (Vec<u8>, Vec<Range<usize>>),
        remove: &[(Destination, Ticket)],
        clock: Duration,
    ) -> Result<(), BoxError> {
        let index = &self.index;
        let Some(engine) = &mut self.engine else {
            return Err(OutboxError::new(OutboxErrorKind::Store, &self.path, None).into());
        };
        let done = engine.commit(|table| {
            let mut draft = index.draft();
            draft.meta.clock = nanos(clock);
            for (message, place) in put.iter().zip(places) {
                let row = &mut rows[place];
                let key = draft.key(&message.destination, message.ticket.get());
                Envelope::seal(key, &message.destination, row);
                draft.put(table, &message.destination, key, row)?;
            }
            for (destination, ticket) in remove {
                draft.remove(table, destination, ticket.get())?;
            }
            draft.finish(table)
        });
        match done {
            Ok((meta, touched)) => {
                engine.acknowledge(meta.commits);
                self.index.apply(meta, touched);
                if self.index.queues.is_empty() && engine.is_large() && engine.compact().is_err() {
                    self.engine = None;
                }
                Ok(())
            }
            Err(failed) => {
                self.engine = None;
                let commits = self.index.meta.commits + 1;
                if failed.in_doubt && self.took_effect(commits, put) {
                    return Ok(());
                }
                Err(failed.error.into())
            }
        }
    }

    /// Whether a commit has taken effect although it failed. While the file can't be opened that is in doubt;
    /// as the caller is told that it has not, what it put is removed as soon as the file can be
    /// opened.
    fn took_effect(&mut self, commits: u64, put: &[Message<Req>]) -> bool {
        if self.reopen().is_ok() {
            return self.index.meta.commits >= commits;
        }
        let put = put.iter().map(|it| (it.destination.clone(), it.ticket));
        self.doubt = Some(Doubt {
            commits,
            put: put.collect(),
        });
        false
    }
}

impl<Req: Send + 'static, C: Codec<Req>> Store<Req> for DiskStore<Req, C> {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        self.engine()?;
        Ok(self.index.contents())
    }

    fn accept(&self, message: &Message<Req>) -> Result<(), BoxError> {
        self.encode(std::slice::from_ref(message)).map(drop)
    }

    fn commit(&mut self, changes: Changes<Req>) -> Result<(), BoxError> {
        let rows = self.encode(&changes.put)?;
        self.engine()?;
        self.change(&changes.put, rows, &changes.remove, changes.clock)
    }

    fn reserve(&mut self, next: u64) -> Result<(), BoxError> {
        Ok(self.engine()?.reserve(next)?)
    }

    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Message<Req>, BoxError>),
    ) -> Result<(), BoxError> {
        self.engine()?;
        let (Some(engine), Some(queue)) = (&self.engine, self.index.queues.get(destination)) else {
            return Ok(());
        };
        let codec = &self.codec;
        let after = after.map(Ticket::get);
        let done = engine.read(queue.number, after, most, &mut |key, row| {
            let ticket = Ticket::new(key.1);
            let read = Envelope::read(key, destination, row);
            let message = read.map_err(BoxError::from).and_then(|(envelope, bytes)| {
                Ok(Message {
                    ticket,
                    destination: destination.clone(),
                    request: caught(CODEC, || codec.decode(bytes))?,
                    size: usize::try_from(envelope.size).unwrap_or(usize::MAX),
                    since: Duration::from_nanos(envelope.since),
                    attempts: envelope.attempts,
                    maybe_sent: envelope.maybe_sent,
                    max_age: envelope.max_age.map(Duration::from_nanos),
                })
            });
            match message {
                Ok(message) => show(ticket, Ok(&message)),
                Err(error) => show(ticket, Err(error)),
            }
        });
        if done.is_err() {
            self.engine = None;
        }
        Ok(done?)
    }
}

impl<Req, C> fmt::Debug for DiskStore<Req, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Raw;

    /// One message is in the file; what put the second is in doubt.
    fn tickets_after(doubtful: u64) -> Vec<u64> {
        let name = format!("outbox-doubt-{}-{doubtful}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut store = DiskStore::<String, Raw>::open(&path, Raw).unwrap();
        let message = |ticket| Message {
            ticket: Ticket::new(ticket),
            destination: Destination::default(),
            request: String::from("hello"),
            size: 5,
            since: Duration::ZERO,
            attempts: 0,
            maybe_sent: false,
            max_age: None,
        };
        for ticket in 0..2 {
            let changes = Changes {
                put: vec![message(ticket)],
                remove: vec![],
                clock: Duration::ZERO,
            };
            store.commit(changes).unwrap();
        }
        store.engine = None;
        store.doubt = Some(Doubt {
            commits: doubtful,
            put: vec![(Destination::default(), Ticket::new(1))],
        });
        let mut found = Vec::new();
        let read = store.read(&Destination::default(), None, 9, &mut |ticket, _| {
            found.push(ticket.get());
        });
        read.unwrap();
        assert!(store.doubt.is_none());
        std::fs::remove_file(path).unwrap();
        found
    }

    #[test]
    fn what_was_refused_is_not_delivered_although_it_is_in_the_file() {
        assert_eq!(tickets_after(2), [0]);
    }

    #[test]
    fn a_number_that_is_damaged_leaves_the_one_before_it() {
        let path = std::env::temp_dir().join(format!("outbox-reserve-{}", std::process::id()));
        let open = || DiskStore::<String, Raw>::open(&path, Raw).unwrap();
        let next = || open().contents().unwrap().next;
        for number in [10, 20, 30, 40] {
            open().reserve(number).unwrap();
            assert_eq!(next(), number);
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let places = crate::outbox::disk::head::RESERVED_AT.map(|at| at as usize);
        bytes[places[1]] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(next(), 30);
        open().reserve(50).unwrap();
        assert_eq!(next(), 50);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_refused_commit_that_is_not_in_the_file_takes_nothing_with_it() {
        assert_eq!(tickets_after(3), [0, 1]);
    }
}
