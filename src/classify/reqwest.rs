//! reqwest, of both versions that are in use.
//!
//! What is seen here is about the last hop. Whoever asks about the *request* has to know whether
//! the client follows redirects.

use std::error::Error;
use std::io;

use super::ConnErrorKind;
use super::context::Context;
use super::walk::{Flow, cast, is_bounded, steps};

/// What the client was at.
enum Stage {
    /// A mistake of the caller's, or an answer.
    Other,
    /// Reading the answer.
    Decode,
    /// Reading the caller's own body, or the answer's.
    Body,
    /// Anything else.
    Request,
}

macro_rules! stage {
    ($reqwest:expr) => {
        match $reqwest {
            it if it.is_builder() || it.is_redirect() || it.is_status() => Stage::Other,
            it if it.is_decode() => Stage::Decode,
            it if it.is_body() => Stage::Body,
            _ => Stage::Request,
        }
    };
}

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    // The types behind these predicates are private. Each of them walks the whole chain.
    #[cfg(feature = "reqwest")]
    if let Some(reqwest) = cast::<reqwest::Error>(error) {
        let is_timeout = || is_bounded(error) && reqwest.is_timeout();
        let is_dns = || is_bounded(error) && reqwest.is_dns();
        return look(stage!(reqwest), error, is_timeout, is_dns, context);
    }
    #[cfg(feature = "reqwest-0-12")]
    if let Some(reqwest) = cast::<reqwest_0_12::Error>(error) {
        let is_timeout = || is_bounded(error) && reqwest.is_timeout();
        let is_dns = || false; // it has no such predicate, but passes on what the resolver said
        return look(stage!(reqwest), error, is_timeout, is_dns, context);
    }
    Flow::Pass
}

fn look<'a>(
    stage: Stage,
    error: &(dyn Error + 'static),
    is_timeout: impl Fn() -> bool,
    is_dns: impl FnOnce() -> bool,
    context: &mut Context,
) -> Flow<'a> {
    match stage {
        Stage::Other => return Flow::NotConn,
        // Either the content is bad, or the connection broke below it.
        Stage::Decode => context.set_content(true),
        Stage::Body if context.is_content() => {}
        Stage::Body if is_lost_answer(error, &is_timeout) => context.set_content(true),
        Stage::Body => return Flow::NotConn,
        Stage::Request => {}
    }
    if is_timeout() {
        context.note(ConnErrorKind::Timeout);
    }
    if is_dns() {
        context.set_resolving();
        context.note(ConnErrorKind::Dns);
    }
    Flow::Next
}

/// Whether it is an answer's body that broke, of an answer that was made an `http::Response`: its
/// body is of the same type as the caller's own. But while a request is sent, an error of the
/// caller's body comes below one of hyper's that says so (`is_user`), and without that, it has none of
/// hyper's or of the client's timers below it.
fn is_lost_answer(error: &(dyn Error + 'static), is_timeout: impl Fn() -> bool) -> bool {
    match steps(error).find_map(cast::<hyper::Error>) {
        Some(hyper) => !hyper.is_user(),
        // Not the kind of an `io::Error`, which the predicate takes, too.
        None => is_timeout() && !steps(error).any(|step| cast::<io::Error>(step).is_some()),
    }
}

/// Whether it is an error of reqwest's, which follows redirects unless it is told not to.
pub(super) fn is_error(error: &(dyn Error + 'static)) -> bool {
    #[cfg(feature = "reqwest")]
    if cast::<reqwest::Error>(error).is_some() {
        return true;
    }
    #[cfg(feature = "reqwest-0-12")]
    if cast::<reqwest_0_12::Error>(error).is_some() {
        return true;
    }
    false
}
