//! No room on the disk.

use std::process::Command;

use tower_conn_retry::{Outbox, Reason};

use super::life::{Directory, firsts, life, open, with};
use crate::peer::*;

fn mount(directory: &Directory, options: &str) -> bool {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]);
    let done = mount.arg(directory.path()).output();
    done.is_ok_and(|output| output.status.success())
}

struct Mounted<'a>(&'a Directory);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .args(["-l"])
            .arg(self.0.path())
            .status();
    }
}

#[test]
fn a_full_disk_refuses_calls_and_what_was_deferred_arrives() {
    let directory = Directory::new();
    if !mount(&directory, "size=2m") {
        assert!(
            std::env::var_os("CI").is_none(),
            "a full disk needs root, to mount a small one"
        );
        eprintln!("SKIPPED: a full disk needs root, to mount a small one");
        return;
    }
    let _mounted = Mounted(&directory);
    let peer = Peer::that(REFUSED);
    let ballast = directory.path().join("ballast");
    life(async {
        let outbox = open(&directory.file(), Outbox::builder);
        let service = with(&peer, &outbox);
        let mut kept = Vec::new();
        for number in 0..20 {
            let error = call(&service, message(number)).await.unwrap_err();
            assert!(error.is_deferred());
            kept.push(number);
        }
        // Somebody else takes what is left.
        let _ = std::fs::write(&ballast, vec![0; 4 << 20]);
        let mut refused = 0;
        for number in 20..20_000 {
            let error = call(&service, message(number)).await.unwrap_err();
            match error.reason() {
                Reason::Deferred => kept.push(number),
                Reason::NotStored => {
                    refused += 1;
                    let text = format!("{:#}", anyhow::Error::from_boxed(error.into()));
                    assert_eq!(text.matches("No space left on device").count(), 1, "{text}");
                    assert_eq!(text.matches("connection refused").count(), 2, "{text}");
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(outbox.len(), kept.len());
            if refused == 10 {
                break;
            }
        }
        assert_eq!(refused, 10);
        std::fs::remove_file(&ballast).unwrap();
        let error = call(&service, message(99_999)).await.unwrap_err();
        assert!(error.is_deferred(), "{error:?}");
        kept.push(99_999);
        peer.forget_attempts();
        peer.now_does(Does::Answer);
        outbox.flush().await;
        assert_eq!(firsts(peer.attempts()), kept);
    });
    assert!(life(async {
        open(&directory.file(), Outbox::builder).is_empty()
    }));
}
