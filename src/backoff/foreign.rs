use std::time::Duration;

use backoff::backoff::Backoff as Foreign;

use super::Backoff;

/// Uses a policy of the `backoff` crate as a [`Backoff`]: each outage gets a clone of it, reset.
///
/// That crate is unmaintained (RUSTSEC-2025-0012); this is for code that has its policies already.
/// Where its `max_elapsed_time` ends the sequence, the last delay is repeated.
///
/// ```
/// use tower_conn_retry::{FromBackoff, RetryOnConnErr};
///
/// let theirs = backoff::ExponentialBackoff::default();
/// let layer: RetryOnConnErr = RetryOnConnErr::new().backoff(FromBackoff::new(theirs));
/// ```
#[derive(Debug, Clone)]
pub struct FromBackoff<B>(B);

impl<B: Foreign + Clone> FromBackoff<B> {
    /// Uses clones of `backoff`.
    pub const fn new(backoff: B) -> Self {
        Self(backoff)
    }
}

impl<B> Backoff for FromBackoff<B>
where
    B: Foreign + Clone + Send + Sync + 'static,
{
    type Delays = ForeignDelays<B>;

    fn delays(&self) -> ForeignDelays<B> {
        let mut backoff = self.0.clone();
        backoff.reset();
        ForeignDelays(backoff)
    }
}

/// The delays of a [`FromBackoff`].
#[derive(Debug, Clone)]
pub struct ForeignDelays<B>(B);

impl<B: Foreign> Iterator for ForeignDelays<B> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next_backoff()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outage_starts_from_the_first_delay() {
        let theirs = backoff::ExponentialBackoff {
            randomization_factor: 0.0,
            ..Default::default()
        };
        let ours = FromBackoff::new(theirs);
        let one: Vec<_> = ours.delays().take(3).collect();
        assert!(one[0] < one[1] && one[1] < one[2]);
        assert_eq!(ours.delays().take(3).collect::<Vec<_>>(), one);
    }
}
