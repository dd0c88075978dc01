//! Three servers, by TLS: the one that leads is killed, a host is cut off, and somebody else's servers are refused.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use guard_tests::{
    lab::{
        Certificates, FleetHost, FleetServers as _, NatsCluster, finish, guard_fleet, until, within,
    },
    require,
};
use guard_user::fleet::agent::simulation::Simulation;

fn cluster_of(hosts: &[&str]) -> Option<NatsCluster> {
    if !require::root() {
        return None;
    }
    let hosts: Vec<String> = hosts.iter().map(|host| format!("web/{host}")).collect();
    NatsCluster::start(&hosts)
}

fn cluster() -> Option<NatsCluster> {
    cluster_of(&["a", "b"])
}

#[test]
fn a_ban_reaches_the_other_host_while_nobody_leads_the_stream_and_is_stored_later() {
    let Some(mut cluster) = cluster() else {
        return;
    };
    let a = FleetHost::join(&cluster, "web", "a");
    let b = FleetHost::join(&cluster, "web", "b");
    let leads = cluster.leader().expect("a leader");
    cluster.kill(leads);
    a.with_attacker(&["ban", "--for", "1h"]);
    let begin = Instant::now();
    until("the ban to be in force on b", || {
        b.guard.banned().len() == 2
    });
    let took = begin.elapsed();
    println!("banned on a, in force on b after {took:?}, without a leader");
    b.until_dropped(true);
    // Servers choose anew after four seconds at the earliest.
    assert!(took < Duration::from_secs(3), "{took:?}");

    // It is in the stream, too: a host that begins anew hears of it, and of nothing else.
    let unstored = |host: &FleetHost| {
        let report = host.view().report.and_then(|report| report.nats);
        report.is_none_or(|nats| nats.unacknowledged > 0 || nats.published != 2)
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while unstored(&a) {
        assert!(Instant::now() < deadline, "{:?}", a.view());
        thread::sleep(Duration::from_millis(100));
    }
    assert!(cluster.leader().is_some_and(|next| next != leads));
    a.until_status(0);
    b.until_status(0);
    cluster.run(leads);
    a.with_attacker(&["unban"]);
    b.until_dropped(false);
}

#[test]
fn a_host_that_is_cut_off_says_so_and_has_everything_soon_after_its_return() {
    let Some(cluster) = cluster() else {
        return;
    };
    let relays = cluster.behind_relays();
    let a = FleetHost::join(&cluster, "web", "a");
    let b = FleetHost::join(&(&cluster, relays.as_slice()), "web", "b");
    let cut = |is_cut: bool| relays.iter().for_each(|relay| relay.cut(is_cut));
    let begin = Instant::now();
    cut(true);
    a.with_attacker(&["ban", "--for", "1h"]);
    drop(b.until_status(8).says("STALE"));
    let stale = begin.elapsed();
    assert!(b.guard.banned().is_empty(), "{:?}", b.guard.banned());
    // What it bans itself is for later.
    drop(b.guard.guardctl(&["ban", "11.0.0.7", "--for", "1h"]).ok());
    cut(false);
    let begin = Instant::now();
    until("both to have the bans of both", || {
        a.guard.banned().len() == 3 && b.guard.banned().len() == 3
    });
    println!(
        "STALE after {stale:?}, equal {:?} after its return",
        begin.elapsed()
    );
    assert!(stale < Duration::from_secs(11), "{stale:?}");
    b.until_dropped(true);
    b.until_status(0);
}

#[test]
fn servers_that_another_authority_vouches_for_are_refused() {
    let Some(cluster) = cluster() else {
        return;
    };
    let another = Certificates::make();
    let prepare = |ca: &std::path::Path| {
        let mut command = guard_fleet();
        command.args(["prepare", "--replicas", "3", "--server"]);
        command.arg(&cluster.urls()[0]).arg("--ca").arg(ca);
        command.arg("--key").arg(cluster.key("admin"));
        finish(&mut command, Duration::from_secs(20))
    };
    let ca = cluster.ca().expect("an authority");
    drop(prepare(&ca).ok().says("KV_guard is there"));
    drop(
        prepare(&another.path("ca.pem"))
            .exit(12)
            .says("certificate"),
    );
    assert_ne!(prepare(&another.path("nothing.pem")).code, Some(0));
}

#[test]
fn a_ban_is_heard_at_once_while_others_ban_all_the_time() {
    let names = ["h-0", "h-1", "h-2", "h-3"];
    let Some(cluster) = cluster_of(&[&["a"], &names[..]].concat()) else {
        return;
    };
    let a = FleetHost::join(&cluster, "web", "a");
    let settings = names.map(|name| cluster.settings("web", name));
    let simulation = Simulation::start(settings.to_vec());
    let hosts = simulation.hosts();
    until("the simulated hosts to hear each other", || {
        hosts.iter().all(|host| host.report().is_current)
    });
    let IpAddr::V4(attacker) = a.lab.attacker.v4 else {
        panic!("an IPv4 address");
    };
    let is_heard = AtomicBool::new(false);
    let took = thread::scope(|scope| {
        // One each 4 ms: more often than the daemon can be asked.
        scope.spawn(|| {
            for number in 0..2500 {
                if is_heard.load(Ordering::Relaxed) {
                    break;
                }
                let source = Ipv4Addr::from(0x2d00_0000 + number);
                hosts[number as usize % hosts.len()].daemon.ban(source, 60);
                thread::sleep(Duration::from_millis(4));
            }
        });
        thread::sleep(Duration::from_millis(500));
        let begin = Instant::now();
        a.with_attacker(&["ban", "--for", "1h"]);
        let heard = within(Duration::from_secs(8), || hosts[0].daemon.heard(attacker));
        is_heard.store(true, Ordering::Relaxed);
        heard.map(|at| at.saturating_duration_since(begin))
    });
    println!("banned on a, heard by another host after {took:?}, beside 250 bans a second");
    assert!(
        took.is_some_and(|took| took < Duration::from_secs(2)),
        "{took:?}"
    );
}
