//! What was to be sent, and what the robots have said about it.

use std::collections::{BTreeSet, HashSet};

use super::wire::Said;

#[derive(Default)]
pub(super) struct Account {
    /// To be given to the robot, lowest first.
    todo: BTreeSet<u64>,
    /// Given to the robot that lives; it has not said what became of them.
    given: BTreeSet<u64>,
    pub(super) answered: HashSet<u64>,
    pub(super) deferred: HashSet<u64>,
    /// Those on which a robot was killed before it had said that they are accepted, and any that it could
    /// not accept. They were sent again.
    pub(super) unaccepted: Vec<u64>,
    /// The message that was the newest, for each kill.
    pub(super) kills: Vec<u64>,
}

impl Account {
    pub(super) fn add(&mut self, number: u64) {
        self.todo.insert(number);
    }

    /// Everything that the robot has to send.
    pub(super) fn give(&mut self) -> Vec<u64> {
        let give = std::mem::take(&mut self.todo);
        self.given.extend(&give);
        give.into_iter().collect()
    }

    pub(super) fn note(&mut self, said: &Said) {
        match said {
            Said::Answered(number) => {
                self.given.remove(number);
                self.answered.insert(*number);
            }
            Said::Deferred(number) => {
                self.given.remove(number);
                self.deferred.insert(*number);
            }
            // It is tried again.
            Said::Failed(number, _) => {
                self.given.remove(number);
                self.unaccepted.push(*number);
                self.todo.insert(*number);
            }
            Said::Opened(_) | Said::Holds(_) | Said::Note(_) | Said::Done => {}
        }
    }

    /// The robot is dead, after it had said everything that was noted.
    pub(super) fn killed(&mut self, newest: u64) {
        self.kills.push(newest);
        let given = std::mem::take(&mut self.given);
        self.unaccepted.extend(&given);
        self.todo.extend(given);
    }

    /// Whether everything was accepted.
    pub(super) fn is_settled(&self) -> bool {
        self.todo.is_empty() && self.given.is_empty()
    }
}
