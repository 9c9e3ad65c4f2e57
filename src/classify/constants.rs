//! Errors that have no word of their own but constants of their libraries: what they look like in [`hidden`].
//!
//! Only where there is no typed way to them: their types, or the predicates of these, are out of reach. None
//! of what is here has a place for anybody else's words. Those that are taken as a whole have, in one of their
//! texts at least, what an error of somebody else's is not likely to have: a mere "timed out" of a `TimedOut`
//! (quinn's, say) may be an application's about anything.
//!
//! [`hidden`]: super::hidden

use std::fmt;
use std::io;

use super::ConnErrorKind;

/// Both texts of an error, in whole.
pub(super) struct Whole {
    display: &'static str,
    debug: &'static str,
    pub(super) kind: ConnErrorKind,
}

impl Whole {
    const fn new(display: &'static str, debug: &'static str, kind: ConnErrorKind) -> Self {
        Self {
            display,
            debug,
            kind,
        }
    }

    pub(super) fn are(&self, display: &[u8], debug: &[u8]) -> bool {
        self.display.as_bytes() == display && self.debug.as_bytes() == debug
    }
}

pub(super) const WHOLE: &[Whole] = &[
    // reqwest 0.11 to 0.13, below an error of its that is hidden itself.
    Whole::new("operation timed out", "TimedOut", ConnErrorKind::Timeout),
    // tower-http 0.6, `TimeoutBody`.
    Whole::new(
        "data was not received within the designated timeout",
        "TimeoutError(())",
        ConnErrorKind::Timeout,
    ),
    // aws-smithy-async 1.
    Whole::new("timed out", "TimedOutError", ConnErrorKind::Timeout),
    // fastwebsockets 0.10.
    Whole::new("Unexpected EOF", "UnexpectedEOF", ConnErrorKind::Closed),
];

/// An error of hyper's (0.14 and 1) that lost its connection, of this kind and description. The kind's name is
/// shown without quotes.
pub(super) struct OfHyper(&'static str, &'static str);

pub(super) const OF_HYPER: &[OfHyper] = &[
    OfHyper(
        "IncompleteMessage",
        "connection closed before message completed",
    ),
    OfHyper("ChannelClosed", "channel closed"),
];

impl fmt::Display for OfHyper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }
}

impl fmt::Debug for OfHyper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("hyper::Error")
            .field(&format_args!("{}", self.0))
            .finish()
    }
}

/// An `io::Error` of std's (1.85 and later) with a message that is no box and no errno's. Only std can make
/// one; a struct of somebody else's may look the same, but does not say the same.
pub(super) struct OfStd {
    pub(super) kind: io::ErrorKind,
    pub(super) message: &'static str,
}

pub(super) const OF_STD: &[OfStd] = &[
    // `Read::read_exact`.
    OfStd {
        kind: io::ErrorKind::UnexpectedEof,
        message: "failed to fill whole buffer",
    },
    // `TcpStream::connect_timeout`.
    OfStd {
        kind: io::ErrorKind::TimedOut,
        message: "connection timed out",
    },
];

impl fmt::Debug for OfStd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .finish()
    }
}
