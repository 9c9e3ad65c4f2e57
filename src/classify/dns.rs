//! Failures of the system's resolver.
//!
//! std reports a failed `getaddrinfo(3)` without an errno, with a kind that can't be named on stable,
//! and with a text: an English prefix of its own and what `gai_strerror(3)` says, in the process's
//! locale. So the text is compared with what `gai_strerror` says *now* for each code. The kind can't
//! be named, but it can be compared: text that someone put into an error of another kind (the
//! message of a remote server, say) is no evidence.

use std::error::Error;
use std::io;

use super::context::Context;
use super::text::Text;
use super::walk::{Flow, below, cast};
use super::{ConnErrorKind, Outlook, gai};

pub(super) const PREFIX: &[u8] = b"failed to lookup address information: ";

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(outlook) = cast::<io::Error>(error).and_then(outlook) else {
        return Flow::Pass;
    };
    // No peer can have been asked anything as long as its address is not known.
    context.set_connecting();
    context.note_outlook(ConnErrorKind::Dns, outlook);
    Flow::Stop
}

fn outlook(error: &io::Error) -> Option<Outlook> {
    if error.kind() != kind() {
        return None;
    }
    let inner = error.get_ref()?;
    // std's is a mere text. One that holds another error may show that one too, and so on down.
    if below(inner).is_some() {
        return None;
    }
    let text = Text::of(inner)?;
    text.as_bytes().strip_prefix(PREFIX).map(outlook_of)
}

/// The kind that getaddrinfo's errors have: that of an errno that does not exist.
pub(super) fn kind() -> io::ErrorKind {
    io::Error::from_raw_os_error(i32::MAX).kind()
}

/// By what comes after the [`PREFIX`].
pub(super) fn outlook_of(detail: &[u8]) -> Outlook {
    let is_detail = |&code: &i32| gai::text(code) == Some(detail);
    if gai::NO_SUCH_NAME.iter().any(is_detail) {
        Outlook::Permanent
    } else {
        Outlook::Transient
    }
}
