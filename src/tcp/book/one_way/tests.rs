//! With a socket that acknowledges when the test says so, and in virtual time.

use std::cell::Cell;
use std::future::poll_fn;

use bytes::BytesMut;
use tokio::time::timeout;

use super::*;
use crate::tcp::outgoing::Outgoing;
use crate::tcp::slot::{Answer, slot};

#[derive(Default)]
struct Kernel {
    layered: bool,
    written: u64,
    acknowledged: Cell<u64>,
    looks: Cell<u32>,
}

impl Socket for Kernel {
    fn is_plain(&self) -> bool {
        !self.layered
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn unacknowledged(&self) -> io::Result<u64> {
        self.looks.set(self.looks.get() + 1);
        Ok(self.written - self.acknowledged.get())
    }

    fn give_up(&self) {}
}

type Answers = Vec<Answer<()>>;

/// Three frames of ten bytes.
fn three() -> (OneWay, Outgoing, Answers) {
    let (mut book, mut outgoing) = (OneWay::new(), Outgoing::default());
    let mut answers = Vec::new();
    for _ in 0..3 {
        let frame = outgoing.append(|buffer: &mut BytesMut| {
            buffer.extend_from_slice(&[7; 10]);
            Ok::<_, ()>(())
        });
        let (slot, answer) = slot();
        Book::<()>::insert(&mut book, (), frame.unwrap(), slot);
        answers.push(answer);
    }
    (book, outgoing, answers)
}

/// How many are done now.
fn done(book: &mut OneWay, kernel: &Kernel) -> usize {
    let cx = &mut Context::from_waker(std::task::Waker::noop());
    let mut done = 0;
    while let Poll::Ready(next) = Book::<()>::poll_done(book, kernel, cx) {
        next.unwrap().0.finish(Ok(()));
        done += 1;
    }
    done
}

#[tokio::test(start_paused = true)]
async fn a_frame_is_done_with_its_last_byte() {
    let (mut book, mut outgoing, _answers) = three();
    let mut kernel = Kernel::default();
    for (written, acknowledged, expected) in [
        (0, 0, 0),
        (9, 9, 0),
        (25, 9, 0),
        (25, 10, 1),
        (25, 19, 0),
        (30, 29, 1),
        (30, 30, 1),
    ] {
        outgoing.wrote((written - kernel.written) as usize);
        kernel.written = written;
        kernel.acknowledged.set(acknowledged);
        assert_eq!(done(&mut book, &kernel), expected, "{acknowledged}");
        // No event tells: there must be a timer.
        tokio::time::sleep(NEXT_LOOKS).await;
    }
    assert!(Book::<()>::is_empty(&book));
}

#[tokio::test(start_paused = true)]
async fn below_a_layer_a_frame_is_done_when_all_is_that_the_layer_made_of_it() {
    let (mut book, _outgoing, _answers) = three();
    // A handshake of a hundred bytes, and ten more for each record.
    let mut kernel = Kernel {
        layered: true,
        written: 100,
        ..Kernel::default()
    };
    for (stream, socket) in [(10, 120), (30, 150)] {
        kernel.written = socket;
        Book::<()>::flushed(&mut book, &kernel, stream);
    }
    for (acknowledged, expected) in [(100, 0), (119, 0), (120, 1), (149, 0), (150, 2)] {
        kernel.acknowledged.set(acknowledged);
        assert_eq!(done(&mut book, &kernel), expected, "{acknowledged}");
        tokio::time::sleep(NEXT_LOOKS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_looks_again_after_a_while_and_not_too_often() {
    let (mut book, _outgoing, _answers) = three();
    let kernel = Kernel {
        written: 30,
        ..Kernel::default()
    };
    let mut next = poll_fn(|cx| Book::<()>::poll_done(&mut book, &kernel, cx));
    let second = timeout(Duration::from_secs(1), &mut next).await;
    assert!(second.is_err());
    // 1, 2, 4, 8 ms, then each 16.
    assert!(
        (60..=70).contains(&kernel.looks.get()),
        "{:?}",
        kernel.looks
    );

    kernel.acknowledged.set(10);
    timeout(NEXT_LOOKS, next).await.unwrap().unwrap();
    // The peer is there: the next look is soon.
    kernel.looks.set(0);
    kernel.acknowledged.set(10);
    let next = poll_fn(|cx| Book::<()>::poll_done(&mut book, &kernel, cx));
    assert!(timeout(Duration::from_millis(8), next).await.is_err());
    assert!(kernel.looks.get() >= 3, "{:?}", kernel.looks);
}

#[tokio::test(start_paused = true)]
async fn it_does_not_look_while_nothing_is_in_flight() {
    let kernel = Kernel::default();
    assert_eq!(done(&mut OneWay::new(), &kernel), 0);
    assert_eq!(kernel.looks.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_acknowledged_has_the_evidence_of_the_writes() {
    let (mut book, mut outgoing, _answers) = three();
    outgoing.wrote(25);
    let left = Book::<()>::drain(&mut book, outgoing.written());
    let sent: Vec<_> = left.into_iter().map(|(_, sent)| sent).collect();
    assert_eq!(sent, [Sent::Maybe, Sent::Maybe, Sent::No]);
}
