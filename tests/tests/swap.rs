//! A13: a policy is in force as a whole or not at all.

use std::{collections::BTreeSet, fs};

use guard_tests::{
    lab::{Answer, Capture, Dump, Instance, Marked, Topology, UdpEcho},
    require,
};

/// Policy A opens the first and only that, policy B the second and only that.
const PORTS: [u16; 2] = [1000, 2000];
const RELOADS: usize = 100;

fn policy(port: u16) -> String {
    // Nobody listens there, and a ceiling would drop what is to be counted.
    format!(
        "default = \"deny\"\n\n[limits]\nceiling = \"off\"\n\n[[rule]]\naction = \"allow\"\nport = {port}\n"
    )
}

/// What a command must not have touched: generation, rules, files and pins.
fn state(guard: &Instance, lab: &Topology) -> Dump {
    let mut state = guard.dump(&lab.srv);
    let status = guard.guardctl(&["status", "--json"]).ok().json();
    for key in ["generation", "rules", "interfaces", "default"] {
        state.insert(key.to_owned(), status[key].to_string());
    }
    state
}

#[test]
fn packets_see_each_reload_as_one_change_and_never_half_of_it() {
    if !require::root() {
        return;
    }
    let lab = Topology::new();
    let guard = Instance::new(&lab.srv);
    guard.write_policy(&policy(PORTS[0]));
    drop(guard.guardctl(&["enable", "--iface", "eth0"]).ok());
    // `enable` writes the interface into the policy: both texts must have it.
    let texts = [0, 1].map(|index| {
        guard
            .policy()
            .replace(&PORTS[0].to_string(), &PORTS[index].to_string())
    });
    assert_ne!(texts[0], texts[1]);
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get().min(2)) as u8;
    let capture = Capture::start(&lab.srv, "eth0");
    let streams: Vec<Marked> = (0..cpus)
        .map(|cpu| Marked::start(&lab, cpu, PORTS))
        .collect();

    streams.iter().for_each(Marked::wait_for_more);
    for reload in 1..=RELOADS {
        guard.write_policy(&texts[reload % 2]);
        drop(guard.guardctl(&["reload"]).ok());
        streams.iter().for_each(Marked::wait_for_more);
    }

    let sent: Vec<(u8, u32)> = streams
        .into_iter()
        .map(|stream| (stream.stream(), stream.stop()))
        .collect();
    let seen = capture.stop();
    for (stream, sent) in sent {
        let delivered = Marked::numbers(stream, &seen);
        let changes = changes(&delivered, sent);
        assert_eq!(
            changes, RELOADS,
            "changes of policy that stream {stream} of {sent} saw"
        );
        println!("stream {stream}: {sent} packets, {changes} changes");
    }
}

/// How often the policy changed between two packets. Policy A delivers the even numbers and no odd
/// one, policy B the reverse; a verdict that mixes them, or a lost packet, looks like two changes.
fn changes(delivered: &BTreeSet<u32>, sent: u32) -> usize {
    let policies_seen: Vec<bool> = (0..sent)
        .map(|number| delivered.contains(&number) == number.is_multiple_of(2))
        .collect();
    policies_seen
        .windows(2)
        .filter(|pair| pair[0] != pair[1])
        .count()
}

/// guard with port 1000 open, and an echo server behind it.
fn running() -> (UdpEcho, Instance, Topology) {
    let lab = Topology::new();
    let guard = Instance::new(&lab.srv);
    guard.write_policy(&policy(PORTS[0]));
    drop(guard.guardctl(&["enable", "--iface", "eth0"]).ok());
    (UdpEcho::start(&lab.srv, PORTS[0]), guard, lab)
}

#[test]
fn wrong_files_leave_the_policy_in_force() {
    if !require::root() {
        return;
    }
    let (_echo, guard, lab) = running();
    let wrong = [
        "[[rule]]",
        "[[rule]]\naction = \"allow\"\nport = 70000",
        "[[rule]]\naction = \"allow\"\nport = \"no-such-service\"",
        "[[rule]]\naction = \"permit\"\nport = 22",
        "[[rule]]\naction = \"allow\"\nport = 22\nfrom = \"1.2.3\"",
        "[[rule]]\naction = \"allow\"\nport = 22\nfrom = \"@nobody\"",
        "[[rule]]\naction = \"allow\"\nport = 22\nprot = \"tcp\"",
        "[[rule]]\naction = \"allow\"\nport = 1000",
        "colour = \"red\"",
        "default = \"maybe\"",
        "[[rule]\n",
        "\u{0}",
        "= = =",
    ];
    let extra = guard.etc().join("guard.d/10-extra.toml");
    fs::create_dir(guard.etc().join("guard.d")).unwrap();
    let before = state(&guard, &lab);

    for text in wrong {
        fs::write(&extra, text).unwrap();
        let ran = guard.guardctl(&["reload"]).exit(5);
        assert!(ran.stderr.contains("10-extra.toml"), "{ran}");
        fs::remove_file(&extra).unwrap();
        assert_eq!(state(&guard, &lab), before, "{text}");
        assert_eq!(
            lab.friend.ask_udp(lab.srv.v4, PORTS[0]),
            Answer::Echo,
            "{text}"
        );
    }
}

#[test]
fn every_prefix_of_a_valid_file_is_applied_as_a_whole_or_not_at_all() {
    if !require::root() {
        return;
    }
    let (_echo, guard, lab) = running();
    let text = "# more\n[sets]\noffice = [\"10.0.0.0/8\"]\n\n[[rule]]\naction = \"allow\"\n\
                port = [22, 443]\nproto = \"tcp\"\nfrom = \"@office\"\ncomment = \"x\"\n\n\
                [[rule]]\naction = \"deny\"\nfrom = \"203.0.113.0/24\"\n";
    fs::create_dir(guard.etc().join("guard.d")).unwrap();
    let extra = guard.etc().join("guard.d/10-extra.toml");
    fs::write(&extra, text).unwrap();
    drop(guard.guardctl(&["check"]).ok());
    let (mut applied, mut refused) = (0, 0);

    for end in 0..text.len() {
        let status = |guard: &Instance| guard.guardctl(&["status", "--json"]).ok().json();
        let before = status(&guard);
        fs::write(&extra, &text[..end]).unwrap();
        let ran = guard.guardctl(&["reload"]);
        let after = status(&guard);
        let generation = |status: &serde_json::Value| status["generation"].as_u64().unwrap();
        if ran.code == Some(0) {
            assert_eq!(generation(&after), generation(&before) + 1, "{ran}");
            applied += 1;
        } else {
            let ran = ran.exit(5);
            assert_eq!(generation(&after), generation(&before), "{ran}");
            assert_eq!(after["rules"], before["rules"], "{ran}");
            refused += 1;
        }
    }

    assert!(
        applied > 5 && refused > 50,
        "{applied} applied, {refused} refused"
    );
    assert_eq!(lab.friend.ask_udp(lab.srv.v4, PORTS[0]), Answer::Echo);
}

/// Shell that changes what guardctl sees of its folders, in a mount namespace of its own.
const PRIVATELY: [&str; 6] = ["unshare", "--mount", "--propagation", "private", "sh", "-c"];

#[test]
fn a_change_that_cannot_be_saved_is_not_made() {
    if !require::root() {
        return;
    }
    let obstacles = [
        (
            "GUARD_ETC",
            "mount --bind $GUARD_ETC $GUARD_ETC && mount -o remount,bind,ro $GUARD_ETC",
        ),
        (
            "GUARD_STATE",
            "mount --bind $GUARD_STATE $GUARD_STATE && mount -o remount,bind,ro $GUARD_STATE",
        ),
        (
            "a full disk",
            "cp $GUARD_ETC/guard.toml $GUARD_RUN/copy && mount -t tmpfs -o size=8k tmpfs $GUARD_ETC \
             && cp $GUARD_RUN/copy $GUARD_ETC/guard.toml && rm $GUARD_RUN/copy \
             && { head -c 100000 /dev/zero >$GUARD_ETC/full 2>/dev/null || true; }",
        ),
    ];
    let (_echo, guard, lab) = running();
    let before = state(&guard, &lab);

    for (name, obstacle) in obstacles {
        let script = format!("set -e; {obstacle}; exec \"$@\"");
        let launcher = [PRIVATELY.as_slice(), &[&script, "sh"]].concat();
        let ran = guard
            .guardctl_behind(&launcher, &["insert", "1", "deny", "198.51.100.10"])
            .exit(1);
        assert!(ran.stderr.contains("help: "), "{name}: no way out\n{ran}");
        assert_eq!(state(&guard, &lab), before, "{name}\n{ran}");
        assert_eq!(
            lab.friend.ask_udp(lab.srv.v4, PORTS[0]),
            Answer::Echo,
            "{name}"
        );
    }

    drop(
        guard
            .guardctl(&["insert", "1", "deny", "198.51.100.10"])
            .ok(),
    );
    assert_eq!(lab.friend.ask_udp(lab.srv.v4, PORTS[0]), Answer::Silence);
}

#[test]
fn a_change_whose_file_cannot_be_replaced_is_undone() {
    if !require::root() || !require::program("chattr") {
        return;
    }
    let (_echo, guard, lab) = running();
    let _closed = UdpEcho::start(&lab.srv, PORTS[1]);
    // So many prefixes that the policy needs larger maps than those in place.
    let many: String = (0..30_000u32)
        .map(|n| format!("10.{}.{}.{}/32\n", n >> 13, n >> 5 & 255, n & 31 | 1))
        .collect();
    fs::write(guard.etc().join("many.txt"), many).unwrap();
    guard.write_policy(&(guard.policy() + "\n[sets]\nmany = { file = \"many.txt\" }\n"));
    drop(guard.guardctl(&["reload"]).ok());

    for rule in [
        "insert 1 deny from 198.51.100.10",
        "insert 1 deny from @many",
    ] {
        let before = state(&guard, &lab);
        let file = Immutable::new(guard.etc().join("guard.toml"));
        let ran = guard.guardctl(&rule.split(' ').collect::<Vec<_>>());
        drop(file);

        assert!(matches!(ran.code, Some(1 | 4)), "{ran}");
        assert_eq!(
            lab.friend.ask_udp(lab.srv.v4, PORTS[0]),
            Answer::Echo,
            "{ran}"
        );
        assert_eq!(
            lab.friend.ask_udp(lab.srv.v4, PORTS[1]),
            Answer::Silence,
            "{ran}"
        );
        let after = state(&guard, &lab);
        for key in ["generation", "rules"] {
            assert_eq!(after[key], before[key], "{ran}");
        }
    }
}

/// A file that nobody may replace, as long as the value lives.
struct Immutable(std::path::PathBuf);

impl Immutable {
    fn new(path: std::path::PathBuf) -> Self {
        let set = std::process::Command::new("chattr")
            .arg("+i")
            .arg(&path)
            .output()
            .expect("chattr");
        assert!(set.status.success(), "{set:?}");
        Self(path)
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let unset = std::process::Command::new("chattr")
            .arg("-i")
            .arg(&self.0)
            .output();
        assert!(
            unset.is_ok_and(|unset| unset.status.success()),
            "{}",
            self.0.display()
        );
    }
}

#[test]
fn check_and_dry_runs_touch_nothing() {
    if !require::root() {
        return;
    }
    let (_echo, guard, lab) = running();
    let file = guard.folder().join("candidate.toml");
    fs::write(&file, policy(PORTS[1])).unwrap();
    let before = state(&guard, &lab);

    let file = file.display().to_string();
    let commands: [&[&str]; 8] = [
        &["check"],
        &["check", &file],
        &["reload", "--dry-run"],
        &["allow", "22/tcp", "--dry-run"],
        &["delete", "1", "--dry-run"],
        &["default", "allow", "--dry-run"],
        &["enable", "--dry-run"],
        &["disable", "--dry-run"],
    ];
    for command in commands {
        drop(guard.guardctl(command).ok());
        assert_eq!(state(&guard, &lab), before, "{command:?}");
    }
}
