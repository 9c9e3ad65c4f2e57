use std::hash::Hash;

use crate::BoxError;

/// How the answers of a connection find their requests: by an id that both carry.
///
/// One is made for each connection, by what is given to
/// [`Connector::correlate`](super::Connector::correlate).
///
/// ```
/// use tower_conn_retry::tcp::Correlate;
///
/// struct Request { id: u64, method: String }
/// struct Response { id: u64, result: String }
///
/// /// Counts.
/// #[derive(Default)]
/// struct Ids(u64);
///
/// impl Correlate<Request, Response> for Ids {
///     type Id = u64;
///
///     fn request(&mut self, request: &mut Request) -> u64 {
///         self.0 += 1;
///         request.id = self.0;
///         self.0
///     }
///
///     fn response(&mut self, response: &Response) -> Option<u64> {
///         Some(response.id)
///     }
/// }
/// ```
pub trait Correlate<Req, Res> {
    /// What tells the requests apart that are in flight on one connection.
    type Id: Eq + Hash;

    /// The id of a request that is about to be encoded; may write it into the request.
    ///
    /// If a request with this id is still unanswered (the answer of a caller that has gone counts),
    /// this one fails with [`ErrorKind::DuplicateId`](super::ErrorKind::DuplicateId): nothing of it
    /// is sent, and the connection goes on.
    fn request(&mut self, request: &mut Req) -> Self::Id;

    /// The id of the request that this answers, or `None` if it is no answer but a message that the
    /// peer sent of its own accord.
    ///
    /// An id that no request in flight has is the end of the connection, with
    /// [`ErrorKind::UnexpectedAnswer`](super::ErrorKind::UnexpectedAnswer): an answer that nobody
    /// asked for, or a second one.
    fn response(&mut self, response: &Res) -> Option<Self::Id>;

    /// Takes a message that is no answer. An error is the end of the connection, with
    /// [`ErrorKind::UnexpectedAnswer`](super::ErrorKind::UnexpectedAnswer); that is the default.
    ///
    /// Runs on the task of the connection and must not block: hand the message to a bounded
    /// channel, and decide what is to happen when it is full.
    fn push(&mut self, message: Res) -> Result<(), BoxError> {
        drop(message);
        Err("a message that answers no request".into())
    }
}
