/// A destination as a request has it. Where the spelling is the same, the destination is; where it is
/// another, that may still be the same (`Robot`, `robot:80`).
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Spelling<'a> {
    /// With `http` or `https`.
    Parts { secure: bool, authority: &'a str },
    /// An absolute URL, normalized, of any scheme.
    Url(&'a str),
}

impl<'a> Spelling<'a> {
    /// Whether it is `https`, and the authority. None for another scheme than these two.
    pub(crate) fn parts(self) -> Option<(bool, &'a str)> {
        let url = match self {
            Self::Parts { secure, authority } => return Some((secure, authority)),
            Self::Url(url) => url,
        };
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        match scheme {
            "http" => Some((false, authority)),
            "https" => Some((true, authority)),
            _ => None,
        }
    }
}
