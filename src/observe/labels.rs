//! The stable words for kinds and reasons, in traces and metrics.

use crate::{ConnErrorKind, Reason};

pub(super) const fn of_kind(kind: ConnErrorKind) -> &'static str {
    match kind {
        ConnErrorKind::Refused => "refused",
        ConnErrorKind::Reset => "reset",
        ConnErrorKind::Aborted => "aborted",
        ConnErrorKind::BrokenPipe => "broken_pipe",
        ConnErrorKind::NotConnected => "not_connected",
        ConnErrorKind::Closed => "closed",
        ConnErrorKind::Unreachable => "unreachable",
        ConnErrorKind::NetworkDown => "network_down",
        ConnErrorKind::AddressUnavailable => "address_unavailable",
        ConnErrorKind::Dns => "dns",
        ConnErrorKind::Tls => "tls",
        ConnErrorKind::Timeout => "timeout",
        ConnErrorKind::Local => "local",
        ConnErrorKind::Other => "other",
    }
}

pub(super) const fn of_reason(reason: Reason) -> &'static str {
    match reason {
        Reason::NotConnError => "not_conn_error",
        Reason::NotReplayable => "not_replayable",
        Reason::NotIdempotent => "not_idempotent",
        Reason::Permanent => "permanent",
        Reason::PolicyFailed => "policy_failed",
        Reason::GaveUp => "gave_up",
        Reason::AttemptsExhausted => "attempts_exhausted",
        Reason::Poisoned => "poisoned",
        Reason::QueueFull => "queue_full",
        Reason::Deferred => "deferred",
        Reason::NotStored => "not_stored",
        Reason::Closed => "closed",
    }
}
