//! reqwest.
//!
//! What is seen here is about the last hop. Whoever asks about the *request* has to know whether
//! the client follows redirects.

use std::error::Error;

use reqwest::Error as ReqwestError;

use super::ConnErrorKind;
use super::context::Context;
use super::walk::{Flow, cast, is_bounded};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(reqwest) = cast::<ReqwestError>(error) else {
        return Flow::Pass;
    };
    if reqwest.is_builder() || reqwest.is_redirect() || reqwest.is_status() {
        return Flow::NotConn;
    }
    if reqwest.is_decode() {
        // Reading the answer: either its content is bad, or the connection broke below it.
        context.set_content(true);
    } else if reqwest.is_body() && !context.is_content() {
        // Not reading the answer, so it is the caller's own body.
        return Flow::NotConn;
    }
    // The types behind these two are private. Each of the predicates walks the whole chain.
    if is_bounded(error) {
        if reqwest.is_timeout() {
            context.note(ConnErrorKind::Timeout);
        }
        if reqwest.is_dns() {
            context.set_resolving();
            context.note(ConnErrorKind::Dns);
        }
    }
    Flow::Next
}
