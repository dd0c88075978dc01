//! A server with echoes on some ports, two clients who try all of them over both families, and guard with the policy of
//! an import.

use std::thread;

use guard_tests::{
    lab::{Answer, Host, Instance, Ran, TcpEcho, Topology, UdpEcho},
    require,
};

pub(crate) const TCP: [u16; 6] = [22, 25, 80, 443, 2222, 9000];
pub(crate) const UDP: [u16; 2] = [53, 5000];

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    _echoes: (Vec<TcpEcho>, Vec<UdpEcho>),
    pub(crate) lab: Topology,
}

/// What was tried, and whether it was answered.
type Reached = Vec<(String, bool)>;

impl Scene {
    /// `None` when one of these programs is missing on this machine.
    pub(crate) fn new(programs: &[&str]) -> Option<Self> {
        if !require::root() || !require::programs(programs) {
            return None;
        }
        let lab = Topology::new();
        let tcp = TCP.map(|port| TcpEcho::start(&lab.srv, port));
        let udp = UDP.map(|port| UdpEcho::start(&lab.srv, port));
        Some(Self {
            guard: Instance::new(&lab.srv),
            _echoes: (tcp.into(), udp.into()),
            lab,
        })
    }

    /// A command in the server's namespace, which must succeed.
    #[track_caller]
    pub(crate) fn on_server(&self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let ran = self.lab.srv.command(words[0]).args(&words[1..]).output();
        let ran = ran.expect("a program");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{line}: {said}");
    }

    /// Who reaches what.
    pub(crate) fn reached(&self) -> Reached {
        let clients = [&self.lab.friend, &self.lab.attacker];
        thread::scope(|scope| {
            let asked: Vec<_> = clients
                .iter()
                .flat_map(|client| [(*client, true), (*client, false)])
                .flat_map(|(client, is_v4)| self.questions(client, is_v4))
                .map(|(what, ask)| scope.spawn(move || (what, ask())))
                .collect();
            asked
                .into_iter()
                .map(|asked| asked.join().expect("an answer"))
                .collect()
        })
    }

    fn questions<'s>(
        &'s self,
        client: &'s Host,
        is_v4: bool,
    ) -> Vec<(String, Box<dyn FnOnce() -> bool + Send + 's>)> {
        let server = if is_v4 {
            self.lab.srv.v4
        } else {
            self.lab.srv.v6
        };
        let who = |what: &str| format!("{} to {server} {what}", client.v4);
        let mut all: Vec<(String, Box<dyn FnOnce() -> bool + Send>)> = Vec::new();
        for port in TCP {
            let ask = move || client.ask_tcp(server, port) == Answer::Echo;
            all.push((who(&format!("{port}/tcp")), Box::new(ask)));
        }
        for port in UDP {
            let ask = move || client.ask_udp(server, port) == Answer::Echo;
            all.push((who(&format!("{port}/udp")), Box::new(ask)));
        }
        all.push((who("ping"), Box::new(move || client.can_ping(server))));
        all
    }

    /// Imports, and exits with this code; the comparison that it makes must find nothing that is let in beyond.
    #[track_caller]
    pub(crate) fn import(&self, words: &[&str], exit: i32) -> Ran {
        let json = [&["--json", "import"][..], words].concat();
        let ran = self.guard.guardctl(&json).exit(exit);
        assert_eq!(ran.json()["looser"], 0, "{ran}");
        assert_eq!(ran.json()["written"], true, "{ran}");
        ran
    }

    /// guard alone, with the policy that was imported.
    #[track_caller]
    pub(crate) fn enable(&self) {
        let enable = ["enable", "--iface", "eth0", "--force", "--yes"];
        drop(self.guard.guardctl(&enable).ok());
    }
}

/// Both sides must have let in the same, and some of it.
#[track_caller]
pub(crate) fn assert_same(theirs: &Reached, ours: &Reached, policy: &str) {
    let differ: Vec<_> = theirs
        .iter()
        .zip(ours)
        .filter(|(one, two)| one != two)
        .collect();
    assert!(differ.is_empty(), "theirs, ours: {differ:#?}\n{policy}");
    let open = theirs.iter().filter(|(_, is_open)| *is_open).count();
    assert!(open > 0 && open < theirs.len(), "{theirs:#?}");
}
