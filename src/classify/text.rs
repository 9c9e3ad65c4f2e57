use std::fmt::{self, Write};

/// An error's own text, on the stack. Only for the two errors of other people's making that say in
/// no other way what they are.
pub(super) struct Text {
    bytes: [u8; 256],
    len: usize,
}

impl Text {
    /// `None` if it is longer than what is looked for, or can't be written.
    pub(super) fn of<T: fmt::Display + ?Sized>(shown: &T) -> Option<Self> {
        let mut text = Self {
            bytes: [0; 256],
            len: 0,
        };
        write!(text, "{shown}").ok()?;
        Some(text)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
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

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn keeps_up_to_its_size_and_refuses_more() {
        let fits = "x".repeat(256);
        assert_eq!(
            Text::of(&fits).map(|text| text.as_bytes().to_vec()),
            Some(fits.into_bytes())
        );
        assert!(Text::of(&"x".repeat(257)).is_none());
        assert!(Text::of(&"").is_some_and(|text| text.as_bytes().is_empty()));
    }
}
