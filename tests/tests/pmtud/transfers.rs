//! Ten megabytes each way, within the time that a working path takes.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{DOCKER_PROGRAMS, Dockerd, Namespace, Nginx, finish},
    require,
};

use super::scene::Scene;

/// Longest that a transfer may take. A path that does not work takes for ever.
const LIMIT: Duration = Duration::from_secs(5);
const SINK: u16 = 9100;

#[test]
fn the_server_sends_and_receives_through_a_narrow_link() {
    let Some(scene) = Scene::new() else { return };
    scene.enable();
    let pairs = [
        (scene.lab.srv.v4, scene.lab.friend.v4),
        (scene.lab.srv.v6, scene.lab.friend.v6),
    ];
    for (server, friend) in pairs {
        let before = scene.errors();
        download(&scene.lab.friend, server, 80);
        let between = scene.errors();
        assert!(between.0 > before.0, "no router had to say anything");

        forget_paths(&scene);
        upload(&scene.lab.srv, &scene.lab.friend, friend);
        let after = scene.errors();
        assert!(after.0 > between.0, "no router had to say anything");
        assert_eq!(after.1, 0, "errors about our own packets were dropped");
        forget_paths(&scene);
    }
}

#[test]
fn a_container_sends_and_receives_through_a_narrow_link() {
    if !require::programs(&DOCKER_PROGRAMS) {
        return;
    }
    let Some(scene) = Scene::new() else { return };
    let docker = Dockerd::start(&scene.lab.srv);
    let serve = ["httpd", "-f", "-p", "80", "-h", "/www"];
    let container = docker.container("web", &["--publish", "8080:80"], &serve);
    docker.put("web", "/www/large", &vec![0; Nginx::LARGE as usize]);
    scene.enable();
    let pairs = [
        (scene.lab.srv.v4, scene.lab.friend.v4),
        (scene.lab.srv.v6, scene.lab.friend.v6),
    ];
    for (server, friend) in pairs {
        let before = scene.errors();
        download(&scene.lab.friend, server, 8080);
        let between = scene.errors();
        assert!(between.0 > before.0, "no router had to say anything");
        container.ip("route flush cache");
        container.ip("-6 route flush cache");
        forget_paths(&scene);

        upload(&container, &scene.lab.friend, friend);
        let after = scene.errors();
        assert!(after.0 > between.0, "no router had to say anything");
        assert_eq!(after.1, 0, "errors about our own packets were dropped");
        forget_paths(&scene);
    }
}

/// What an earlier transfer has learned would spare a later one the errors.
fn forget_paths(scene: &Scene) {
    for host in [&scene.lab.srv, &scene.lab.friend] {
        host.ip("route flush cache");
        host.ip("-6 route flush cache");
    }
}

/// Fetches the large page from a server.
#[track_caller]
fn download(client: &Namespace, server: IpAddr, port: u16) {
    let url = format!("http://{}/large", SocketAddr::new(server, port));
    let mut curl = client.command("curl");
    curl.args([
        "--silent",
        "--fail",
        "--output",
        "/dev/null",
        "--max-time",
        "20",
    ]);
    curl.args(["--write-out", "%{size_download}", &url]);
    let ran = finish(&mut curl, Duration::from_secs(30));
    assert!(ran.code == Some(0) && ran.took < LIMIT, "{ran}");
    assert_eq!(ran.stdout, Nginx::LARGE.to_string(), "{url}");
    println!("{url} took {:?}", ran.took);
}

/// Sends as much to a host that counts it.
#[track_caller]
fn upload(client: &Namespace, host: &Namespace, to: IpAddr) {
    let listener = host.run(|| TcpListener::bind((to, SINK))).expect("a port");
    let counting = thread::spawn(move || count(&listener));
    let begin = Instant::now();
    let sent = client.run(|| send(SocketAddr::new(to, SINK)));
    let took = begin.elapsed();
    assert!(
        sent.is_ok() && took < LIMIT,
        "{to}: {sent:?} after {took:?}"
    );
    let counted = counting
        .join()
        .expect("the counter")
        .expect("everything sent");
    assert_eq!(counted, Nginx::LARGE, "{to}");
    println!("upload to {to} took {took:?}");
}

/// Sends everything and waits until the other end has counted it.
fn send(to: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, LIMIT)?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(&vec![0; Nginx::LARGE as usize])?;
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_exact(&mut [0])
}

fn count(listener: &TcpListener) -> io::Result<u64> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(LIMIT))?;
    let received = io::copy(&mut stream, &mut io::sink())?;
    stream.write_all(&[1])?;
    Ok(received)
}
