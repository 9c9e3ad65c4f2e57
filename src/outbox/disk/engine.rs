use std::io;
use std::ops::Bound;
use std::path::Path;

use redb::{Builder, Database, ReadableTableMetadata, StorageError, TableDefinition};

use super::fault::{Fault, guard};
use super::file::OutboxFile;
use super::head::Head;
use super::index::{Index, Rows};
use super::record::{Key, Meta};
use crate::outbox::{OutboxError, OutboxErrorKind};

pub(super) const TABLE_NAME: &str = "outbox";
const TABLE: TableDefinition<'static, Key, &[u8]> = TableDefinition::new(TABLE_NAME);
/// Of the file's pages, in memory.
const CACHE: usize = 8 << 20;
/// A read ends with the message that makes so many bytes: what is read is all in memory.
const READ: usize = 1 << 20;
/// A file of this size may have as much free space as it likes.
const SMALL: u64 = 4 << 20;

/// An open file.
///
/// The engine asserts some of what it expects of a file. Where a damaged one makes it panic, that becomes
/// an error here (unless panics abort the program).
#[derive(Debug)]
pub(super) struct Engine {
    /// Always there, but for the drop.
    database: Option<Database>,
    file: OutboxFile,
    /// For errors.
    path: Box<Path>,
}

/// Why a commit failed.
pub(super) struct Failed {
    pub(super) error: OutboxError,
    /// Whether it may have taken effect.
    pub(super) in_doubt: bool,
}

impl Engine {
    /// Makes the file if `new`.
    pub(super) fn open(path: &Path, new: bool) -> Result<(Self, Index), OutboxError> {
        let io = |error: io::Error| OutboxError::new(OutboxErrorKind::Io, path, Some(error.into()));
        let corrupt =
            |why: &str| OutboxError::new(OutboxErrorKind::Corrupt, path, Some(why.into()));
        let file = OutboxFile::open(path, new)?;
        match file.head().map_err(io)? {
            None if !new => Err(corrupt("it is empty")),
            None | Some(Head::Unfinished) => {
                file.begin().map_err(io)?;
                let mut engine = Self::start(path, file)?;
                let index = Index::default();
                let row = index.meta.write();
                let first = engine.commit(|rows| {
                    rows.insert(Meta::KEY, &row[..])?;
                    Ok(())
                });
                first.map_err(|failed| failed.error)?;
                engine.file.finish(path).map_err(io)?;
                Ok((engine, index))
            }
            Some(Head::Ready {
                acknowledged,
                geometry,
            }) => {
                if file.geometry().ok() != Some(geometry) {
                    return Err(corrupt(
                        "the engine's part of it does not begin as it should",
                    ));
                }
                let mut engine = Self::start(path, file)?;
                let mut index = engine.check()?;
                index.meta.next = index.meta.next.max(engine.file.reserved().map_err(io)?);
                if index.meta.commits < acknowledged {
                    return Err(corrupt("what was stored last is gone"));
                }
                if engine.is_sparse()? {
                    // It may need room, which there may not be.
                    if engine.compact().is_err() {
                        drop(engine);
                        engine = Self::start(path, OutboxFile::open(path, false)?)?;
                    }
                }
                Ok((engine, index))
            }
            Some(Head::Newer(version)) => Err(OutboxError::new(
                OutboxErrorKind::NewerVersion,
                path,
                Some(format!("the file has version {version}").into()),
            )),
            Some(Head::Corrupt) => Err(corrupt("it does not begin like an outbox")),
        }
    }

    fn start(path: &Path, file: OutboxFile) -> Result<Self, OutboxError> {
        let backend = file.clone();
        let database = guard(path, || {
            let mut builder = Builder::new();
            builder.set_cache_size(CACHE);
            builder.create_with_file_format_v3(true);
            Ok(builder.create_with_backend(backend)?)
        })?;
        Ok(Self {
            database: Some(database),
            file,
            path: path.into(),
        })
    }

    /// Looks at every page, and reads what is not a message.
    fn check(&mut self) -> Result<Index, OutboxError> {
        let path = &self.path;
        let database = &mut self.database;
        let (index, rows) = guard(path, || {
            let database = database.as_mut().ok_or(StorageError::PreviousIo)?;
            database.check_integrity()?;
            let rows = database.begin_read()?.open_table(TABLE)?;
            let mut index = Index::default();
            for row in rows.range((0, 0)..=(0, u64::MAX))? {
                let (key, row) = row?;
                let loaded = index.load(key.value().1, row.value());
                loaded.map_err(|error| StorageError::Corrupted(error.to_string()))?;
            }
            Ok((index, rows.len()?))
        })?;
        if rows != index.rows() {
            let why = format!("it has {rows} rows instead of {}", index.rows());
            return Err(OutboxError::new(
                OutboxErrorKind::Corrupt,
                path,
                Some(why.into()),
            ));
        }
        Ok(index)
    }

    /// All of it or nothing, and durable.
    pub(super) fn commit<T>(
        &mut self,
        change: impl FnOnce(&mut Rows<'_>) -> Result<T, Fault>,
    ) -> Result<T, Failed> {
        let mut in_doubt = false;
        let database = &self.database;
        let done = guard(&self.path, || {
            let database = database.as_ref().ok_or(StorageError::PreviousIo)?;
            let transaction = database.begin_write()?;
            let value = change(&mut transaction.open_table(TABLE)?)?;
            in_doubt = true;
            transaction.commit()?;
            Ok(value)
        });
        done.map_err(|error| Failed { error, in_doubt })
    }

    pub(super) fn acknowledge(&self, commits: u64) {
        self.file.acknowledge(commits);
    }

    /// Durable when it returns.
    pub(super) fn reserve(&self, next: u64) -> Result<(), OutboxError> {
        self.file.reserve(next).map_err(|error| self.io(error))
    }

    /// Shows rows of a destination in the order of their tickets, as long as they are not too large
    /// together.
    pub(super) fn read(
        &self,
        number: u64,
        after: Option<u64>,
        most: usize,
        show: &mut dyn FnMut(Key, &[u8]),
    ) -> Result<(), OutboxError> {
        let first = after.map_or(Bound::Included((number, 0)), |after| {
            Bound::Excluded((number, after))
        });
        let last = Bound::Included((number, u64::MAX));
        let mut rows = guard(&self.path, || {
            let database = self.database.as_ref().ok_or(StorageError::PreviousIo)?;
            let rows = database.begin_read()?.open_table(TABLE)?;
            Ok(rows.range::<Key>((first, last))?)
        })?;
        let (mut shown, mut bytes) = (0, 0);
        while shown < most && bytes < READ {
            let row = guard(&self.path, || {
                let row = rows.next().transpose()?;
                Ok(row.map(|(key, row)| (key.value(), row)))
            })?;
            let Some((key, row)) = row else {
                break;
            };
            shown += 1;
            bytes += row.value().len();
            show(key, row.value());
        }
        Ok(())
    }

    /// Whether most of the file is free space.
    pub(super) fn is_sparse(&self) -> Result<bool, OutboxError> {
        let size = self.size()?;
        if size <= SMALL {
            return Ok(false);
        }
        let used = guard(&self.path, || {
            let database = self.database.as_ref().ok_or(StorageError::PreviousIo)?;
            let rows = database.begin_read()?.open_table(TABLE)?;
            let stats = rows.stats()?;
            Ok(stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes())
        })?;
        Ok(used.saturating_mul(4) < size)
    }

    /// Whether the file is worth a look when it holds nothing.
    pub(super) fn is_large(&self) -> bool {
        self.size().is_ok_and(|size| size > 4 * SMALL)
    }

    /// Gives free space back to the system.
    pub(super) fn compact(&mut self) -> Result<(), OutboxError> {
        let database = &mut self.database;
        guard(&self.path, || {
            let database = database.as_mut().ok_or(StorageError::PreviousIo)?;
            database.compact()?;
            Ok(())
        })
    }

    fn size(&self) -> Result<u64, OutboxError> {
        self.file.size().map_err(|error| self.io(error))
    }

    fn io(&self, error: io::Error) -> OutboxError {
        OutboxError::new(OutboxErrorKind::Io, &self.path, Some(error.into()))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let database = self.database.take();
        // What could not be written is repaired when the file is opened.
        let _ = guard(&self.path, || {
            drop(database);
            Ok(())
        });
    }
}
