//! A server with a real dockerd and a real ufw, two published containers, and a friend who offers
//! names, pages and an echo.

use std::{
    net::{IpAddr, SocketAddr},
    thread,
    time::Duration,
};

use guard_tests::{
    lab::{
        Answer, Container, DOCKER_PROGRAMS, Dnsmasq, Dockerd, Host, Instance, Nginx, TcpEcho,
        Topology, UFW_PROGRAMS, UdpEcho, Ufw, finish, http_get,
    },
    require,
};

/// Published by the container `web`; the tests open and close it.
pub(crate) const WEB: u16 = 8080;
/// Published by the container `hidden`; no rule ever opens it.
pub(crate) const HIDDEN: u16 = 8081;
/// What a tunnel to a provider speaks, over UDP and TCP.
const TUNNEL: u16 = 7844;

pub(crate) struct Scene {
    pub(crate) ufw: Ufw,
    pub(crate) guard: Instance,
    pub(crate) docker: Dockerd,
    _servers: (Nginx, Dnsmasq, UdpEcho, TcpEcho),
    pub(crate) lab: Topology,
}

impl Scene {
    /// `None` when something is missing on this machine.
    pub(crate) fn new() -> Option<Self> {
        let programs = [
            &DOCKER_PROGRAMS[..],
            &UFW_PROGRAMS,
            &["dig", "dnsmasq", "nginx", "curl"],
        ];
        if !require::root() || !require::programs(&programs.concat()) {
            return None;
        }
        let lab = Topology::new();
        let scene = Self {
            ufw: Ufw::new(&lab.srv),
            guard: Instance::new(&lab.srv),
            docker: Dockerd::start(&lab.srv),
            _servers: (
                Nginx::start(&lab.friend),
                Dnsmasq::names(&lab.friend),
                UdpEcho::start(&lab.friend, TUNNEL),
                TcpEcho::start(&lab.friend, TUNNEL),
            ),
            lab,
        };
        for (name, port) in [("web", WEB), ("hidden", HIDDEN)] {
            let publish = format!("{port}:80");
            let serve = ["httpd", "-f", "-p", "80", "-h", "/www"];
            drop(
                scene
                    .docker
                    .container(name, &["--publish", &publish], &serve),
            );
        }
        Some(scene)
    }

    pub(crate) fn guardctl(&self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        drop(self.guard.guardctl(&words).ok());
    }

    /// Which published ports answer with the container's page must be as said, for both families.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &[(u16, bool)]) {
        let servers = [self.lab.srv.v4, self.lab.srv.v6];
        let asked = || {
            servers
                .iter()
                .flat_map(|to| expected.iter().map(move |it| (*to, *it)))
        };
        // Silence takes its time; all of them keep it together.
        let answers: Vec<bool> = thread::scope(|scope| {
            let ask = |(to, (port, _))| scope.spawn(move || is_open(&self.lab.attacker, to, port));
            let questions: Vec<_> = asked().map(ask).collect();
            let join =
                |question: thread::ScopedJoinHandle<'_, bool>| question.join().expect("a question");
            questions.into_iter().map(join).collect()
        });
        for ((to, (port, open)), answers) in asked().zip(answers) {
            assert_eq!(answers, open, "{to} port {port} answers");
        }
    }

    /// Names, pages, datagrams and connections, each by a real client inside the container.
    #[track_caller]
    pub(crate) fn expect_outbound(&self) {
        let inside = self.docker.running("web");
        for friend in [self.lab.friend.v4, self.lab.friend.v6] {
            expect_answers(&inside, friend);
            let url = match friend {
                IpAddr::V4(v4) => format!("http://{v4}/"),
                IpAddr::V6(v6) => format!("http://[{v6}]/"),
            };
            let mut curl = inside.command("curl");
            curl.args(["--silent", "--fail", "--max-time", "5", &url]);
            let page = finish(&mut curl, Duration::from_secs(20)).ok();
            assert_eq!(page.stdout, Nginx::BODY, "{url}");
        }
    }

    /// Tables, chains and rules of netfilter, without their counters.
    pub(crate) fn netfilter(&self) -> String {
        let mut nft = self.lab.srv.command("nft");
        nft.args(["--stateless", "list", "ruleset"]);
        finish(&mut nft, Duration::from_secs(20)).ok().stdout
    }

    /// A program inside the server that must succeed.
    #[track_caller]
    pub(crate) fn on_the_server(&self, line: &str) {
        let mut words = line.split(' ');
        let mut command = self.lab.srv.command(words.next().unwrap_or_default());
        drop(finish(command.args(words), Duration::from_secs(20)).ok());
    }
}

/// Does a published port answer with the container's page?
pub(crate) fn is_open(from: &Host, to: IpAddr, port: u16) -> bool {
    const PATIENCE: Duration = Duration::from_millis(1300);
    from.run(|| http_get(SocketAddr::new(to, port), PATIENCE))
        .is_ok_and(|page| page == "hello from the container\n")
}

#[track_caller]
fn expect_answers(inside: &Container, friend: IpAddr) {
    let mut dig = inside.command("dig");
    dig.args([
        "+short",
        "+tries=1",
        "+time=5",
        &format!("@{friend}"),
        Dnsmasq::NAME,
    ]);
    let answer = finish(&mut dig, Duration::from_secs(20)).ok();
    assert_eq!(answer.stdout, "192.0.2.80\n", "{answer}");
    assert_eq!(inside.ask_udp(friend, TUNNEL), Answer::Echo, "udp {friend}");
    assert_eq!(inside.ask_tcp(friend, TUNNEL), Answer::Echo, "tcp {friend}");
}
