/// A destination as a request has it. Where the spelling is the same, the destination is; where it is
/// another, that may still be the same (`Robot`, `robot:80`).
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Spelling<'a> {
    pub(crate) secure: bool,
    pub(crate) authority: &'a str,
}

#[cfg(feature = "http")]
impl<'a> Spelling<'a> {
    /// Of the schemes that most have. `authority` is not asked for in vain.
    #[inline]
    pub(super) fn new(scheme: &str, authority: impl FnOnce() -> Option<&'a str>) -> Option<Self> {
        let secure = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        authority().map(|authority| Self { secure, authority })
    }
}
