//! An `io::Error` (or a timer's) that an error holds and shows, but does not pass on.
//!
//! `#[error(transparent)]` of thiserror passes on the *source* of what it holds, and so does an
//! `anyhow::Error` without context once it is boxed; some libraries' errors have no `source()` at
//! all. What they hold can't be reached then. But both their texts are made of its texts, and that
//! is looked for: what std itself writes *now* for such an error has to be part of `Display` and of
//! `Debug`. A mere message can't pass for it, because `Debug` puts it in quotes; what is gained is
//! only what broke, never proof.
//!
//! This is the last resort: it is asked only about the end of a chain, and only about types that
//! nothing is known about.

use std::error::Error;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::ConnErrorKind;
use super::context::Context;
use super::io::{CONNECTION_KINDS, note_system_error};
use super::text::Text;

/// Of `tokio::time::error::Elapsed`, which can't be made here.
const TOKIO_ELAPSED: &[u8] = b"deadline has elapsed";

pub(super) fn inspect(error: &(dyn Error + 'static), context: &mut Context) {
    // Foreign code, and nobody else has asked for its texts.
    let Ok((display, debug)) = catch_unwind(AssertUnwindSafe(|| {
        (
            Text::start_of(format_args!("{error}")),
            Text::start_of(format_args!("{error:?}")),
        )
    })) else {
        return;
    };
    let shown = Shown {
        display: display.as_bytes(),
        debug: debug.as_bytes(),
    };
    if let Some(code) = shown.os_error() {
        note_system_error(&io::Error::from_raw_os_error(code), context);
    } else if let Some(kind) = shown.kind() {
        note_system_error(&kind.into(), context);
    } else if shown.is_elapsed() {
        context.note(ConnErrorKind::Timeout);
    }
}

/// The two texts of an error.
struct Shown<'a> {
    display: &'a [u8],
    debug: &'a [u8],
}

impl Shown<'_> {
    /// The errno of an `io::Error` inside.
    fn os_error(&self) -> Option<i32> {
        let rest = after_last(self.display, b"(os error ")?;
        let end = rest.iter().position(|&byte| byte == b')')?;
        let code: i32 = std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()?;
        let probe = io::Error::from_raw_os_error(code);
        let text = Text::of(&probe)?;
        let is_field = find(self.display, text.as_bytes()).is_some()
            && self.debug_holds(format_args!("{probe:?}"));
        (is_field || self.is_report_of(text.as_bytes())).then_some(code)
    }

    /// The kind of an `io::Error` inside that has no errno.
    fn kind(&self) -> Option<io::ErrorKind> {
        let holds_kind = |kind: &io::ErrorKind| {
            let bare = io::Error::from(*kind);
            if self.debug_holds(format_args!("{bare:?}")) {
                let text = Text::start_of(format_args!("{bare}"));
                return find(self.display, text.as_bytes()).is_some();
            }
            // With a message, which Debug shows in quotes, and Display without them.
            let start = Text::start_of(format_args!("Custom {{ kind: {kind:?}, error: \""));
            find_unquoted(self.debug, start.as_bytes())
                .and_then(|at| self.debug.get(at + start.as_bytes().len()..))
                .and_then(|rest| rest.split(|&byte| byte == b'"').next())
                .is_some_and(|message| find(self.display, message).is_some())
        };
        // Nearly all errors have neither.
        find_unquoted(self.debug, b"Kind(").or_else(|| find_unquoted(self.debug, b"{ kind: "))?;
        CONNECTION_KINDS.iter().copied().find(holds_kind)
    }

    fn is_elapsed(&self) -> bool {
        let tower = Text::of(&tower::timeout::error::Elapsed::new());
        let is_text =
            |text: &[u8]| self.display == text && self.debug_holds(format_args!("Elapsed(())"));
        [Some(TOKIO_ELAPSED), tower.as_ref().map(Text::as_bytes)]
            .into_iter()
            .flatten()
            .any(|text| is_text(text) || self.is_report_of(text))
    }

    fn debug_holds(&self, part: fmt::Arguments<'_>) -> bool {
        find_unquoted(self.debug, Text::start_of(part).as_bytes()).is_some()
    }

    /// Whether this is a report (of anyhow, eyre) of an error with this text: its `Debug` is its
    /// `Display`, where that of a message is in quotes.
    fn is_report_of(&self, text: &[u8]) -> bool {
        self.display == text && find_unquoted(self.debug, text).is_some()
    }
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
        match byte {
            b'"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && byte == b'\\' && !escaped;
    }
    None
}

fn after_last<'a>(text: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    let at = text
        .windows(part.len())
        .rposition(|window| window == part)?;
    text.get(at + part.len()..)
}
