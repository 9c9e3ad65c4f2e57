use std::time::Duration;

use crate::ConnError;

/// An attempt that failed with a connection error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedAttempt {
    at: Duration,
    conn_error: ConnError,
}

impl FailedAttempt {
    /// When it failed: the time since the first poll of the call's future.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// What its error said about the connection.
    pub fn conn_error(&self) -> ConnError {
        self.conn_error
    }
}

/// The last failed attempts of a request. One word as long as there are none.
#[derive(Default)]
#[expect(clippy::box_collection, reason = "few of the many that wait have any")]
pub(crate) struct History(Option<Box<Vec<FailedAttempt>>>);

impl History {
    const MOST: usize = 16;

    pub(crate) fn push(&mut self, at: Duration, conn_error: ConnError) {
        let attempts = self.0.get_or_insert_default();
        if attempts.len() == Self::MOST {
            attempts.remove(0);
        }
        attempts.push(FailedAttempt { at, conn_error });
    }

    pub(crate) fn as_slice(&self) -> &[FailedAttempt] {
        self.0.as_ref().map_or(&[], |attempts| attempts.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnErrorKind;

    #[test]
    fn the_last_sixteen_are_kept_oldest_first() {
        let mut history = History::default();
        for at in 0..40 {
            history.push(
                Duration::from_secs(at),
                ConnError::new(ConnErrorKind::Refused),
            );
        }
        let seconds: Vec<_> = history
            .as_slice()
            .iter()
            .map(|a| a.at().as_secs())
            .collect();
        assert_eq!(seconds, (24..40).collect::<Vec<_>>());
    }
}
