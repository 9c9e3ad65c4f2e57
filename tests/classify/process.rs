//! Real servers, as processes of their own.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Killed when it is dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Starts it, and waits until one of its lines says so.
    pub(crate) fn start(mut command: Command, ready: &'static str) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (says, lines) = mpsc::channel();
        follow(child.stdout.take().unwrap(), says.clone());
        follow(child.stderr.take().unwrap(), says);
        let process = Self(child);
        let mut said = Vec::new();
        loop {
            match lines.recv_timeout(Duration::from_secs(60)) {
                Ok(line) if line.contains(ready) => return process,
                Ok(line) => said.push(line),
                Err(error) => panic!("{command:?}: {error}\n{said:#?}"),
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn wait(&mut self) {
        self.0.wait().unwrap();
    }

    /// At once, without a word to anybody.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads to the end, so that the process never blocks.
fn follow(output: impl Read + Send + 'static, says: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = says.send(line);
        }
    });
}

pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A test that can't be made here. In CI everything can.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
}
