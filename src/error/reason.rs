/// Why a request was not replayed (any more).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The error is not about the connection; it is passed through.
    NotConnError,
    /// The request can't be copied, and was not handed back; or it says that it can't be replayed.
    NotReplayable,
    /// The peer may have seen the request, and doing it twice is not as good as once.
    NotIdempotent,
    /// Waiting can't help: the destination never worked, and its name does not exist or its
    /// certificate is wrong.
    Permanent,
    /// The policy decided so, where the default would have been to replay.
    PolicyFailed,
    /// The time of [`give_up_after`](crate::RetryOnConnErr::give_up_after) is over.
    GaveUp,
    /// The number of [`max_attempts`](crate::RetryOnConnErr::max_attempts) is used up.
    AttemptsExhausted,
    /// Its replays broke the connection, and another request's did not.
    Poisoned,
    /// There was no place to hold the request ([`limits`](crate::RetryOnConnErr::limits)), or it had
    /// to make room for a newer one.
    QueueFull,
    /// An outbox owns the request now and will deliver it.
    Deferred,
    /// The outbox could not store it. The error's text says why.
    NotStored,
    /// The outbox was closed.
    Closed,
}
