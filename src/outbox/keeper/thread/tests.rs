use std::sync::{Arc, Mutex};

use super::*;
use crate::outbox::keeper::Answer;
use crate::outbox::store::Contents;
use crate::outbox::{MemoryStore, OutboxBuilder};

/// Notes how many each commit puts. When it is asked about the first message of one, it says so.
#[derive(Clone)]
struct Notes {
    commits: Arc<Mutex<Vec<usize>>>,
    accepts: mpsc::Sender<Ticket>,
}

impl Store<u32> for Notes {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        Ok(Contents::default())
    }

    fn accept(&self, message: &Message<u32>) -> Result<(), BoxError> {
        Ok(self.accepts.send(message.ticket)?)
    }

    fn commit(&mut self, changes: Changes<u32>) -> Result<(), BoxError> {
        self.commits.lock().unwrap().push(changes.put.len());
        Ok(())
    }

    fn read(
        &mut self,
        _: &Destination,
        _: Option<Ticket>,
        _: usize,
        _: &mut dyn FnMut(Ticket, Result<&Message<u32>, BoxError>),
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

fn put(jobs: &mpsc::Sender<Job<u32>>, ticket: u64) -> Answer<u32> {
    let message = Message {
        ticket: Ticket::new(ticket),
        destination: Destination::default(),
        request: 0,
        size: 1,
        since: Duration::ZERO,
        attempts: 0,
        maybe_sent: false,
        max_age: None,
    };
    let (ack, answer) = oneshot::channel();
    jobs.send(Job::Put(message, ack)).unwrap();
    answer
}

struct Setup {
    thread: Thread<u32>,
    commits: Arc<Mutex<Vec<usize>>>,
    accepted: mpsc::Receiver<Ticket>,
    jobs: mpsc::Sender<Job<u32>>,
    queue: mpsc::Receiver<Job<u32>>,
}

fn setup() -> Setup {
    let (accepts, accepted) = mpsc::channel();
    let (jobs, queue) = mpsc::channel();
    let commits = Arc::default();
    let notes = Notes {
        commits: Arc::clone(&commits),
        accepts,
    };
    Setup {
        thread: Thread::new(Box::new(notes), Weak::new(), Failures::default()),
        commits,
        accepted,
        jobs,
        queue,
    }
}

#[test]
fn those_who_were_told_together_are_stored_together_again() {
    let Setup {
        mut thread,
        commits,
        accepted,
        jobs,
        queue,
    } = setup();
    let _answers = [0, 1, 2].map(|ticket| put(&jobs, ticket));
    assert!(thread.turn(&queue));
    assert_eq!(accepted.try_iter().count(), 3);
    // However long it takes.
    thread.patience = Duration::from_secs(3_600);
    let caller = std::thread::spawn(move || {
        let first = put(&jobs, 3);
        // The others come when the first has been seen.
        accepted.recv().unwrap();
        let answers = [first, put(&jobs, 4), put(&jobs, 5)];
        // The store's word about those must find somebody.
        (answers, accepted)
    });
    assert!(thread.turn(&queue));
    assert_eq!(*commits.lock().unwrap(), [3, 3]);
    drop(caller.join());
}

#[test]
fn those_who_do_not_come_again_are_not_waited_for_long() {
    let Setup {
        mut thread,
        commits,
        jobs,
        queue,
        accepted: _accepted,
    } = setup();
    let mut answers = [0, 1, 2].map(|ticket| put(&jobs, ticket));
    assert!(thread.turn(&queue));
    assert!(
        answers
            .iter_mut()
            .all(|answer| matches!(answer.try_recv(), Ok(Ok(()))))
    );
    assert!(thread.patience <= PATIENCE);
    let mut alone = put(&jobs, 3);
    assert!(thread.turn(&queue));
    assert!(matches!(alone.try_recv(), Ok(Ok(()))));
    // He was alone, so nobody else is waited for.
    thread.patience = Duration::from_secs(3_600);
    let mut alone = put(&jobs, 4);
    assert!(thread.turn(&queue));
    assert!(matches!(alone.try_recv(), Ok(Ok(()))));
    assert_eq!(*commits.lock().unwrap(), [3, 1, 1]);
}

#[test]
fn who_reads_does_not_wait_for_those_who_may_come_again() {
    let Setup {
        mut thread,
        commits,
        jobs,
        queue,
        accepted: _accepted,
    } = setup();
    let _answers = [0, 1].map(|ticket| put(&jobs, ticket));
    assert!(thread.turn(&queue));
    thread.patience = Duration::from_secs(3_600);
    let (found, mut read) = oneshot::channel();
    let _answer = put(&jobs, 2);
    let job = Job::Read {
        destination: Destination::default(),
        after: None,
        most: 1,
        found,
    };
    jobs.send(job).unwrap();
    assert!(thread.turn(&queue));
    assert!(read.try_recv().is_ok(), "an answer, here an error");
    assert_eq!(*commits.lock().unwrap(), [2, 1]);
}

#[test]
fn the_age_of_what_waits_is_kept_now_and_then() {
    let Setup {
        mut thread,
        commits,
        ..
    } = setup();
    let store = Box::new(MemoryStore::new());
    let settings = OutboxBuilder::<u32>::new().settings;
    let outbox = Shared::open(store, settings).unwrap();
    thread.outbox = Arc::downgrade(&outbox);
    thread.keep_clock(Duration::ZERO);
    assert!(commits.lock().unwrap().is_empty(), "nothing waits");
    outbox.book().len = 1;
    thread.keep_clock(CLOCK);
    assert!(commits.lock().unwrap().is_empty(), "not yet");
    thread.keep_clock(Duration::ZERO);
    assert_eq!(*commits.lock().unwrap(), [0]);
    assert!(thread.clock > Duration::ZERO);
}
