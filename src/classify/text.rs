use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An error's own text, on the stack. Only for errors of other people's making that say in no other
/// way what they are. To write it is foreign code, which may panic: then there is none.
pub(crate) struct Text {
    bytes: [u8; SIZE],
    len: usize,
}

const SIZE: usize = 512;

impl Text {
    const EMPTY: Self = Self {
        bytes: [0; SIZE],
        len: 0,
    };

    /// `None` if it is longer than what is looked for, or can't be written.
    pub(crate) fn of<T: fmt::Display + ?Sized>(shown: &T) -> Option<Self> {
        let mut text = Self::EMPTY;
        let written = catch_unwind(AssertUnwindSafe(|| write!(text, "{shown}")));
        written.ok()?.ok()?;
        Some(text)
    }

    /// As much of it as there is room for, and no more than its first paragraph: in reports a
    /// backtrace follows, which takes long to write.
    pub(super) fn start_of(shown: fmt::Arguments<'_>) -> Self {
        let mut start = Start(Self::EMPTY);
        // It ends with an error where it is full.
        let _ = catch_unwind(AssertUnwindSafe(|| start.write_fmt(shown)));
        start.0
    }

    /// A pretty `Debug` as what it is when it is not: of a derived one, and without what is in quotes, where
    /// there are no line breaks.
    pub(super) fn on_one_line(&self) -> Self {
        let mut text = Self::EMPTY;
        for line in self.as_bytes().split(|&byte| byte == b'\n') {
            let line = line.trim_ascii_start();
            let closes_braces = line.starts_with(b"}");
            if closes_braces || line.starts_with(b")") || line.starts_with(b"]") {
                text.len -= usize::from(text.as_bytes().ends_with(b","));
            }
            if closes_braces || text.as_bytes().ends_with(b"{") || text.as_bytes().ends_with(b",") {
                text.push(b" ");
            }
            text.push(line);
        }
        text
    }

    /// It is never longer than the text that it comes from.
    fn push(&mut self, part: &[u8]) {
        if let Some(free) = self.bytes.get_mut(self.len..self.len + part.len()) {
            free.copy_from_slice(part);
            self.len += part.len();
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.len.checked_add(part.len()).ok_or(fmt::Error)?;
        let free = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        free.copy_from_slice(part.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// What [`Text::start_of`] writes to.
struct Start(Text);

impl Write for Start {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let text = &mut self.0;
        for &byte in part.as_bytes() {
            if byte == b'\n' && text.as_bytes().ends_with(b"\n") {
                text.len -= 1;
                return Err(fmt::Error);
            }
            let free = text.bytes.get_mut(text.len).ok_or(fmt::Error)?;
            *free = byte;
            text.len += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{SIZE, Text};

    #[test]
    fn keeps_up_to_its_size_and_refuses_more() {
        let fits = "x".repeat(SIZE);
        assert_eq!(
            Text::of(&fits).map(|text| text.as_bytes().to_vec()),
            Some(fits.into_bytes())
        );
        assert!(Text::of(&"x".repeat(SIZE + 1)).is_none());
        assert!(Text::of(&"").is_some_and(|text| text.as_bytes().is_empty()));
    }

    #[test]
    fn a_pretty_debug_on_one_line_is_the_plain_one() {
        #[derive(Debug)]
        #[allow(dead_code)]
        enum Shape {
            Unit,
            Tuple(Box<Self>, u8),
            Struct { list: Vec<Self>, text: &'static str },
        }
        let shape = || Shape::Tuple(Box::new(Shape::Unit), 1);
        for shape in [
            Shape::Unit,
            shape(),
            Shape::Struct {
                list: vec![Shape::Unit, shape()],
                text: "a,\n}\n    \"b\",",
            },
            Shape::Struct {
                list: vec![],
                text: "",
            },
        ] {
            let pretty = Text::of(&format_args!("{shape:#?}")).unwrap_or(Text::EMPTY);
            let line = pretty.on_one_line();
            assert_eq!(
                String::from_utf8_lossy(line.as_bytes()),
                format!("{shape:?}")
            );
        }
    }

    #[test]
    fn the_start_is_one_paragraph_and_not_more_than_its_size() {
        let start = |text: &str| {
            let start = Text::start_of(format_args!("{text}"));
            String::from_utf8_lossy(start.as_bytes()).into_owned()
        };
        assert_eq!(start(""), "");
        assert_eq!(start("one\ntwo"), "one\ntwo");
        assert_eq!(start("one\n\ntwo"), "one");
        assert_eq!(start(&"x".repeat(SIZE + 1)), "x".repeat(SIZE));
    }
}
