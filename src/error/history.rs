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

/// The last failed attempts of a request.
#[derive(Default)]
pub(crate) struct History(Vec<FailedAttempt>);

impl History {
    const MOST: usize = 16;

    pub(crate) fn push(&mut self, at: Duration, conn_error: ConnError) {
        if self.0.len() == Self::MOST {
            self.0.remove(0);
        }
        self.0.push(FailedAttempt { at, conn_error });
    }

    pub(crate) fn as_slice(&self) -> &[FailedAttempt] {
        &self.0
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
