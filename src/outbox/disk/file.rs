use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::head::{self, Geometry, Head};
use crate::outbox::{OutboxError, OutboxErrorKind};

/// The file, locked for this process. A clone is the same file.
#[derive(Debug, Clone)]
pub(super) struct OutboxFile(Arc<FileBackend>);

impl OutboxFile {
    /// Makes the file if it is not there, and `new`. The lock ends with the last clone.
    pub(super) fn open(path: &Path, new: bool) -> Result<Self, OutboxError> {
        let io = |error: io::Error| OutboxError::new(OutboxErrorKind::Io, path, Some(error.into()));
        let mut options = File::options();
        options.read(true).write(true).create(new).truncate(false);
        let file = options.open(path).map_err(io)?;
        match FileBackend::new(file) {
            Ok(file) => Ok(Self(Arc::new(file))),
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => {
                Err(OutboxError::new(OutboxErrorKind::Locked, path, None))
            }
            Err(error) => Err(OutboxError::new(
                OutboxErrorKind::Io,
                path,
                Some(error.into()),
            )),
        }
    }

    /// What is in the file; `None` if nothing is.
    pub(super) fn head(&self) -> io::Result<Option<Head>> {
        match self.0.len()? {
            0 => Ok(None),
            len if len < head::LEN => Ok(Some(Head::Corrupt)),
            _ => Ok(Some(Head::read(&self.0.read(0, head::LEN as usize)?))),
        }
    }

    /// An empty file that says of itself that it is not finished.
    pub(super) fn begin(&self) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.write(0, &Head::page(None))?;
        self.0.sync_data(false)
    }

    /// Now it is. It is durable, and so is its name.
    pub(super) fn finish(&self, path: &Path) -> io::Result<()> {
        let geometry = self.geometry()?;
        self.0.write(0, &Head::page(Some(geometry)))?;
        self.0.sync_data(false)?;
        sync_directory(path)
    }

    /// What the engine's head says now.
    pub(super) fn geometry(&self) -> io::Result<Geometry> {
        let read = StorageBackend::read(self, head::GEOMETRY_AT, size_of::<Geometry>())?;
        Ok(read.first_chunk().copied().unwrap_or_default())
    }

    /// A commit is durable.
    pub(super) fn acknowledge(&self, commits: u64) {
        // If it fails, less can be noticed, but all is there.
        let _ = self
            .0
            .write(head::ACKNOWLEDGED_AT, &head::number_with_sum(commits));
    }

    /// The highest number that was reserved; 0 if there is none.
    pub(super) fn reserved(&self) -> io::Result<u64> {
        let [one, other] = self.both_reserved()?;
        Ok(one.max(other))
    }

    fn both_reserved(&self) -> io::Result<[u64; 2]> {
        if self.0.len()? < head::LEN {
            return Ok([0; 2]);
        }
        let page = self.0.read(0, head::LEN as usize)?;
        Ok(head::RESERVED_AT.map(|at| head::number_at(&page, at)))
    }

    /// Durable when it returns. The number before it is there until then.
    pub(super) fn reserve(&self, next: u64) -> io::Result<()> {
        let [one, other] = self.both_reserved()?;
        let lower = head::RESERVED_AT[usize::from(other < one)];
        self.0.write(lower, &head::number_with_sum(next))?;
        self.0.sync_data(false)
    }

    /// The whole file, in bytes.
    pub(super) fn size(&self) -> io::Result<u64> {
        self.0.len()
    }
}

#[cfg(unix)]
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// Elsewhere a directory can't be opened, and the file's own sync is all there is.
#[cfg(not(unix))]
pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The engine's part of the file.
impl StorageBackend for OutboxFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len()?.saturating_sub(head::LEN))
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        // Asked before memory is taken: a damaged file may ask for a great deal.
        let end = offset.checked_add(len as u64);
        if end.is_none_or(|end| StorageBackend::len(self).is_ok_and(|file| file < end)) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.read(offset + head::LEN, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len + head::LEN)
    }

    fn sync_data(&self, eventual: bool) -> io::Result<()> {
        self.0.sync_data(eventual)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset + head::LEN, data)
    }
}
