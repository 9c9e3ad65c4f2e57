//! What a PostgreSQL server says about its connections.
//!
//! A database's error is an answer, except where the server says with it that it takes the
//! connection away, or gives none: the SQLSTATEs below ("PostgreSQL Error Codes", appendix A of its
//! manual; class 08 is the SQL standard's own).

use super::{ConnError, ConnErrorKind, Sent};

pub(super) fn of_sqlstate(code: &str) -> Option<ConnError> {
    match code {
        // cannot_connect_now, too_many_connections: the server's answer to the first message of a
        // connection.
        "57P03" | "53300" => Some(ConnError::new(ConnErrorKind::Refused).with_sent(Sent::No)),
        // admin_shutdown, crash_shutdown, idle_session_timeout: a connection is taken away, in the
        // middle of a statement perhaps.
        "57P01" | "57P02" | "57P05" => Some(ConnError::new(ConnErrorKind::Closed)),
        // Connection exceptions. A foreign server's come up in a statement that has begun.
        code if code.starts_with("08") => Some(ConnError::new(ConnErrorKind::Closed)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_connection_are_few() {
        for code in [
            "57P01", "57P02", "57P05", "08000", "08003", "08006", "08001",
        ] {
            let found = of_sqlstate(code).map(|found| (found.kind(), found.sent()));
            assert_eq!(found, Some((ConnErrorKind::Closed, Sent::Maybe)), "{code}");
        }
        for code in ["57P03", "53300"] {
            let found = of_sqlstate(code).map(|found| (found.kind(), found.sent()));
            assert_eq!(found, Some((ConnErrorKind::Refused, Sent::No)), "{code}");
        }
        // A key that is taken, a wrong password, a cancelled statement, a database that is gone.
        for code in [
            "23505", "28P01", "57014", "57P04", "40001", "HY000", "", "0",
        ] {
            assert_eq!(of_sqlstate(code), None, "{code}");
        }
    }
}
