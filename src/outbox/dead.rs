//! The messages that will not be delivered.

use std::collections::VecDeque;

use super::DeadLetter;
use crate::Limits;

/// Dead letters that nobody has taken yet.
pub(super) struct DeadLetters<Req> {
    letters: VecDeque<DeadLetter<Req>>,
    bytes: usize,
    /// How many had to go.
    pub(super) lost: u64,
}

impl<Req> DeadLetters<Req> {
    pub(super) fn new() -> Self {
        Self {
            letters: VecDeque::new(),
            bytes: 0,
            lost: 0,
        }
    }

    /// One more. Those that have to go for it, or itself, to be dropped where nothing is locked.
    pub(super) fn push(
        &mut self,
        letter: DeadLetter<Req>,
        limits: &Limits,
    ) -> Vec<DeadLetter<Req>> {
        let mut lost = Vec::new();
        while !limits.have_room(self.letters.len(), self.bytes, letter.size) {
            match self.pop() {
                Some(oldest) => lost.push(oldest),
                None => {
                    self.lost += 1 + lost.len() as u64;
                    lost.push(letter);
                    return lost;
                }
            }
        }
        self.lost += lost.len() as u64;
        self.bytes += letter.size;
        self.letters.push_back(letter);
        lost
    }

    pub(super) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// The oldest.
    pub(super) fn pop(&mut self) -> Option<DeadLetter<Req>> {
        let letter = self.letters.pop_front()?;
        self.bytes -= letter.size;
        Some(letter)
    }

    pub(super) fn take_all(&mut self) -> Vec<DeadLetter<Req>> {
        self.bytes = 0;
        std::mem::take(&mut self.letters).into()
    }
}
