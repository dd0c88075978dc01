//! The daemon may not look into other processes, and shuts nobody out for that.

use guard_tests::{
    lab::{Answer, GuardDaemon, Instance, Sshd, TcpEcho, Topology},
    require,
};

/// What the unit leaves of root's capabilities.
const CAPABILITIES: &str = "--bounding-set=-all,+bpf,+chown,+net_admin,+perfmon";
const PORT: u16 = 2222;

fn policy(ports: &str) -> String {
    format!(
        "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nproto = \"tcp\"\nport = {ports}\n"
    )
}

#[test]
fn a_reload_by_signal_does_not_close_the_port_of_a_session_wherever_sshd_listens() {
    let programs = ["sshd", "ssh", "ssh-keygen", "setpriv"];
    if !require::root() || !require::programs(&programs) {
        return;
    }
    let lab = Topology::new();
    let guard = Instance::new(&lab.srv);
    guard.write_policy(&policy("[80, 2222]"));
    drop(guard.guardctl(&["enable"]).ok());
    let sshd = Sshd::on_port(&lab.srv, PORT);
    let _web = TcpEcho::start(&lab.srv, 80);
    let mut session = sshd.session(&lab.friend, lab.srv.v4);
    let mut command = guard.command_behind(&["setpriv", CAPABILITIES], &["daemon"]);
    let daemon = GuardDaemon::start_as(&guard, &mut command);

    guard.write_policy(&policy("80"));
    daemon.signal(libc::SIGHUP);

    daemon.says("error: reload: somebody may be logged in from 198.51.100.10");
    daemon.says("`guardctl reload` as root");
    daemon.says("the policy in force stays");
    assert!(session.answers(), "nothing is cut");
    let mut again = sshd.session(&lab.friend, lab.srv.v4);
    assert!(again.answers(), "the operator can come back");
    drop((session, again));
    // As root it is known whose session it is, and that nobody has one.
    assert_eq!(lab.friend.ask_tcp(lab.srv.v4, 80), Answer::Echo);
    guard_tests::lab::until("the sessions to end", || {
        guard.guardctl(&["reload"]).code == Some(0)
    });
    assert_eq!(lab.friend.ask_tcp(lab.srv.v4, PORT), Answer::Silence);
}
