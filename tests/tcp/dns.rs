//! A name is resolved again for each connection.
#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};

use bytes::Bytes;
use tokio::net::TcpListener;
use tower::{Service, ServiceExt};
use tower_conn_retry::Reconnect;

use crate::server::{bounded, framed_to, read_frame, reset, write_frame};

/// Where the process in the namespace finds its own /etc/hosts.
const HOSTS: &str = "TOWER_CONN_RETRY_HOSTS";

/// Flags with which `unshare` gives a process its own mounts here, if any do.
fn unshare() -> Option<&'static [&'static str]> {
    let candidates: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
    candidates.into_iter().find(|flags| {
        let mut probe = Command::new("unshare");
        probe.args(*flags).arg("true").stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    })
}

/// Runs `moves` in a process with an /etc/hosts of its own.
#[test]
fn a_peer_that_moves_is_found_at_its_new_address() {
    let Some(flags) = unshare() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "needs unshare(1), and to be allowed to"
        );
        eprintln!("SKIPPED: needs unshare(1), and to be allowed to");
        return;
    };
    let hosts = std::env::temp_dir().join(format!("hosts-{}", std::process::id()));
    std::fs::write(&hosts, "").unwrap();
    let script = format!("mount --bind \"${HOSTS}\" /etc/hosts && exec \"$0\" \"$@\"");
    let result = Command::new("unshare")
        .args(flags)
        .args(["sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "dns::moves", "--ignored", "--nocapture"])
        .env(HOSTS, &hosts)
        .output();
    std::fs::remove_file(&hosts).unwrap();
    let output = result.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert!(text.contains("1 passed"), "{told}");
}

#[tokio::test]
#[ignore = "run by the test above"]
async fn moves() {
    let hosts = std::env::var(HOSTS).expect("is run by another test");
    let name = |address| std::fs::write(&hosts, format!("{address} robot.test\n")).unwrap();
    let old = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = old.local_addr().unwrap().port();
    let new = TcpListener::bind(("127.0.0.2", port)).await.unwrap();

    name("127.0.0.1");
    let mut service = Reconnect::new(framed_to(format!("robot.test:{port}")));
    for listener in [old, new] {
        let call = tokio::spawn(service.ready().await.unwrap().call(Bytes::from("a")));
        let (mut server, _) = bounded(listener.accept()).await.unwrap();
        let frame = read_frame(&mut server).await.unwrap();
        write_frame(&mut server, &frame).await;
        bounded(call).await.unwrap().unwrap();

        name("127.0.0.2");
        let call = tokio::spawn(service.ready().await.unwrap().call(Bytes::from("b")));
        read_frame(&mut server).await.unwrap();
        reset(server);
        bounded(call).await.unwrap().unwrap_err();
    }
}
