use std::fmt;
use std::time::Duration;

use super::{Backoff, FIRST_STEP, MIN_DELAY};

/// A [`Backoff`] without its type.
pub(crate) trait ErasedBackoff: Send + Sync {
    fn start(&self) -> Delays;
}

impl<B: Backoff> ErasedBackoff for B {
    fn start(&self) -> Delays {
        Delays {
            rest: Box::new(self.delays()),
            last: FIRST_STEP,
        }
    }
}

/// The delays of one outage: never below the minimum, never at an end.
pub(crate) struct Delays {
    rest: Box<dyn Iterator<Item = Duration> + Send>,
    last: Duration,
}

impl Delays {
    /// The next delay. Runs the user's iterator: no lock may be held.
    pub(crate) fn draw(&mut self) -> Duration {
        if let Some(delay) = self.rest.next() {
            self.last = delay.max(MIN_DELAY);
        }
        self.last
    }
}

impl fmt::Debug for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delays")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(backoff: impl Backoff, n: usize) -> Vec<u64> {
        let mut delays = backoff.start();
        (0..n).map(|_| delays.draw().as_millis() as u64).collect()
    }

    #[test]
    fn the_last_delay_of_a_sequence_that_ends_is_repeated() {
        let ends = || [20, 40].into_iter().map(Duration::from_millis);
        assert_eq!(drawn(ends, 4), [20, 40, 40, 40]);
    }

    #[test]
    fn an_empty_sequence_means_the_first_step() {
        assert_eq!(drawn(std::iter::empty::<Duration>, 2), [100, 100]);
    }

    #[test]
    fn zero_delays_count_as_the_minimum() {
        assert_eq!(drawn(|| std::iter::repeat(Duration::ZERO), 3), [10, 10, 10]);
    }
}
