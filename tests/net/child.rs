//! Processes that can be killed: this program, started anew with a part to play.

use std::env;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::errnos::descriptors;
use crate::host::Host;
use crate::server::{self, Ledger, Protocol};

const PART: &str = "CONN_RETRY_PART";

/// Plays its part, if this process was started as a child.
pub(crate) fn played() -> bool {
    let Ok(part) = env::var(PART) else {
        return false;
    };
    // The end of its input is the end of its parent.
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    match part.as_str() {
        descriptors::PART => descriptors::exhaust(),
        address => serve(address.parse().unwrap()),
    }
    true
}

/// What it reads goes to its output, before it is answered.
fn serve(address: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = server::listen(address).unwrap();
        let write = |word: [u8; 8]| io::stdout().lock().write_all(&word).unwrap();
        let note = move |number: u64| {
            write(number.to_be_bytes());
            io::stdout().flush().unwrap();
        };
        note(u64::MAX); // it listens
        server::serve(listener, Protocol::Numbers, note).await;
    });
}

/// This program, with this part to play.
pub(crate) fn command(part: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .env(PART, part)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// A server in a process of its own. Dropping it kills it.
pub(crate) struct ServerProcess {
    child: Child,
    reader: Option<thread::JoinHandle<()>>,
}

impl ServerProcess {
    /// Returns when it listens.
    pub(crate) fn start(host: &Host, address: SocketAddr, ledger: &Ledger) -> Self {
        let mut child = host.run(|| command(&address.to_string()).spawn()).unwrap();
        let mut output = child.stdout.take().unwrap();
        let mut next = move || {
            let mut word = [0; 8];
            let read = output.read_exact(&mut word);
            read.map(|()| u64::from_be_bytes(word))
        };
        assert_eq!(next().expect("the server could not start"), u64::MAX);
        let ledger = ledger.clone();
        let reader = thread::spawn(move || {
            while let Ok(number) = next() {
                ledger.note(number);
            }
        });
        Self {
            child,
            reader: Some(reader),
        }
    }

    /// By SIGKILL. All that it has read is in the ledger afterwards.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let _ = self.reader.take().map(thread::JoinHandle::join);
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if self.reader.is_some() {
            self.kill();
        }
    }
}
