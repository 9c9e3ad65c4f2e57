use std::time::Duration;

use super::{Backoff, FIRST_STEP, MIN_DELAY};

/// The default [`Backoff`]: step `n` is `min(cap, initial · multiplierⁿ)`, and the delay is drawn
/// uniformly from between 10 ms and the step ("full jitter").
///
/// Every sequence draws its own random numbers, and a delay has the full resolution of
/// [`Duration`].
///
/// | setting | default |
/// |---|---|
/// | [`initial`](Self::initial) | 100 ms |
/// | [`multiplier`](Self::multiplier) | 2 |
/// | [`cap`](Self::cap) | 5 s |
/// | [`jitter`](Self::jitter) | on |
///
/// Settings that make no sense are clamped, never refused: steps below 10 ms count as 10 ms, an
/// `initial` above the `cap` counts as the `cap`, and a multiplier that is below 1 or not a number
/// counts as 1.
///
/// ```
/// use std::time::Duration;
/// use tower_conn_retry::{Backoff, ExponentialBackoff};
///
/// let backoff = ExponentialBackoff::new()
///     .initial(Duration::from_millis(50))
///     .cap(Duration::from_millis(300))
///     .jitter(false);
/// let millis: Vec<_> = backoff.delays().take(5).map(|delay| delay.as_millis()).collect();
/// assert_eq!(millis, [50, 100, 200, 300, 300]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExponentialBackoff {
    initial: Duration,
    multiplier: f64,
    cap: Duration,
    jitter: bool,
}

impl ExponentialBackoff {
    /// The default: steps of 100 ms, 200 ms, 400 ms, … up to 5 s, with jitter.
    pub const fn new() -> Self {
        Self {
            initial: FIRST_STEP,
            multiplier: 2.0,
            cap: Duration::from_secs(5),
            jitter: true,
        }
    }

    /// The first step. Default: 100 ms.
    #[must_use]
    pub const fn initial(self, initial: Duration) -> Self {
        Self { initial, ..self }
    }

    /// What each step is multiplied by to get the next. Default: 2.
    #[must_use]
    pub fn multiplier(self, multiplier: impl Into<f64>) -> Self {
        Self {
            multiplier: multiplier.into(),
            ..self
        }
    }

    /// The longest step. Default: 5 s.
    #[must_use]
    pub const fn cap(self, cap: Duration) -> Self {
        Self { cap, ..self }
    }

    /// Whether a delay is drawn from between 10 ms and its step (on), or is the step itself (off).
    /// Default: on. Turn it off only where a single client uses the peer.
    #[must_use]
    pub const fn jitter(self, jitter: bool) -> Self {
        Self { jitter, ..self }
    }
}

impl Default for ExponentialBackoff {
    fn default() -> Self {
        Self::new()
    }
}

impl Backoff for ExponentialBackoff {
    type Delays = ExponentialDelays;

    fn delays(&self) -> ExponentialDelays {
        let cap = self.cap.max(MIN_DELAY);
        ExponentialDelays {
            step: self.initial.clamp(MIN_DELAY, cap),
            // `max` also replaces a NaN.
            multiplier: self.multiplier.max(1.0),
            cap,
            random: self.jitter.then(fastrand::Rng::new),
        }
    }
}

/// The delays of an [`ExponentialBackoff`]. Never ends.
#[derive(Debug, Clone)]
pub struct ExponentialDelays {
    step: Duration,
    multiplier: f64,
    cap: Duration,
    random: Option<fastrand::Rng>,
}

impl Iterator for ExponentialDelays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let step = self.step;
        // A float's product can't overflow: past the largest it is infinite, and the cap is less.
        let grown = step.as_secs_f64() * self.multiplier;
        self.step = if grown < self.cap.as_secs_f64() {
            Duration::from_secs_f64(grown)
        } else {
            self.cap
        };
        Some(match &mut self.random {
            None => step,
            Some(random) => {
                let spread = u64::try_from((step - MIN_DELAY).as_nanos()).unwrap_or(u64::MAX);
                MIN_DELAY + Duration::from_nanos(random.u64(0..=spread))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn rule_5_delays_are_uniform_between_the_minimum_and_the_step() {
        for step in 0..6u32 {
            let top = (FIRST_STEP * 2u32.pow(step)).min(Duration::from_secs(5));
            let drawn: Vec<_> = (0..400)
                .filter_map(|_| ExponentialBackoff::new().delays().nth(step as usize))
                .collect();
            assert_eq!(drawn.len(), 400);
            assert!(drawn.iter().all(|delay| (MIN_DELAY..=top).contains(delay)));
            // 400 uniform draws all miss the upper or the lower third once in 10^70 runs.
            assert!(drawn.iter().any(|delay| *delay > top * 2 / 3));
            assert!(drawn.iter().any(|delay| *delay < MIN_DELAY + top / 3));
            // Sub-millisecond jitter survives.
            assert!(
                drawn
                    .iter()
                    .any(|delay| delay.subsec_nanos() % 1_000_000 != 0)
            );
        }
    }

    #[test]
    fn rule_5_two_sequences_draw_different_numbers() {
        let backoff = ExponentialBackoff::new();
        let one: Vec<_> = backoff.delays().take(20).collect();
        let two: Vec<_> = backoff.delays().take(20).collect();
        assert_ne!(one, two);
    }

    #[test]
    fn rule_5_no_overflow_after_a_million_attempts() {
        let huge = ExponentialBackoff::new().cap(Duration::MAX).jitter(false);
        assert_eq!(huge.delays().nth(1_000_000), Some(Duration::MAX));
        let wide = ExponentialBackoff::new()
            .cap(Duration::MAX)
            .multiplier(f64::MAX);
        assert!(
            wide.delays()
                .take(1_000_000)
                .all(|delay| delay >= MIN_DELAY)
        );
    }

    #[test]
    fn settings_that_make_no_sense_are_clamped() {
        let off = ExponentialBackoff::new().jitter(false);
        let first = |backoff: ExponentialBackoff| backoff.delays().next();
        assert_eq!(first(off.initial(Duration::ZERO)), Some(10 * MS));
        assert_eq!(first(off.cap(Duration::ZERO)), Some(10 * MS));
        assert_eq!(first(off.initial(90 * MS).cap(30 * MS)), Some(30 * MS));
        for factor in [0.0, -3.0, f64::NAN] {
            let flat: Vec<_> = off.multiplier(factor).delays().take(3).collect();
            assert_eq!(flat, [100 * MS; 3], "multiplier {factor}");
        }
        assert_eq!(off.multiplier(3).delays().nth(1), Some(300 * MS));
    }
}
