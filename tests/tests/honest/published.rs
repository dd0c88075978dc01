//! Ports that real containers publish, across restarts and in a flood.

use std::{
    net::{IpAddr, SocketAddr, TcpStream},
    time::Duration,
};

use guard_tests::{
    lab::{
        Conversation, DOCKER_PROGRAMS, Dockerd, Instance, TcpEcho, Topology, finish, http_get,
        until,
    },
    require,
};

use super::scene::{NONE, OPEN, PATIENCE, acks, alone};

/// The page of a container, and the echo that runs in its network.
const PAGE: u16 = OPEN;
const ECHO: u16 = 9001;
const LARGE: usize = 20 << 20;

fn answers(lab: &Topology, to: IpAddr) -> bool {
    let get = || http_get(SocketAddr::new(to, PAGE), Duration::from_secs(1));
    lab.friend
        .run(get)
        .is_ok_and(|page| page == "hello from the container\n")
}

#[test]
fn published_ports_serve_across_restarts_and_through_a_flood() {
    let programs = [&DOCKER_PROGRAMS[..], &["curl"]].concat();
    if !require::root() || !require::programs(&programs) {
        return;
    }
    let lab = Topology::for_floods();
    let docker = Dockerd::start(&lab.srv);
    let httpd = ["httpd", "-f", "-p", "80", "-h", "/www"];
    let publish = [&format!("{PAGE}:80"), &format!("{ECHO}:81")].map(|port| port.clone());
    let options = ["--publish", &publish[0], "--publish", &publish[1]];
    let web = docker.container("web", &options, &httpd);
    drop(docker.container("other", &[], &httpd));
    docker.put("web", "/www/large", &vec![7; LARGE]);
    let echo = TcpEcho::start(&web, 81);
    let guard = Instance::new(&lab.srv);
    guard.write_policy(&format!("[limits]\nout-of-state = \"{NONE}\"\n"));
    for port in [PAGE, ECHO] {
        drop(guard.guardctl(&["allow", &format!("{port}/tcp")]).ok());
    }
    let enable = ["enable", "--iface", "eth0", "--iface", "eth1", "--force"];
    drop(guard.guardctl(&enable).ok());
    let servers = [lab.srv.v4, lab.srv.v6];
    let mut sessions: Vec<Conversation> = servers
        .map(|to| {
            let connect = || TcpStream::connect(SocketAddr::new(to, ECHO));
            let stream = lab.friend.run(connect).expect("a connection");
            let pause = Duration::from_millis(20);
            Conversation::tcp_every(pause, format!("session with {to}"), stream, 64)
        })
        .into();
    Conversation::assert_go_on(&mut sessions);

    drop(docker.docker(&["restart", "--time", "0", "other"]));
    Conversation::assert_go_on(&mut sessions);
    for session in sessions {
        session.stop().assert_steady(Duration::from_secs(3));
    }
    assert_eq!(guard.counted().reason("out-of-state"), 0);
    drop(echo);

    drop(docker.docker(&["restart", "--time", "0", "web"]));
    for to in servers {
        until("a page of the container", || answers(&lab, to));
    }
    let _alone = alone();
    let flood = acks(&lab, &guard);
    for to in ["192.0.2.1", "[2001:db8:2::1]"] {
        let mut curl = lab.friend.command("curl");
        curl.args([
            "--silent",
            "--fail",
            "--max-time",
            "20",
            "--output",
            "/dev/null",
        ])
        .args(["--write-out", "%{size_download} in %{time_total} s"])
        .arg(format!("http://{to}:{PAGE}/large"));
        let ran = finish(&mut curl, 3 * PATIENCE).ok();
        println!("{to}: {}", ran.stdout);
        assert!(ran.stdout.starts_with(&format!("{LARGE} ")), "{ran}");
    }
    assert!(servers.iter().all(|to| answers(&lab, *to)));
    drop(flood);
}
