//! What a PostgreSQL server says about its connections.
//!
//! A database's error is an answer, except where the server says with it that it takes the
//! connection away, or gives none: the SQLSTATEs below ("PostgreSQL Error Codes", appendix A of its
//! manual; class 08 is the SQL standard's own), and only where it ends the session with them, as a
//! FATAL or a PANIC. A statement can raise each of them, after it has committed a part of its work: as
//! an ERROR. So does the server itself, for a foreign server's connection, or for a parameter that the
//! client has forgotten (08P01).

use super::{ConnError, ConnErrorKind, Sent};

/// How bad it is for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// FATAL or PANIC: this was its end.
    Fatal,
    /// It goes on.
    Error,
    /// Not told, or in words that are not known. Then nothing is proof.
    Unknown,
}

pub(super) fn of_sqlstate(code: &str, severity: Severity) -> Option<ConnError> {
    match severity {
        Severity::Fatal => of_fatal(code),
        Severity::Unknown => of_fatal(code).map(|found| found.with_sent(Sent::Maybe)),
        Severity::Error => None,
    }
}

fn of_fatal(code: &str) -> Option<ConnError> {
    match code {
        // cannot_connect_now, too_many_connections: the server's answer to the first message of a
        // connection.
        "57P03" | "53300" => Some(ConnError::new(ConnErrorKind::Refused).with_sent(Sent::No)),
        // admin_shutdown, crash_shutdown, idle_session_timeout: a connection is taken away, in the
        // middle of a statement perhaps.
        "57P01" | "57P02" | "57P05" => Some(ConnError::new(ConnErrorKind::Closed)),
        // Connection exceptions.
        code if code.starts_with("08") => Some(ConnError::new(ConnErrorKind::Closed)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_connection_are_few() {
        let found =
            |code, severity| of_sqlstate(code, severity).map(|found| (found.kind(), found.sent()));
        for code in [
            "57P01", "57P02", "57P05", "08000", "08003", "08006", "08001", "08P01",
        ] {
            let closed = Some((ConnErrorKind::Closed, Sent::Maybe));
            assert_eq!(found(code, Severity::Fatal), closed, "{code}");
            assert_eq!(found(code, Severity::Unknown), closed, "{code}");
            assert_eq!(found(code, Severity::Error), None, "{code}");
        }
        for code in ["57P03", "53300"] {
            let refused = |sent| Some((ConnErrorKind::Refused, sent));
            assert_eq!(found(code, Severity::Fatal), refused(Sent::No), "{code}");
            assert_eq!(
                found(code, Severity::Unknown),
                refused(Sent::Maybe),
                "{code}"
            );
            assert_eq!(found(code, Severity::Error), None, "{code}");
        }
        // A key that is taken, a wrong password, a cancelled statement, a database that is gone.
        for code in [
            "23505", "28P01", "57014", "57P04", "40001", "HY000", "", "0",
        ] {
            for severity in [Severity::Fatal, Severity::Error, Severity::Unknown] {
                assert_eq!(found(code, severity), None, "{code}");
            }
        }
    }
}
