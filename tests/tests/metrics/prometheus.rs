//! A real Prometheus scrapes the daemon, and what it says of a flood is what was sent.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{Background, Flood, GuardDaemon, Rate, Sources, Wire, until},
    require,
};
use serde_json::Value;

use super::scene::{CLOSED, Scene};

/// How long the flood lasts before anybody asks; the query looks at the second half of it.
const LASTS: Duration = Duration::from_secs(14);
/// `sum(rate(guard_packets_total{action="drop"}[8s]))`
const QUERY: &str = "sum(rate(guard_packets_total%7Baction%3D%22drop%22%7D%5B8s%5D))";

#[test]
fn the_drop_rate_of_a_flood_is_what_prometheus_says() {
    if !require::root() || !require::program("prometheus") {
        return;
    }
    let scene = Scene::enabled("[metrics]\nlisten = \"127.0.0.1:9977\"\n");
    let _daemon = GuardDaemon::start(&scene.guard);
    let folder = scene.guard.folder().join("prometheus");
    fs::create_dir(&folder).expect("a folder");
    let config = folder.join("prometheus.yml");
    let text = "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: guard\n    static_configs:\n      \
                - targets: [\"127.0.0.1:9977\"]\n";
    fs::write(&config, text).expect("a file");
    let mut command = scene.lab.srv.command("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg("--web.listen-address=127.0.0.1:9090");
    let mut server = Background::start(&mut command, folder.join("log"));
    until("Prometheus to have scraped guard", || {
        server.assert_alive();
        value(&scene, "guard_active") == Some(1.0)
    });

    let frames = scene.lab.forged_datagrams(CLOSED, Sources::Everywhere, 20);
    let wire = Wire::open(&scene.lab.wan, "srv");
    let flood = Flood::start(wire, frames, Rate::PerSecond(20_000));
    std::thread::sleep(LASTS - Duration::from_secs(8));
    let (began, before) = (Instant::now(), flood.sent());
    std::thread::sleep(Duration::from_secs(8));
    let sent = (flood.sent() - before) as f64 / began.elapsed().as_secs_f64();
    let said = value(&scene, QUERY).expect("a rate");
    drop(flood);
    println!("sent {sent:.0}/s, Prometheus says {said:.0}/s");
    assert!(
        (said - sent).abs() < sent / 10.0,
        "sent {sent}/s, Prometheus says {said}/s"
    );
}

/// The only value that a query has for an answer.
fn value(scene: &Scene, query: &str) -> Option<f64> {
    let address: SocketAddr = "127.0.0.1:9090".parse().expect("an address");
    let answer = scene.lab.srv.run(|| {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(
            stream,
            "GET /api/v1/query?query={query} HTTP/1.0\r\nHost: localhost\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    })?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let answer: Value = serde_json::from_str(body).ok()?;
    answer["data"]["result"][0]["value"][1]
        .as_str()?
        .parse()
        .ok()
}
