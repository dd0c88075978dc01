//! No open port at all: a client inside keeps one connection to its provider and serves through it.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use guard_tests::lab::{Answer, Nginx, http_get};

use super::scene::Scene;

/// Where the provider waits for the client.
const PROVIDER: u16 = 7845;
const PATIENCE: Duration = Duration::from_secs(5);
const REQUESTS: usize = 200;

#[test]
fn a_tunnel_serves_while_no_port_is_open() {
    let Some(scene) = Scene::new() else { return };
    let _site = Nginx::start(&scene.lab.srv);
    scene.enable();
    let status = scene.guard.guardctl(&["status", "--json"]).ok().json();
    assert_eq!(
        status["rules"].as_array().map(Vec::len),
        Some(0),
        "{status}"
    );

    for provider in [scene.lab.friend.v4, scene.lab.friend.v6] {
        let listener = scene
            .lab
            .friend
            .run(|| TcpListener::bind((provider, PROVIDER)).unwrap());
        let client = scene
            .lab
            .srv
            .spawn(move || serve(SocketAddr::new(provider, PROVIDER)));
        let (tunnel, _) = listener.accept().unwrap();
        tunnel.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answers = BufReader::new(tunnel.try_clone().unwrap());
        let mut tunnel = tunnel;

        for number in 0..REQUESTS {
            tunnel.write_all(b"GET /\n").unwrap();
            let mut page = String::new();
            answers.read_line(&mut page).unwrap();
            assert_eq!(page, Nginx::BODY, "request {number}");
        }

        drop((tunnel, answers));
        let served = client.join().unwrap().unwrap();
        assert_eq!(served, REQUESTS);
    }
    for to in [scene.lab.srv.v4, scene.lab.srv.v6] {
        for port in [80, PROVIDER] {
            let answer = scene.lab.attacker.ask_tcp(to, port);
            assert_eq!(answer, Answer::Silence, "{to} port {port}");
        }
    }
}

/// The client of the tunnel: fetches from the site beside it whatever it is asked for.
fn serve(provider: SocketAddr) -> io::Result<usize> {
    let site = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 80);
    let mut stream = TcpStream::connect_timeout(&provider, PATIENCE)?;
    let mut requests = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    let mut served = 0;
    while requests.read_line(&mut line)? > 0 {
        stream.write_all(http_get(site, PATIENCE)?.as_bytes())?;
        line.clear();
        served += 1;
    }
    Ok(served)
}
