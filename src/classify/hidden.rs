//! An `io::Error` (or a timer's, a handshake's of rustls, or hyper's) that an error holds and shows, but does
//! not pass on.
//!
//! `#[error(transparent)]` of thiserror passes on the *source* of what it holds, and so does an
//! `anyhow::Error` without context once it is boxed; some libraries' errors have no `source()` at
//! all. What they hold can't be reached then. But both their texts are made of its texts, and that
//! is looked for: what std itself writes *now* for such an error has to be part of `Display` and of
//! `Debug`, and its two texts must not be mixed up. So it goes for the few errors that are nothing but
//! [constants](super::constants) of their libraries.
//!
//! A message, a peer's perhaps, can't pass for it. A derived `Debug` puts it in quotes. One that is
//! written by hand may not, but shows the same text as `Display`, where an `io::Error`'s are not the
//! same: so what is `Debug`'s must not be in `Display`. What is gained is only what broke, never
//! proof.
//!
//! This is the last resort: it is asked only about the end of a chain, and only about types that
//! nothing is known about.

use std::error::Error;
use std::fmt;
use std::io;

use super::constants::{self, Around, OfStd, Whole};
use super::context::Context;
use super::dns;
use super::io::{CONNECTION_KINDS, CUT_FRAME, note_hidden_error};
use super::text::Text;
use super::{ConnErrorKind, Outlook};

/// Of `tokio::time::error::Elapsed`, which can't be made here.
const TOKIO_ELAPSED: &[u8] = b"deadline has elapsed";

pub(super) fn inspect(error: &(dyn Error + 'static), context: &mut Context) {
    let Some(shown) = Shown::by(error) else {
        return;
    };
    if let Some(code) = shown.os_error() {
        note_hidden_error(&io::Error::from_raw_os_error(code), context);
    } else if let Some(kind) = shown.kind() {
        note_hidden_error(&kind.into(), context);
    } else if let Some(outlook) = shown.resolution() {
        context.note_outlook(ConnErrorKind::Dns, outlook);
    } else if shown.is_cut_frame() {
        context.note(ConnErrorKind::Closed);
    } else if shown.is_elapsed() {
        context.note(ConnErrorKind::Timeout);
    } else if let Some(kind) = shown.constant() {
        context.note(kind);
    } else if let Some(outlook) = shown.handshake(context.is_connecting()) {
        context.note_outlook(ConnErrorKind::Tls, outlook);
    }
}

/// The same of an error that has a source, at the end of the chain, which says less: of the constants only.
pub(super) fn inspect_outer(error: &(dyn Error + 'static), context: &mut Context) {
    let kind = Shown::by(error).and_then(|shown| shown.whole());
    if let Some(kind) = kind {
        context.note(kind);
    }
}

/// The two texts of an error.
struct Shown {
    /// All of it, so that nothing can hide behind its end.
    display: Text,
    debug: Text,
    /// A report (of anyhow, eyre), or a type that is transparent about one: its `Debug` is its `Display`. What
    /// it is about is only shown by the pretty form of `Debug`, which this has instead, on one line. It has to
    /// be all that is there, but for variants around it.
    is_report: bool,
}

impl Shown {
    fn by(error: &(dyn Error + 'static)) -> Option<Self> {
        let display = Text::of(error)?;
        let debug = Text::start_of(format_args!("{error:?}"));
        let is_report = opened(debug.as_bytes()).starts_with(display.as_bytes());
        let debug = if is_report {
            Text::of(&format_args!("{error:#?}"))?.on_one_line()
        } else {
            debug
        };
        Some(Self {
            display,
            debug,
            is_report,
        })
    }

    fn display(&self) -> &[u8] {
        self.display.as_bytes()
    }

    fn debug(&self) -> &[u8] {
        self.debug.as_bytes()
    }

    /// The errno of an `io::Error` inside.
    fn os_error(&self) -> Option<i32> {
        let rest = after_last(self.display(), b"(os error ")?;
        let end = rest.iter().position(|&byte| byte == b')')?;
        let code: i32 = std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()?;
        let probe = io::Error::from_raw_os_error(code);
        self.holds(&probe, &probe).then_some(code)
    }

    /// The kind of an `io::Error` inside that has no errno.
    fn kind(&self) -> Option<io::ErrorKind> {
        // Nearly all errors have none of them.
        [b"Kind(".as_slice(), b"Custom {", b"Error {"]
            .iter()
            .find_map(|part| find_unquoted(self.debug(), part))?;
        // Its `Debug` has the message in quotes.
        let holds =
            |error: &&OfStd| self.shows(error.message.as_bytes()) && self.debug_holds(error);
        let of_std = constants::OF_STD.iter().find(holds);
        if let Some(error) = of_std {
            return Some(error.kind);
        }
        let holds_kind = |kind: &io::ErrorKind| {
            let bare = io::Error::from(*kind);
            self.holds(&bare, &bare) || self.custom(*kind, b"").is_some()
        };
        CONNECTION_KINDS.iter().copied().find(holds_kind)
    }

    /// What came of a failed name resolution inside.
    fn resolution(&self) -> Option<Outlook> {
        let detail = self.custom(dns::kind(), dns::PREFIX)?;
        Some(dns::outlook_of(detail))
    }

    /// The message, without the prefix, of an `io::Error` inside that has one.
    fn custom(&self, kind: io::ErrorKind, prefix: &[u8]) -> Option<&[u8]> {
        let begin = Text::start_of(format_args!("Custom {{ kind: {kind:?}, error: \""));
        let (begin, end) = (begin.as_bytes(), b"\" }".as_slice());
        let message = if self.is_report {
            let level = levels(self.debug()).find(|level| level.starts_with(begin))?;
            level.strip_prefix(begin)?.strip_suffix(end)?
        } else {
            let at = find_unquoted(self.debug(), begin)?;
            let rest = self.debug().get(at + begin.len()..)?;
            rest.get(..find(rest, end)?)?
        };
        let is_shown = if self.is_report {
            self.display().ends_with(message)
        } else {
            find(self.display(), message).is_some() && find(self.display(), begin).is_none()
        };
        message.strip_prefix(prefix).filter(|_| is_shown)
    }

    /// A stream that ended within a frame of tokio-util's.
    fn is_cut_frame(&self) -> bool {
        let rest = self.custom(io::ErrorKind::Other, CUT_FRAME);
        rest.is_some_and(<[u8]>::is_empty)
    }

    fn is_elapsed(&self) -> bool {
        struct Elapsed(());
        impl fmt::Debug for Elapsed {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple("Elapsed").field(&self.0).finish()
            }
        }
        let tower = Text::of(&tower::timeout::error::Elapsed::new());
        [Some(TOKIO_ELAPSED), tower.as_ref().map(Text::as_bytes)]
            .into_iter()
            .flatten()
            .any(|text| self.display() == text)
            && self.debug_holds(&Elapsed(()))
    }

    /// One that is known by its constant texts.
    fn constant(&self) -> Option<ConnErrorKind> {
        if let Some(kind) = self.whole() {
            return Some(kind);
        }
        let is_around =
            |known: &&Around| levels(self.debug()).any(|level| known.are(self.display(), level));
        if let Some(known) = constants::AROUND.iter().find(is_around) {
            return Some(known.kind);
        }
        let mut of_hyper = constants::OF_HYPER.iter();
        let holds = of_hyper.any(|error| self.holds(error, error));
        holds.then_some(ConnErrorKind::Closed)
    }

    /// One that is nothing but constants.
    fn whole(&self) -> Option<ConnErrorKind> {
        let are =
            |known: &&Whole| levels(self.debug()).any(|level| known.are(self.display(), level));
        constants::WHOLE.iter().find(are).map(|known| known.kind)
    }

    /// What a bad certificate that is shown here, or a peer that does not speak TLS, means.
    #[cfg(feature = "rustls")]
    fn handshake(&self, connecting: bool) -> Option<Outlook> {
        use rustls::{CertificateError, Error, InvalidMessage};
        // Nearly all errors have neither.
        find_unquoted(self.debug(), b"Invalid")?;
        let plain = Error::InvalidMessage(InvalidMessage::InvalidContentType);
        if self.holds(&plain, &plain) {
            // Later, it is a broken record.
            return Some(if connecting {
                Outlook::Permanent
            } else {
                Outlook::Transient
            });
        }
        // Some of them have details, so that only the beginnings are compared.
        let clock = Error::InvalidCertificate(CertificateError::NotValidYet);
        let display = Text::start_of(format_args!("{clock}"));
        let debug = Text::start_of(format_args!("{clock:?}"));
        let display = before(display.as_bytes(), b": ")?;
        let kind = before(debug.as_bytes(), b"NotValidYet")?;
        let holds = find(self.display(), display).is_some()
            && find(self.debug(), display).is_none()
            && find(self.display(), kind).is_none();
        let at = find_unquoted(self.debug(), kind).filter(|_| holds)?;
        let is_clock = self
            .debug()
            .get(at + kind.len()..)?
            .starts_with(b"NotValidYet");
        Some(if is_clock {
            Outlook::Transient
        } else {
            Outlook::Permanent
        })
    }

    #[cfg(not(feature = "rustls"))]
    fn handshake(&self, _connecting: bool) -> Option<Outlook> {
        None
    }

    /// Whether both texts show it, each in its own way.
    fn holds(&self, display: &dyn fmt::Display, debug: &dyn fmt::Debug) -> bool {
        let text = Text::start_of(format_args!("{display}"));
        let text = text.as_bytes();
        let is_debugs = || !self.is_report && find(self.debug(), text).is_some();
        self.shows(text) && !is_debugs() && self.debug_holds(debug)
    }

    fn shows(&self, text: &[u8]) -> bool {
        if self.is_report {
            return !text.is_empty() && self.display().ends_with(text);
        }
        find(self.display(), text).is_some()
    }

    fn debug_holds(&self, part: &dyn fmt::Debug) -> bool {
        let part = Text::start_of(format_args!("{part:?}"));
        if self.is_report {
            return levels(self.debug()).any(|level| level == part.as_bytes());
        }
        find_unquoted(self.debug(), part.as_bytes()).is_some()
            && find(self.display(), part.as_bytes()).is_none()
    }
}

/// A derived `Debug`, and what is in it within variants (or structs) that hold nothing else.
fn levels(debug: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(debug), |level| {
        let inner = within(level)?;
        inner.strip_suffix(b")")
    })
}

/// What is behind the names of variants at the beginning.
fn opened(debug: &[u8]) -> &[u8] {
    let levels = std::iter::successors(Some(debug), |level| within(level));
    levels.last().unwrap_or(debug)
}

fn within(level: &[u8]) -> Option<&[u8]> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let name = level.iter().take_while(|byte| is_name(byte)).count();
    level.get(name..)?.strip_prefix(b"(").filter(|_| name > 0)
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return None;
    }
    text.windows(part.len()).position(|window| window == part)
}

/// The first one that does not begin inside a string literal.
fn find_unquoted(text: &[u8], part: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        if !quoted && text.get(at..)?.starts_with(part) {
            return (!part.is_empty()).then_some(at);
        }
        // A quotation mark may also be a `char`.
        let is_char = !quoted && text.get(..at).is_some_and(|before| before.ends_with(b"'"));
        if byte == b'"' && !escaped && !is_char {
            quoted = !quoted;
        }
        escaped = quoted && byte == b'\\' && !escaped;
    }
    None
}

#[cfg(feature = "rustls")]
fn before<'a>(text: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    text.get(..find(text, part)?)
}

fn after_last<'a>(text: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    let at = text
        .windows(part.len())
        .rposition(|window| window == part)?;
    text.get(at + part.len()..)
}
