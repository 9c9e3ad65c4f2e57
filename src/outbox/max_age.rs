use std::time::Duration;

/// For how long an outbox may keep an HTTP request: an extension of it, for
/// [`Replayable::max_age`](crate::Replayable::max_age). It is not sent.
///
/// ```
/// use std::time::Duration;
/// use tower_conn_retry::outbox::MaxAge;
///
/// let mut position = http::Request::put("http://a.example/robots/7/position").body("12,3")?;
/// position.extensions_mut().insert(MaxAge(Duration::from_secs(60)));
/// # Ok::<_, http::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaxAge(pub Duration);
