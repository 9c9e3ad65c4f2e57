use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::context::Context;
use super::{ConnError, FAMILIES, hidden};

/// Longer chains are walked this far. Real ones have at most a dozen steps; a chain can also be a
/// cycle.
const MAX_STEPS: usize = 64;

/// A registered recogniser with its error type erased.
pub(crate) type Recognizer =
    dyn Fn(&(dyn Error + 'static)) -> Option<ConnError> + Send + Sync + 'static;

/// Looks at one step of a chain. Must not call [`source`](Error::source): see [`below`].
pub(super) type Inspect = for<'a> fn(&'a (dyn Error + 'static), &mut Context) -> Flow<'a>;

/// Where the walk goes from a step.
pub(super) enum Flow<'a> {
    /// Not a type of this family.
    Pass,
    /// Seen: go on below.
    Next,
    /// Seen: go on here, because the type has no `source()`.
    Into(&'a (dyn Error + 'static)),
    /// Seen, and nothing below matters.
    Stop,
    /// Not about the connection, and nothing below is either.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code))]
    NotConn,
}

/// One walk along the chain, from the outside in.
pub(crate) fn walk(
    error: &(dyn Error + 'static),
    recognizers: &[Arc<Recognizer>],
) -> Option<ConnError> {
    walk_from(Context::default(), error, recognizers)
}

/// The same, but that what hyper says of a GOAWAY is no proof.
#[cfg(feature = "h2")]
pub(super) fn walk_strictly(error: &(dyn Error + 'static)) -> Option<ConnError> {
    walk_from(Context::strict(), error, &[])
}

/// The same of an error that came up while a connection was being made.
#[cfg(feature = "tcp")]
pub(crate) fn walk_connecting(error: &(dyn Error + 'static)) -> Option<ConnError> {
    let mut context = Context::default();
    context.set_connecting();
    walk_from(context, error, &[])
}

fn walk_from(
    mut context: Context,
    error: &(dyn Error + 'static),
    recognizers: &[Arc<Recognizer>],
) -> Option<ConnError> {
    let mut step = Some(error);
    let mut outer = None;
    for _ in 0..MAX_STEPS {
        let Some(error) = step else { break };
        if let Some(found) = recognizers.iter().find_map(|recognize| recognize(error)) {
            return Some(context.place(found));
        }
        step = match inspect(error, &mut context) {
            Flow::Pass => {
                let next = below(error);
                if next.is_none() {
                    inspect_end(error, outer, &mut context);
                }
                outer = Some(error);
                next
            }
            Flow::Next => below(error),
            Flow::Into(inner) => Some(inner),
            Flow::Stop => break,
            Flow::NotConn => {
                context.refute();
                break;
            }
        };
        if !is_pointer(error) {
            context.set_below();
        }
    }
    context.finish()
}

/// The last step of a chain, of a type that nothing is known about, and the one before it, if it is such, too.
fn inspect_end(
    error: &(dyn Error + 'static),
    outer: Option<&(dyn Error + 'static)>,
    context: &mut Context,
) {
    hidden::inspect(error, context);
    if let Some(outer) = outer.filter(|_| !context.has_found()) {
        hidden::inspect_outer(outer, context);
    }
}

/// The steps of a chain, as far as they are walked.
pub(crate) fn steps<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| below(*error)).take(MAX_STEPS)
}

/// Those below an error of a type that nothing is known about.
#[cfg(feature = "hyper-util")]
pub(super) fn foreign_steps<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let is_known = |error: &&(dyn Error + 'static)| is_pointer(*error) || !is_foreign(*error);
    steps(error).skip_while(is_known).skip(1)
}

#[cfg(feature = "hyper-util")]
fn is_foreign(error: &(dyn Error + 'static)) -> bool {
    matches!(inspect(error, &mut Context::default()), Flow::Pass)
}

fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let ask = || {
        let flows = FAMILIES.iter().map(|family| family(error, context));
        let mut flows = flows.filter(|flow| !matches!(flow, Flow::Pass));
        flows.next().unwrap_or(Flow::Pass)
    };
    // A library's predicate may call the `source()` of an error of someone else's, which may panic.
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or(Flow::Stop)
}

/// The next step of the chain, the error that an `io::Error`, an `Arc` or a `Box` hides included.
///
/// `source()` of an `io::Error` is never called: it is the source of the wrapped error, so that it
/// skips a step, and nested ones recurse inside std until the stack overflows. Others' is foreign code: where
/// it panics, the chain ends.
pub(super) fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(io) = cast::<io::Error>(error) {
        return io.get_ref().map(|inner| inner as &(dyn Error + 'static));
    }
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return Some(&**shared);
    }
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error>>() {
        return Some(&**shared);
    }
    catch_unwind(AssertUnwindSafe(|| error.source())).ok()?
}

/// Whether it says nothing of its own, as [`below`] sees it.
fn is_pointer(error: &(dyn Error + 'static)) -> bool {
    error.is::<Arc<dyn Error + Send + Sync>>() || error.is::<Arc<dyn Error>>()
}

/// The error as an `E`, also if it is an `Arc<E>` or a `Box<E>`. (Both are errors of their own whose
/// `source()` is the source of what they hold, so that a plain downcast misses it.)
pub(crate) fn cast<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    error
        .downcast_ref::<E>()
        .or_else(|| error.downcast_ref::<Arc<E>>().map(|shared| &**shared))
        .or_else(|| error.downcast_ref::<Box<E>>().map(|boxed| &**boxed))
}

/// Whether the chain ends within the walk's bound.
///
/// Asked before a library's own predicate that walks the chain by `source()`, with no bound: it
/// would never return from a cycle, and nested `io::Error`s would overflow the stack.
#[cfg_attr(not(feature = "hyper"), allow(dead_code))]
pub(super) fn is_bounded(error: &(dyn Error + 'static)) -> bool {
    let mut step = Some(error);
    for _ in 0..MAX_STEPS {
        match step {
            Some(error) => step = below(error),
            None => return true,
        }
    }
    false
}
