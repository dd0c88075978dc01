//! Whatever has become of the store of bans, after a reboot nobody is let in who was shut out.

use std::{ffi::CString, fs, os::unix::ffi::OsStrExt as _, path::Path, process::Command};

use guard_tests::{
    lab::{Answer, GuardDaemon, until},
    require,
};

use super::machine::Machine;

const POLICY: &str = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 1000\n";

/// guard on, the attacker banned for good, and a copy of the store beside it.
fn machine() -> Machine {
    let machine = Machine::with(POLICY);
    drop(machine.guard.guardctl(&["enable"]).ok());
    let attacker = machine.lab.attacker.v4.to_string();
    drop(
        machine
            .guard
            .guardctl(&["ban", &attacker, "--permanent"])
            .ok(),
    );
    let daemon = GuardDaemon::start(&machine.guard);
    let copy = machine.guard.state().join("bans.copy");
    until("the daemon to copy the store", || copy.exists());
    drop(daemon);
    machine
}

fn is_let_in(machine: &Machine) -> bool {
    machine.lab.attacker.ask_udp(machine.lab.srv.v4, 1000) == Answer::Echo
}

fn run(program: &str, path: &Path) {
    let ran = Command::new(program).arg(path).status();
    assert!(ran.expect(program).success());
}

#[test]
fn a_store_that_is_gone_or_no_file_gives_way_to_its_copy() {
    if !require::root() {
        return;
    }
    type Loss = (&'static str, fn(&Path), &'static str);
    let losses: [Loss; 6] = [
        (
            "empty",
            |path| fs::write(path, "").expect("emptied"),
            "damaged-",
        ),
        ("gone", |_| {}, "was gone"),
        ("a pipe", |path| run("mkfifo", path), "damaged-"),
        (
            "a folder",
            |path| fs::create_dir(path).expect("a folder"),
            "damaged-",
        ),
        (
            "a link to nothing",
            |path| std::os::unix::fs::symlink("/nonexistent/bans", path).expect("a link"),
            "damaged-",
        ),
        (
            "a device",
            |path| std::os::unix::fs::symlink("/dev/null", path).expect("a link"),
            "damaged-",
        ),
    ];
    let machine = machine();
    let store = machine.guard.state().join("bans.redb");
    for (case, lose, named) in losses {
        machine.reboot();
        fs::remove_file(&store).expect("the store");
        lose(&store);

        let ran = machine.guard.guardctl(&["load"]).ok();

        let ran = ran.says(named).says("its copy from");
        println!("{case}: {ran}");
        assert!(!is_let_in(&machine), "{case}");
        // The daemon makes no copy of what has lost its content.
        let daemon = GuardDaemon::start(&machine.guard);
        daemon.says("protected");
        drop(daemon);
        assert_eq!(machine.guard.banned(), ["203.0.113.66"], "{case}");
    }
}

#[test]
fn enable_reads_the_copy_as_well_and_a_copy_that_is_none_is_put_aside() {
    if !require::root() {
        return;
    }
    let machine = machine();
    let state = machine.guard.state();
    drop(machine.guard.guardctl(&["disable"]).ok());
    fs::remove_file(state.join("bans.redb")).expect("the store");
    let ran = machine.guard.guardctl(&["enable"]).ok();
    drop(ran.says("its copy from"));
    assert!(!is_let_in(&machine));

    drop(machine.guard.guardctl(&["disable"]).ok());
    for name in ["bans.redb", "bans.copy"] {
        fs::remove_file(state.join(name)).expect("a file");
        run("mkfifo", &state.join(name));
    }
    let ran = machine.guard.guardctl(&["enable"]).ok();
    drop(ran.says("damaged-"));
    let attacker = machine.lab.attacker.v4.to_string();
    drop(machine.guard.guardctl(&["ban", &attacker]).ok());
    assert!(!is_let_in(&machine));
}

/// A file system of its own for the state folder, with what was in it; gone with the value.
struct Disk(CString);

impl Disk {
    fn under(folder: &Path) -> Self {
        let files: Vec<_> = fs::read_dir(folder)
            .expect("the state")
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), fs::read(path).expect("a file")))
            .collect();
        let disk = Self(CString::new(folder.as_os_str().as_bytes()).expect("a path"));
        disk.mount(0, Some(c"size=12m"));
        for (path, bytes) in files {
            fs::write(path, bytes).expect("copied");
        }
        disk
    }

    fn mount(&self, flags: libc::c_ulong, options: Option<&std::ffi::CStr>) {
        let options = options.map_or(std::ptr::null(), std::ffi::CStr::as_ptr);
        // SAFETY: terminated strings or null, as mount(2) wants them.
        let result = unsafe {
            libc::mount(
                c"tmpfs".as_ptr(),
                self.0.as_ptr(),
                c"tmpfs".as_ptr(),
                flags,
                options.cast(),
            )
        };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // SAFETY: a terminated string and an integer.
        unsafe { libc::umount2(self.0.as_ptr(), libc::MNT_DETACH) };
    }
}

#[test]
fn a_state_folder_that_cannot_be_written_is_read() {
    if !require::root() {
        return;
    }
    for (case, is_store_there) in [
        ("read-only", true),
        ("read-only, and only the copy is left", false),
        ("full", true),
        ("full, and only the copy is left", false),
    ] {
        let machine = machine();
        let state = machine.guard.state();
        machine.reboot();
        if !is_store_there {
            fs::remove_file(state.join("bans.redb")).expect("the store");
        }
        // Another boot: every end has to be written anew.
        let disk = Disk::under(&state);
        if case.starts_with("full") {
            fs::write(state.join("filler"), vec![7; 16 << 20]).expect_err("no room");
        } else {
            disk.mount(libc::MS_REMOUNT | libc::MS_RDONLY, None);
        }

        let ran = machine.guard.guardctl(&["load"]).ok();

        println!("{case}: {ran}");
        assert!(!is_let_in(&machine), "{case}");
        drop(machine.guard.guardctl(&["status"]).ok());
        drop(machine.guard.guardctl(&["ban", "198.18.0.1"]).exit(1));
        assert!(!is_let_in(&machine), "{case}");
        drop(disk);
    }
}
