pub(crate) fn exhaust(_: &str) {}
