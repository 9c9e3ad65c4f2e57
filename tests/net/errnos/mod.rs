//! What the system's errors are on real networks, and what is made of them. The server says what it
//! had read, so that nothing is taken for not sent that was.

mod clients;
mod connecting;
pub(crate) mod descriptors;
mod established;
mod names;

use libtest_mimic::Trial;
use tower_conn_retry::{BoxError, ConnError, ConnErrorKind, ConnectError, Outlook, Sent, classify};

use self::clients::Kind;
use crate::chain::{chain, errno};
use crate::test;
use crate::witness::PATIENCE;

pub(crate) fn all() -> Vec<Trial> {
    let mut all = vec![test("errnos::descriptors", descriptors::exhausted)];
    all.extend(connecting::all());
    all.extend(established::all());
    all.extend(names::all());
    all
}

/// Whatever takes longer is a hang.
async fn within<F: Future>(task: F) -> F::Output {
    tokio::time::timeout(PATIENCE, task).await.expect("hangs")
}

fn text(error: &BoxError) -> String {
    chain(&**error).map(|error| format!("{error}; ")).collect()
}

/// Checks the verdict on an error of a client that had no connection: nothing was sent, and who knows
/// more than the system's code says so.
fn assert_not_sent(kind: Kind, error: BoxError, expected: ConnErrorKind, outlook: Outlook) {
    let text = text(&error);
    let expected = ConnError::new(expected).with_outlook(outlook);
    let proved = expected.with_sent(Sent::No);
    if kind != Kind::Raw {
        assert_eq!(classify(&*error), Some(proved), "{kind:?}: {text}");
        return;
    }
    // Without a word about where it came from, a code is no proof, and a limit of this machine's own
    // is nothing about a connection.
    let bare = match expected.kind() {
        ConnErrorKind::Dns => Some(proved),
        ConnErrorKind::Local => None,
        _ => Some(expected),
    };
    assert_eq!(classify(&*error), bare, "{kind:?}: {text}");
    let placed = ConnectError::new(error);
    assert_eq!(classify(&placed), Some(proved), "{kind:?}: {text}");
}

/// Checks that the error is the one that it claims to be.
fn assert_errno(kind: Kind, error: &BoxError, expected: i32) {
    let text = text(error);
    assert_eq!(errno(&**error), Some(expected), "{kind:?}: {text}");
}
