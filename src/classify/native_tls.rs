use std::error::Error;
use super::context::Context;
use super::walk::{Flow};
pub(super) fn inspect<'a>(_error: &'a (dyn Error + 'static), _context: &mut Context) -> Flow<'a> {
    Flow::Pass
}
