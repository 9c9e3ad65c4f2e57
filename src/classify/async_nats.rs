//! async-nats.
//!
//! It connects again by itself. What it has taken meanwhile it sends later, so that a publication
//! fails only where the client's task has ended; what comes of a request is an answer or silence.

use std::error::Error;

use async_nats::jetstream::consumer::{self, pull, push};
use async_nats::jetstream::{context as jetstream, kv, stream};
use async_nats::{ConnectErrorKind, RequestErrorKind, client};

use super::ConnErrorKind;
use super::context::Context;
use super::walk::{Flow, cast};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    if let Some(connect) = cast::<async_nats::ConnectError>(error) {
        return inspect_connect(connect.kind(), context);
    }
    if let Some(request) = cast::<async_nats::RequestError>(error) {
        return inspect_request(request.kind(), context);
    }
    if let Some(publish) = cast::<async_nats::PublishError>(error) {
        return match publish.kind() {
            client::PublishErrorKind::Send => closed(context),
            _ => Flow::NotConn,
        };
    }
    if let Some(subscribe) = cast::<async_nats::SubscribeError>(error) {
        return match subscribe.kind() {
            async_nats::SubscribeErrorKind::Other => closed(context),
            _ => Flow::NotConn,
        };
    }
    if cast::<client::FlushError>(error).is_some() {
        return closed(context);
    }
    if let Some(publish) = cast::<jetstream::PublishError>(error) {
        return inspect_publish(publish.kind(), context);
    }
    if is_silence(error) {
        context.note(ConnErrorKind::Timeout);
        return Flow::Stop;
    }
    Flow::Pass
}

/// What becomes of a request's `TimedOut` in the errors of JetStream's calls, most of which have no
/// source then.
fn is_silence(error: &(dyn Error + 'static)) -> bool {
    macro_rules! any_timed_out {
        ($($error:path: $kind:path),* $(,)?) => {
            $(cast::<$error>(error).is_some_and(|error| matches!(error.kind(), $kind)))||*
        };
    }
    any_timed_out!(
        jetstream::AccountError: jetstream::AccountErrorKind::TimedOut,
        jetstream::ConsumerInfoError: jetstream::ConsumerInfoErrorKind::TimedOut,
        jetstream::CreateKeyValueError: jetstream::CreateKeyValueErrorKind::TimedOut,
        jetstream::CreateStreamError: jetstream::CreateStreamErrorKind::TimedOut,
        jetstream::RequestError: jetstream::RequestErrorKind::TimedOut,
        jetstream::UpdateKeyValueError: jetstream::UpdateKeyValueErrorKind::TimedOut,
        stream::ConsumerCreateStrictError: stream::ConsumerCreateStrictErrorKind::TimedOut,
        stream::ConsumerError: stream::ConsumerErrorKind::TimedOut,
        stream::ConsumerUpdateError: stream::ConsumerUpdateErrorKind::TimedOut,
        stream::DeleteMessageError: stream::DeleteMessageErrorKind::TimedOut,
        stream::DirectGetError: stream::DirectGetErrorKind::TimedOut,
        stream::PurgeError: stream::PurgeErrorKind::TimedOut,
        consumer::StreamError: consumer::StreamErrorKind::TimedOut,
        pull::ConsumerRecreateError: pull::ConsumerRecreateErrorKind::TimedOut,
        push::ConsumerRecreateError: push::ConsumerRecreateErrorKind::TimedOut,
        kv::EntryError: kv::EntryErrorKind::TimedOut,
        kv::StatusError: kv::StatusErrorKind::TimedOut,
        kv::UpdateError: kv::UpdateErrorKind::TimedOut,
        kv::WatchError: kv::WatchErrorKind::TimedOut,
    )
}

/// The client's task has ended. Its channels' errors say no more.
fn closed<'a>(context: &mut Context) -> Flow<'a> {
    context.note(ConnErrorKind::Closed);
    Flow::Stop
}

fn inspect_connect<'a>(kind: ConnectErrorKind, context: &mut Context) -> Flow<'a> {
    match kind {
        // Where the server says nothing, or ends the stream, there is only a text below.
        ConnectErrorKind::Io => context.assume(Some(ConnErrorKind::Closed)),
        ConnectErrorKind::Dns => context.assume(Some(ConnErrorKind::Dns)),
        ConnectErrorKind::TimedOut => context.note(ConnErrorKind::Timeout),
        ConnectErrorKind::MaxReconnects => context.assume(Some(ConnErrorKind::Other)),
        // A bad address, a password, a file of certificates. (A handshake's error is an `Io`.)
        _ => return Flow::NotConn,
    }
    context.set_connecting();
    Flow::Next
}

fn inspect_request<'a>(kind: RequestErrorKind, context: &mut Context) -> Flow<'a> {
    match kind {
        RequestErrorKind::TimedOut => context.note(ConnErrorKind::Timeout),
        // With an error of publishing or subscribing below, or one of a channel's.
        RequestErrorKind::Other => context.assume(Some(ConnErrorKind::Closed)),
        // The server's answer that nobody has subscribed; a bad subject, a payload that is too large.
        _ => return Flow::NotConn,
    }
    Flow::Next
}

fn inspect_publish<'a>(kind: jetstream::PublishErrorKind, context: &mut Context) -> Flow<'a> {
    match kind {
        jetstream::PublishErrorKind::TimedOut => {
            context.note(ConnErrorKind::Timeout);
            Flow::Stop
        }
        jetstream::PublishErrorKind::BrokenPipe => closed(context),
        // What the client says, or the server.
        jetstream::PublishErrorKind::Other => Flow::Next,
        _ => Flow::NotConn,
    }
}
