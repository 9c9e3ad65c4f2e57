mod unsent;

pub use unsent::{ConnectError, NotSent, Unsent};
