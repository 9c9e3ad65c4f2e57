//! The ways in which one error hides inside another.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use tower_conn_retry::BoxError;

/// A named wrapping. It must not change a verdict.
pub(crate) struct Wrapping {
    pub(crate) name: &'static str,
    pub(crate) wrap: fn(io::Error) -> BoxError,
}

pub(crate) const WRAPPINGS: &[Wrapping] = &[
    Wrapping {
        name: "plain",
        wrap: |error| Box::new(error),
    },
    Wrapping {
        name: "io::Error::other",
        wrap: |error| Box::new(io::Error::other(error)),
    },
    Wrapping {
        name: "io::Error of another kind",
        wrap: |error| Box::new(io::Error::new(io::ErrorKind::InvalidData, error)),
    },
    Wrapping {
        name: "io::Error of another connection kind",
        wrap: |error| Box::new(io::Error::new(io::ErrorKind::TimedOut, error)),
    },
    Wrapping {
        name: "Arc<io::Error>",
        wrap: |error| Box::new(Arc::new(error)),
    },
    Wrapping {
        name: "Box<io::Error>",
        wrap: |error| Box::new(Box::new(error)),
    },
    Wrapping {
        name: "Arc<dyn Error + Send + Sync>",
        wrap: |error| {
            let shared: Arc<dyn Error + Send + Sync> = Arc::new(error);
            Box::new(shared)
        },
    },
    Wrapping {
        name: "BoxError in an io::Error",
        wrap: |error| {
            let boxed: BoxError = Box::new(error);
            Box::new(io::Error::other(boxed))
        },
    },
    Wrapping {
        name: "a type with a source",
        wrap: |error| Box::new(Outer(Box::new(error))),
    },
    Wrapping {
        name: "a transparent type around a type with a source",
        wrap: |error| Box::new(Transparent(Outer(Box::new(error)))),
    },
    Wrapping {
        name: "anyhow, borrowed",
        wrap: |error| Box::new(Outer(Box::new(Borrowed(anyhow::Error::new(error))))),
    },
    Wrapping {
        name: "anyhow with context, boxed",
        wrap: |error| anyhow::Error::new(error).context("while at it").into(),
    },
    Wrapping {
        name: "six levels",
        wrap: |error| {
            let third: Arc<dyn Error + Send + Sync> = Arc::new(io::Error::other(error));
            let fifth = io::Error::other(Outer(Box::new(third)));
            Box::new(Outer(Box::new(Arc::new(fifth))))
        },
    },
];

/// As most libraries' errors are.
#[derive(Debug)]
pub(crate) struct Outer(pub(crate) BoxError);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// As `#[error(transparent)]` of thiserror does: text and source are those of the error inside.
#[derive(Debug)]
pub(crate) struct Transparent<E>(pub(crate) E);

impl<E: Error> fmt::Display for Transparent<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl<E: Error> Error for Transparent<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// An `anyhow::Error` is no error itself, but it lends one.
#[derive(Debug)]
struct Borrowed(anyhow::Error);

impl fmt::Display for Borrowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("borrowed")
    }
}

impl Error for Borrowed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
