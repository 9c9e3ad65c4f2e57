//! nginx in front of a hyper server: reloaded, and stopped and started again, in turn.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::caller::Caller;
use super::check::{Promise, check};
use super::clients::Target;
use super::ledger::Ledger;
use super::load::{Server, Share, run, turn};
use super::origin::{Origin, Version};
use super::tls::Tls;

/// What nginx speaks to the server behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Behind {
    Http1,
    /// So over HTTP/2.
    Grpc,
}

impl Behind {
    fn version(self) -> Version {
        match self {
            Self::Http1 => Version::H1,
            Self::Grpc => Version::H2,
        }
    }

    /// Each request once.
    fn pass(self) -> &'static str {
        match self {
            Self::Http1 => {
                "proxy_pass http://origin;
                proxy_http_version 1.1;
                proxy_set_header Connection '';
                proxy_next_upstream off;"
            }
            Self::Grpc => {
                "grpc_pass grpc://origin;
                grpc_next_upstream off;"
            }
        }
    }
}

/// So many requests on one connection, when nothing else is asked for.
const MANY: u32 = 100_000;

pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    folder: PathBuf,
    running: Option<Child>,
    /// How often it was asked to go.
    stops: usize,
}

impl Nginx {
    /// In front of `origin`, with a limit of requests for each connection. `None` if there is no nginx here.
    pub(crate) fn started(
        (name, requests): (&str, u32),
        origin: &Origin,
        (version, behind): (Version, Behind),
        tls: Option<&Tls>,
    ) -> Option<Self> {
        let found = std::process::Command::new("nginx").arg("-v").output();
        if found.is_err() {
            assert!(std::env::var_os("CI").is_none(), "CI needs nginx");
            eprintln!("SKIPPED: {name}: there is no nginx on this machine");
            return None;
        }
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("nginx-{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        // Hopefully nobody else takes it in the moment before nginx does.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let ssl = if tls.is_some() { "ssl" } else { "" };
        let http2 = if version == Version::H2 { "http2" } else { "" };
        let mut server = format!("listen {address} {ssl} {http2};\n");
        if let Some((certificate, key)) = tls.map(Tls::pem) {
            std::fs::write(folder.join("certificate.pem"), certificate).unwrap();
            std::fs::write(folder.join("key.pem"), key).unwrap();
            server += "ssl_certificate certificate.pem;\nssl_certificate_key key.pem;\n";
        }
        let mut paths = String::new();
        for temp in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(paths, "{temp}_temp_path {temp};").unwrap();
        }
        let pass = behind.pass();
        let upstream = origin.address;
        let config = format!(
            "daemon off;
            worker_processes 2;
            pid nginx.pid;
            error_log error.log;
            events {{ worker_connections 4096; }}
            http {{
                log_format id $http_id;
                access_log access.log id;
                {paths}
                keepalive_requests {requests};
                upstream origin {{ server {upstream}; keepalive 64; }}
                server {{
                    {server}
                    location / {{ {pass} }}
                }}
            }}"
        );
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        // It would write at its end.
        std::fs::write(folder.join("access.log"), "").unwrap();
        let mut nginx = Self {
            address,
            folder,
            running: None,
            stops: 0,
        };
        nginx.spawn();
        Some(nginx)
    }

    /// How often it has read each request, by its own account; the origin may know less.
    pub(crate) fn read(&self) -> HashMap<String, usize> {
        let log = std::fs::read_to_string(self.folder.join("access.log")).unwrap();
        let mut read = HashMap::new();
        for id in log.lines() {
            *read.entry(id.to_owned()).or_default() += 1;
        }
        read
    }

    fn command(&self) -> Command {
        let mut command = Command::new("nginx");
        command
            .args(["-e", "stderr", "-c", "nginx.conf", "-p"])
            .arg(&self.folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn spawn(&mut self) {
        self.running = Some(self.command().spawn().unwrap());
    }

    /// Its process, which it writes down when it has begun to listen.
    pub(crate) async fn has_started(&self) {
        let has_written = || {
            let pid = std::fs::read_to_string(self.folder.join("nginx.pid"));
            pid.is_ok_and(|pid| pid.trim().parse::<u32>().is_ok())
        };
        let written = async {
            while !has_written() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let written = timeout(Duration::from_secs(10), written).await;
        written.expect("nginx starts");
    }

    async fn signal(&self, signal: &str) {
        self.has_started().await;
        let status = self.command().args(["-s", signal]).status();
        let status = timeout(Duration::from_secs(10), status).await;
        assert!(status.unwrap().unwrap().success(), "nginx -s {signal}");
    }

    pub(crate) async fn end(&mut self) {
        self.signal("stop").await;
        let mut child = self.running.take().unwrap();
        let ended = timeout(Duration::from_secs(10), child.wait()).await;
        ended.expect("it stops").unwrap();
    }
}

/// The test has failed. If it was killed, its workers would live on.
impl Drop for Nginx {
    fn drop(&mut self) {
        if self.running.is_some() {
            let mut stop = std::process::Command::new("nginx");
            stop.args(["-e", "stderr", "-c", "nginx.conf", "-s", "stop", "-p"]);
            let _ = stop.arg(&self.folder).stderr(Stdio::null()).status();
        }
    }
}

impl Server for Nginx {
    /// Or lets it be this time.
    async fn stop(&mut self) -> bool {
        self.stops += 1;
        let stops = self.stops % 2 == 1;
        if stops {
            self.end().await;
        }
        stops
    }

    /// Or if it runs, lets it read its configuration again.
    async fn start(&mut self) {
        if self.running.is_some() {
            self.signal("reload").await;
        } else {
            self.spawn();
        }
    }
}

/// nginx speaks `version` to its clients.
async fn prove(
    name: &str,
    (version, tls, behind): (Version, Option<Tls>, Behind),
    client: impl FnOnce(&Target) -> Caller,
    promise: Promise,
) {
    let _turn = turn(Share::All).await;
    let ledger = Ledger::new(Duration::ZERO);
    let origin = Origin::started(behind.version());
    let handler = ledger.clone();
    origin.set_handler(move |request| handler.clone().answer(request));
    let Some(mut nginx) = Nginx::started((name, MANY), &origin, (version, behind), tls.as_ref())
    else {
        return;
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let base = format!("{scheme}://{}", nginx.address);
    let caller = client(&Target { version, base, tls });
    let run = run(&caller, &ledger, &mut nginx).await;
    nginx.end().await;
    ledger.account().front = nginx.read();
    check(name, promise, &run, &ledger);
}

/// What nginx speaks, and a client of it in the layer.
macro_rules! loads {
    ($promise:expr, $($name:ident: $server:expr, $client:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            prove(stringify!($name), $server, $client, $promise).await;
        }
    )*};
}

mod all_is_answered_and_nothing_done_twice {
    use super::super::load::layer;
    use super::Behind::*;
    use super::Version::{H1, H2};
    use super::*;

    loads! { Promise::Answers,
        http1_pooled: (H1, None, Http1), |to| to.pooled(layer());
        http1_one_connection_tls: (H1, Some(Tls::new()), Http1), |to| to.one_connection(layer());
        http1_reqwest: (H1, None, Http1), |to| to.reqwest(layer());
        http2_pooled_tls: (H2, Some(Tls::new()), Http1), |to| to.pooled(layer());
        http2_one_connection: (H2, None, Http1), |to| to.one_connection(layer());
        http2_reqwest: (H2, None, Http1), |to| to.reqwest(layer());
        tonic: (H2, None, Grpc), |to| to.tonic(layer());
    }
}

mod who_finds_no_room_is_told_truly_what_was_sent {
    use super::super::load::small_layer;
    use super::Behind::*;
    use super::Version::{H1, H2};
    use super::*;

    loads! { Promise::Truth,
        http1_one_connection: (H1, None, Http1), |to| to.one_connection(small_layer());
        http2_pooled: (H2, None, Http1), |to| to.pooled(small_layer());
    }
}
