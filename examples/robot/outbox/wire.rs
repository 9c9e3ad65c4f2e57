//! What the two processes say to each other: a line each.

/// Told to the robot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// Where the base is.
    Address(String),
    Send(u64),
    /// Deliver what is left, and end.
    End,
}

/// Said by the robot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It has opened its outbox, which holds so many messages.
    Opened(usize),
    Answered(u64),
    Deferred(u64),
    /// Not accepted.
    Failed(u64, String),
    /// The outbox holds so many.
    Holds(usize),
    /// For who watches.
    Note(String),
    /// Everything is delivered.
    Done,
}

impl Order {
    pub(super) fn line(&self) -> String {
        match self {
            Self::Address(address) => format!("address {address}\n"),
            Self::Send(number) => format!("send {number}\n"),
            Self::End => "end \n".to_owned(),
        }
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        Some(match word {
            "address" => Self::Address(rest.to_owned()),
            "send" => Self::Send(rest.parse().ok()?),
            "end" => Self::End,
            _ => return None,
        })
    }
}

impl Said {
    pub(super) fn line(&self) -> String {
        let line = match self {
            Self::Opened(len) => format!("opened {len}"),
            Self::Answered(number) => format!("answered {number}"),
            Self::Deferred(number) => format!("deferred {number}"),
            Self::Failed(number, why) => format!("failed {number} {why}"),
            Self::Holds(len) => format!("holds {len}"),
            Self::Note(text) => format!("note {text}"),
            Self::Done => "done ".to_owned(),
        };
        line.replace('\n', " ") + "\n"
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        Some(match word {
            "opened" => Self::Opened(rest.parse().ok()?),
            "answered" => Self::Answered(rest.parse().ok()?),
            "deferred" => Self::Deferred(rest.parse().ok()?),
            "failed" => {
                let (number, why) = rest.split_once(' ')?;
                Self::Failed(number.parse().ok()?, why.to_owned())
            }
            "holds" => Self::Holds(rest.parse().ok()?),
            "note" => Self::Note(rest.to_owned()),
            "done" => Self::Done,
            _ => return None,
        })
    }
}
