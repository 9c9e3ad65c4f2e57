//! An outbox on disk loses nothing when its process is killed, at whatever moment: real processes, real
//! kills, a real file, and a server that counts what it has read.

#![cfg(all(unix, feature = "outbox-disk", feature = "tcp"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod outbox_kill {
    mod base;
    mod child;
    mod count;
    mod flush;
    mod story;

    use base::Weather::{Down, Flapping, Slow, Up};
    use count::AGAIN;
    use story::Story;

    #[test]
    fn the_server_is_away_until_the_end() {
        let mut story = Story::new("away");
        for _ in 0..100 {
            story.life(&[Down]);
        }
        let count = story.end();
        assert!(count.deferred > 1_000, "{count:?}");
        assert_eq!((count.again_in_a_life, count.overtaken), (0, 0));
    }

    #[test]
    fn in_the_middle_of_a_drain() {
        let mut story = Story::new("drain");
        for _ in 0..50 {
            story.life(&[Down]);
            story.life(&[Slow]);
            story.life(&[Down, Up]);
        }
        let count = story.end();
        assert!(count.deferred > 1_000, "{count:?}");
        assert!(count.killed_while_draining > 10, "{count:?}");
        assert!(count.again_after_a_kill > 0, "{count:?}");
        assert!(count.most_after_one_kill <= AGAIN, "{count:?}");
        assert_eq!(count.overtaken, 0, "{count:?}");
    }

    #[test]
    fn the_server_flaps() {
        let mut story = Story::new("flapping");
        for _ in 0..10 {
            story.life(&[Up]); // calls are answered until something is left
        }
        for _ in 0..45 {
            story.life(&[Flapping]);
            story.life(&[Up]);
            story.life(&[Flapping, Down, Flapping]);
        }
        let count = story.end();
        assert!(count.deferred > 1_000, "{count:?}");
        assert!(count.answered > 0, "{count:?}");
        assert!(count.most_after_one_kill <= AGAIN, "{count:?}");
    }
}
