//! The system's errors: errno (or the Windows code) if there is one, [`io::ErrorKind`] otherwise.

use std::error::Error;
use std::io;

use super::context::Context;
use super::errno;
use super::text::Text;
use super::walk::{Flow, below, cast};
use super::{ConnErrorKind, Outlook};

/// What a system error means.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    /// A connection error.
    Conn(ConnErrorKind),
    /// A connection error of this kind if it came up while connecting, and only then.
    Connecting(ConnErrorKind, Outlook),
    /// A failed name resolution.
    #[cfg_attr(not(windows), allow(dead_code))]
    Dns(Outlook),
}

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(io) = cast::<io::Error>(error) else {
        return Flow::Pass;
    };
    context.set_below_io();
    note_system_error(io, context);
    Flow::Next
}

/// What this error is evidence for, at this position.
pub(super) fn note_system_error(io: &io::Error, context: &mut Context) {
    // An io::Error that nothing is known about is known not to be any of the others: an EINVAL is
    // not "some error while connecting".
    context.assume(None);
    let meaning = match io.raw_os_error() {
        Some(code) => errno::meaning(code),
        // A decoder's own UnexpectedEof means that the content is truncated, not the connection.
        None if context.is_content() => None,
        // h2 makes one up for any connection that ends, and keeps no errno.
        None if context.is_below_h2() && io.kind() == io::ErrorKind::BrokenPipe => {
            Some(Meaning::Conn(ConnErrorKind::Closed))
        }
        None if is_cut_frame(io) => Some(Meaning::Conn(ConnErrorKind::Closed)),
        // So tokio-rustls wraps rustls's, which says more where that feature is on.
        None if context.is_in_handshake() && io.kind() == io::ErrorKind::InvalidData => {
            Some(Meaning::Connecting(ConnErrorKind::Tls, Outlook::Permanent))
        }
        None => by_kind(io.kind()),
    };
    match meaning {
        Some(Meaning::Conn(kind)) => context.note(kind),
        Some(Meaning::Connecting(kind, outlook)) if context.is_connecting() => {
            context.note_outlook(kind, outlook);
        }
        Some(Meaning::Dns(outlook)) => {
            context.set_connecting();
            context.note_outlook(ConnErrorKind::Dns, outlook);
        }
        Some(Meaning::Connecting(..)) | None => {}
    }
}

/// tokio-util's text for it, see [`is_cut_frame`].
pub(super) const CUT_FRAME: &[u8] = b"bytes remaining on stream";

/// Whether it is what tokio-util's `Framed` makes of a stream that ends within a frame, unless the
/// codec has a word of its own for that: a kind and a text that it has in common with nothing else.
fn is_cut_frame(io: &io::Error) -> bool {
    if io.kind() != io::ErrorKind::Other {
        return false;
    }
    let Some(inner) = io.get_ref() else {
        return false;
    };
    // One that holds another error may show that one's text. (An errno's text would be allocated.)
    let is_text = cast::<io::Error>(inner).is_none() && below(inner).is_none();
    is_text && Text::of(inner).is_some_and(|text| text.as_bytes() == CUT_FRAME)
}

/// As [`note_system_error`], of one that is only seen by its texts: those are no proof.
pub(super) fn note_hidden_error(io: &io::Error, context: &mut Context) {
    match io.raw_os_error().and_then(errno::meaning) {
        Some(Meaning::Dns(outlook)) => context.note_outlook(ConnErrorKind::Dns, outlook),
        _ => note_system_error(io, context),
    }
}

/// The kinds that are about a connection wherever they come up.
pub(super) const CONNECTION_KINDS: &[io::ErrorKind] = &[
    io::ErrorKind::ConnectionRefused,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::NotConnected,
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::HostUnreachable,
    io::ErrorKind::NetworkUnreachable,
    io::ErrorKind::NetworkDown,
    io::ErrorKind::AddrNotAvailable,
    io::ErrorKind::TimedOut,
];

pub(super) fn by_kind(kind: io::ErrorKind) -> Option<Meaning> {
    use ConnErrorKind as Conn;
    use io::ErrorKind as Io;
    Some(match kind {
        Io::ConnectionRefused => Meaning::Conn(Conn::Refused),
        Io::ConnectionReset => Meaning::Conn(Conn::Reset),
        Io::ConnectionAborted => Meaning::Conn(Conn::Aborted),
        Io::BrokenPipe => Meaning::Conn(Conn::BrokenPipe),
        Io::NotConnected => Meaning::Conn(Conn::NotConnected),
        Io::UnexpectedEof => Meaning::Conn(Conn::Closed),
        Io::HostUnreachable | Io::NetworkUnreachable => Meaning::Conn(Conn::Unreachable),
        Io::NetworkDown => Meaning::Conn(Conn::NetworkDown),
        Io::AddrNotAvailable => Meaning::Conn(Conn::AddressUnavailable),
        Io::TimedOut => Meaning::Conn(Conn::Timeout),
        Io::PermissionDenied => Meaning::Connecting(Conn::Local, Outlook::Permanent),
        Io::AddrInUse => Meaning::Connecting(Conn::AddressUnavailable, Outlook::Transient),
        _ => return None,
    })
}
