//! nginx in front of a hyper server: reloaded, and stopped and started again, in turn.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tower::{Layer, Service};
use tower_conn_retry::ConnRetry;

use super::clients::{Tls, one_h2, pooled};
use super::load::{Event, alone, check, layer, run};
use super::origin::{Origin, Version};

struct Nginx {
    address: SocketAddr,
    folder: PathBuf,
    running: Option<Child>,
    /// How often it was asked to go.
    stops: usize,
}

impl Nginx {
    /// In front of `origin`. `None` if there is no nginx here.
    fn started(name: &str, origin: &Origin, listen: &str, tls: Option<&Tls>) -> Option<Self> {
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
        let mut server = format!("listen {address} {listen};\n");
        if let Some((certificate, key)) = tls.map(Tls::pem) {
            std::fs::write(folder.join("certificate.pem"), certificate).unwrap();
            std::fs::write(folder.join("key.pem"), key).unwrap();
            server += "ssl_certificate certificate.pem;\nssl_certificate_key key.pem;\n";
        }
        let mut paths = String::new();
        for temp in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(paths, "{temp}_temp_path {temp};").unwrap();
        }
        let upstream = origin.address;
        let config = format!(
            "daemon off;
            worker_processes 2;
            pid nginx.pid;
            error_log error.log;
            events {{ worker_connections 4096; }}
            http {{
                access_log off;
                {paths}
                keepalive_requests 100000;
                upstream origin {{ server {upstream}; keepalive 64; }}
                server {{
                    {server}
                    location / {{
                        proxy_pass http://origin;
                        proxy_http_version 1.1;
                        proxy_set_header Connection '';
                        proxy_next_upstream off;
                    }}
                }}
            }}"
        );
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut nginx = Self {
            address,
            folder,
            running: None,
            stops: 0,
        };
        nginx.start();
        Some(nginx)
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

    fn start(&mut self) {
        self.running = Some(self.command().spawn().unwrap());
    }

    /// Its process, which it writes down when it has begun to listen.
    async fn has_started(&self) {
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

    /// Stops it, or lets it be this time.
    async fn stop(&mut self) {
        self.stops += 1;
        if self.stops % 2 == 0 {
            return;
        }
        self.end().await;
    }

    async fn end(&mut self) {
        self.signal("stop").await;
        let mut child = self.running.take().unwrap();
        let ended = timeout(Duration::from_secs(10), child.wait()).await;
        ended.expect("it stops").unwrap();
    }

    /// Starts it, or if it runs, lets it read its configuration again.
    async fn start_or_reload(&mut self) {
        if self.running.is_some() {
            self.signal("reload").await;
        } else {
            self.start();
        }
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

async fn prove<S>(name: &str, base: &str, mut nginx: Nginx, origin: Origin, service: ConnRetry<S>)
where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>> + Clone + Send + 'static,
    S::Error: Into<tower::BoxError>,
    S::Future: Send,
{
    let _alone = alone().await;
    let restart = async |event| match event {
        Event::Stop => nginx.stop().await,
        Event::Start => nginx.start_or_reload().await,
    };
    let outcomes = run(&service, base, restart).await;
    nginx.end().await;
    check(name, outcomes, &origin);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http1() {
    let origin = Origin::started(Version::H1);
    let Some(nginx) = Nginx::started("http1", &origin, "", None) else {
        return;
    };
    let base = format!("http://{}", nginx.address);
    let client = pooled(Version::H1, HttpConnector::new());
    prove(
        "nginx, HTTP/1.1",
        &base,
        nginx,
        origin,
        layer().layer(client),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2() {
    let origin = Origin::started(Version::H1);
    let Some(nginx) = Nginx::started("http2", &origin, "http2", None) else {
        return;
    };
    let base = format!("http://{}", nginx.address);
    let client = one_h2(HttpConnector::new(), base.parse().unwrap());
    prove("nginx, HTTP/2", &base, nginx, origin, layer().layer(client)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_tls() {
    let origin = Origin::started(Version::H1);
    let tls = Tls::new();
    let Some(nginx) = Nginx::started("http2-tls", &origin, "ssl http2", Some(&tls)) else {
        return;
    };
    let base = format!("https://{}", nginx.address);
    let client = pooled(Version::H2, tls.connector(Version::H2));
    prove(
        "nginx, HTTP/2, TLS",
        &base,
        nginx,
        origin,
        layer().layer(client),
    )
    .await;
}
