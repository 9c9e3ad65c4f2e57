/// Marks a request as idempotent, whatever its method: an extension of it.
///
/// For requests of which the *caller* knows that doing them twice is as good as once: a search that
/// is a POST, a gRPC method (all of them are POSTs) that only reads. Unlike an `Idempotency-Key` it
/// is not sent.
///
/// ```
/// use tower_conn_retry::Replayable;
/// use tower_conn_retry::http::Idempotent;
///
/// let mut search = http::Request::post("http://a.example/search").body("{}")?;
/// assert!(!search.is_idempotent());
/// search.extensions_mut().insert(Idempotent);
/// assert!(search.is_idempotent());
/// # Ok::<_, http::Error>(())
/// ```
///
/// With tonic, put it into the `extensions_mut()` of the `tonic::Request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotent;
