//! The units of systemd: written, removed, enabled, and what systemd's own tools think of them.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command, time::Duration};

use guard_tests::{
    lab::{Answer, GuardDaemon, finish, guardctl_path, own_mounts, until},
    require,
};

use super::machine::{Machine, OPEN, POLICY};

const UNITS: [&str; 2] = ["guard-load.service", "guard.service"];
/// Of the process that asks for names, which has no folder of its own and no rights.
const NAMES: [&str; 2] = ["guard-names.socket", "guard-names.service"];

#[test]
fn units_are_written_once_removed_once_and_the_status_knows() {
    if !require::root() {
        return;
    }
    let machine = Machine::with(POLICY);
    let guard = &machine.guard;
    drop(guard.guardctl(&["enable"]).ok());
    let installed = |expected: bool| {
        let ran = guard.guardctl(&["status"]).ok();
        drop(ran.says(if expected {
            "After a reboot: guard-load.service is installed"
        } else {
            "After a reboot: NOT protected; `guardctl service install`"
        }));
        let json = guard.guardctl(&["status", "--json"]).ok().json();
        assert_eq!(json["boot"]["installed"], expected, "{json}");
        let code = if expected { 0 } else { 3 };
        drop(guard.guardctl(&["service", "status"]).exit(code));
    };
    installed(false);

    let ran = guard.guardctl(&["service", "install"]).ok();
    drop(ran.says("guard-load.service").says("nothing was started"));
    let folder = guard.folder().join("units");
    for unit in UNITS {
        let text = fs::read_to_string(folder.join(unit)).expect("a unit");
        let start = format!("\nExecStart={} ", guardctl_path().display());
        assert!(text.contains(&start), "{text}");
        let state = format!("\nEnvironment=GUARD_STATE={}\n", guard.state().display());
        assert!(text.contains(&state), "{text}");
        let mode = fs::metadata(folder.join(unit))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o644);
        assert!(text.contains("\nDocumentation=man:guardctl(1)\n"), "{text}");
    }
    // The manual that the units name, and a page of each command.
    let manual = fs::read_to_string(folder.join("man/man1/guardctl.1")).expect("a page");
    assert!(manual.contains(".TH guardctl 1"), "{manual}");
    for page in ["guardctl-ban.1", "guardctl-bans-import.1"] {
        assert!(folder.join("man/man1").join(page).exists(), "{page}");
    }
    for completion in [
        "bash-completion/completions/guardctl",
        "zsh/site-functions/_guardctl",
        "fish/vendor_completions.d/guardctl.fish",
    ] {
        let text = fs::read_to_string(folder.join(completion)).expect(completion);
        assert!(text.contains("GUARD_COMPLETE"), "{text}");
    }
    for schema in ["guard/guard.schema.json", "guard/jails.schema.json"] {
        let text = fs::read_to_string(folder.join(schema)).expect(schema);
        assert!(
            serde_json::from_str::<serde_json::Value>(&text).is_ok(),
            "{text}"
        );
    }
    let rule = fs::read_to_string(folder.join("75-guard.rules")).expect("a rule");
    let call = format!(" {} attach $env{{IFINDEX}}", guardctl_path().display());
    assert_eq!(rule.matches(&call).count(), 2, "{rule}");
    let state = format!(" GUARD_STATE={} ", guard.state().display());
    assert!(rule.contains(&state), "{rule}");
    installed(true);
    let ran = guard.guardctl(&["service", "install"]).ok();
    drop(ran.says("installed already"));

    drop(guard.guardctl(&["service", "remove"]).ok().says("removed"));
    installed(false);
    let ran = guard.guardctl(&["service", "remove"]).ok();
    drop(ran.says("no units are installed"));
    // Folders that other programs have, too, may stay; nothing is in them.
    for left in fs::read_dir(folder).unwrap() {
        let left = left.unwrap().path();
        assert_eq!(fs::read_dir(&left).unwrap().count(), 0, "{left:?}");
    }
}

/// A machine that systemd runs, as far as guardctl can see: a folder in /run and a program that
/// writes down how it is called, both in a mount namespace of its own.
#[test]
fn systemd_is_told_and_enable_offers_it() {
    if !require::root() || !require::program("unshare") {
        return;
    }
    const SCRIPT: &str = r#"set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
mount -t tmpfs tmpfs /etc/systemd/system
mkdir -p /etc/udev
mount -t tmpfs tmpfs /etc/udev
mkdir /etc/udev/rules.d
mkdir -p /usr/local/share
mount -t tmpfs tmpfs /usr/local/share
PATH=$1:$PATH
shift
GUARDCTL=$1
unset GUARD_UNITS
"$GUARDCTL" enable </dev/null
echo "-- yes"
"$GUARDCTL" enable --yes </dev/null
ls /etc/systemd/system /etc/udev/rules.d
"$GUARDCTL" status
echo "-- again"
"$GUARDCTL" enable --yes </dev/null
"$GUARDCTL" service remove
ls /etc/systemd/system
"#;
    let machine = Machine::with(POLICY);
    let bin = machine.guard.folder().join("bin");
    fs::create_dir(&bin).expect("a folder");
    let calls = machine.guard.folder().join("calls");
    let fake = bin.join("systemctl");
    let text = format!("#!/bin/sh\necho \"$@\" >>{}\n", calls.display());
    fs::write(&fake, text).expect("a program");
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).expect("a mode");

    let net = format!("--net={}", machine.lab.srv.path().display());
    let mut command = Command::new("nsenter");
    command
        .arg(net)
        .args(own_mounts(SCRIPT))
        .arg(&bin)
        .arg(guardctl_path())
        .envs(machine.guard.environment())
        .env_remove("SSH_CONNECTION");
    let ran = finish(&mut command, Duration::from_secs(30)).ok();

    let (without, with) = ran.stdout.split_once("-- yes").expect("two parts");
    assert!(!without.contains("installed"), "{ran}");
    let hint = "after a reboot guard is NOT in force: `guardctl service install`";
    assert_eq!(ran.stderr.matches(hint).count(), 1, "{ran}");
    assert!(
        with.contains("After a reboot: guard-load.service is installed"),
        "{ran}"
    );
    let removed = with.split_once("-- again").expect("three parts").1;
    assert!(removed.contains("removed /etc/systemd/system/guard.service"));
    assert_eq!(
        fs::read_to_string(&calls).expect("calls"),
        "daemon-reload\nenable guard-load.service\nenable --now guard.service\n\
         disable --now guard.service\ndisable guard-load.service\n\
         stop guard-names.socket guard-names.service\ndaemon-reload\n"
    );
}

#[test]
fn systemd_takes_the_units_and_finds_little_to_blame() {
    if !require::root() || !require::program("systemd-analyze") {
        return;
    }
    /// What systemd calls "OK", with room for a rule that a later version adds.
    const MOST_EXPOSED: f64 = 2.0;
    let machine = Machine::with(POLICY);
    drop(machine.guard.guardctl(&["service", "install"]).ok());
    let folder = machine.guard.folder().join("units");
    let paths = [UNITS[0], UNITS[1], NAMES[1], NAMES[0]].map(|unit| folder.join(unit));
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).args(&paths);
    let ran = finish(&mut verify, Duration::from_secs(30)).ok();
    for unit in UNITS.into_iter().chain(NAMES) {
        let complaints: Vec<&str> = ran.stderr.lines().filter(|l| l.contains(unit)).collect();
        assert_eq!(complaints, Vec::<&str>::new(), "{ran}");
    }
    // A socket has no sandbox.
    let fleet = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../packaging/systemd/guard-fleet.service"
    );
    for path in paths[..3].iter().chain([&PathBuf::from(fleet)]) {
        let mut security = Command::new("systemd-analyze");
        security
            .args(["security", "--offline=true", "--no-pager"])
            .arg(path);
        let ran = finish(&mut security, Duration::from_secs(30)).ok();
        let exposed: f64 = ran
            .stdout
            .lines()
            .find(|line| line.contains("Overall exposure level"))
            .and_then(|line| line.split_whitespace().find_map(|word| word.parse().ok()))
            .unwrap_or_else(|| panic!("no level\n{ran}"));
        println!("{}: {exposed}", path.display());
        assert!(exposed <= MOST_EXPOSED, "{ran}");
    }
}

/// What the units leave of root's capabilities is enough for what they start.
#[test]
fn the_units_capabilities_suffice() {
    if !require::root() || !require::program("setpriv") {
        return;
    }
    let machine = Machine::with(POLICY);
    let guard = &machine.guard;
    drop(guard.guardctl(&["enable"]).ok());
    drop(guard.guardctl(&["service", "install"]).ok());
    let behind = UNITS.map(|unit| {
        let text = fs::read_to_string(guard.folder().join("units").join(unit)).expect("a unit");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("CapabilityBoundingSet="))
            .expect("a set")
            .to_lowercase();
        let set: Vec<String> = line
            .split(' ')
            .map(|name| name.replace("cap_", "+"))
            .collect();
        format!("--bounding-set=-all,{}", set.join(","))
    });
    machine.reboot();

    let ran = guard.guardctl_behind(&["setpriv", &behind[0]], &["load"]);
    drop(ran.ok().says("eth0: attached"));
    machine.assert_filters();
    let mut command = guard.command_behind(&["setpriv", &behind[1]], &["daemon"]);
    let daemon = GuardDaemon::start_as(guard, &mut command);

    machine.lab.replace_server_interface();

    daemon.says("eth0: protected again after");
    until("the network", || machine.ask(OPEN) == Answer::Echo);
    machine.assert_filters();
    machine.lab.srv.ip("addr add 192.0.2.77/24 dev eth0");
    daemon.says("addresses or interfaces changed");
    guard.write_policy(&POLICY.replace("1000", "3000"));
    daemon.signal(libc::SIGHUP);
    daemon.says("info: applied");
}
