//! A real PostgreSQL server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use super::process::{Process, free_address, skip};

/// What is about the connection where the server itself says it. A statement can raise them all.
pub(crate) const STATES: [&str; 12] = [
    "53300", "57P01", "57P02", "57P03", "57P05", "08000", "08001", "08003", "08004", "08006",
    "08007", "08P01",
];

pub(crate) const RAISE: &str = "CREATE FUNCTION raise(state text) RETURNS void LANGUAGE plpgsql \
     AS $$ BEGIN RAISE 'raised' USING ERRCODE = state; END $$";

/// What it does before it fails stays done.
pub(crate) const COMMIT_AND_RAISE: &str = "CREATE PROCEDURE work() LANGUAGE plpgsql \
     AS $$ BEGIN INSERT INTO done VALUES (1); COMMIT; RAISE too_many_connections; END $$";

/// A server of the test's own, with its data.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    data: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its children too: they end when it does, but not at once.
        self.process.signal("QUIT");
        self.process.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// The newest of Debian's, or that of the path.
fn program(name: &str) -> PathBuf {
    let mut found: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| name.into())
}

/// Not as root, which PostgreSQL refuses.
fn command(name: &str, is_root: bool) -> Command {
    if !is_root {
        return Command::new(program(name));
    }
    // Becomes the program, so that signals get there.
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    command.arg(program(name));
    command
}

fn run(mut command: Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

impl Server {
    /// `None` where there is none.
    pub(crate) fn start() -> Option<Self> {
        let mut id = Command::new("id");
        id.arg("-u");
        let is_root = run(id)?.trim() == "0";
        let mut version = command("postgres", is_root);
        version.arg("--version").current_dir("/");
        if run(version).is_none() {
            skip("postgresql is not installed");
            return None;
        }
        let address = free_address();
        let data = std::env::temp_dir().join(format!("tower-conn-retry-{}", address.port()));
        let mut init = command("initdb", is_root);
        init.args(["-U", "robot", "-A", "trust", "--no-sync", "-D"]);
        run_in_root(init.arg(&data));
        let mut server = command("postgres", is_root);
        server
            .current_dir("/")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&data);
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        server.args([
            "-c",
            "max_connections=4",
            "-c",
            "superuser_reserved_connections=0",
        ]);
        server.args(["-c", "max_wal_senders=0", "-p", &address.port().to_string()]);
        let process = Process::start(server, "ready to accept connections");
        Some(Self {
            process,
            address,
            data,
        })
    }
}

#[track_caller]
fn run_in_root(command: &mut Command) {
    let output = command.current_dir("/").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
