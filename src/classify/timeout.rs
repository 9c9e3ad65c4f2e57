//! Timers of tokio and tower. (Other libraries' timeouts are in those libraries' files.)
//!
//! A timeout says nothing about whether the request arrived.

use std::error::Error;

use super::ConnErrorKind;
use super::context::Context;
use super::walk::{Flow, cast};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let is_timeout = cast::<tokio::time::error::Elapsed>(error).is_some()
        || cast::<tower::timeout::error::Elapsed>(error).is_some();
    if is_timeout {
        context.note(ConnErrorKind::Timeout);
        Flow::Stop
    } else {
        Flow::Pass
    }
}
