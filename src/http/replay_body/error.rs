use std::error::Error;
use std::fmt;

/// Why a [`ReplayBody`](crate::ReplayBody) can't be read (on).
///
/// Not a connection error. It ends the message that the body is of, so that half a body never
/// looks like a whole one.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayBodyError {
    /// What an earlier attempt has read is not there any more: it was more than may be kept, or the
    /// body failed.
    NotReplayable,
    /// Another attempt has begun meanwhile, and reads on instead of this one.
    Superseded,
}

impl fmt::Display for ReplayBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReplayable => "the request body can't be replayed",
            Self::Superseded => "another attempt has taken over the request body",
        })
    }
}

impl Error for ReplayBodyError {}
