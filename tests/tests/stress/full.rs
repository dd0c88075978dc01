//! A17: a disk without room lets nobody in who was shut out, and when there is room again, bans go on.

use std::{ffi::CString, fs, io::Write as _, os::unix::ffi::OsStrExt as _, path::PathBuf};

use guard_tests::{
    lab::{GuardDaemon, Instance, until},
    sshd_log,
};

use super::scene::{JAIL, Scene};

/// A file system in memory in place of a folder; gone with the value.
struct Disk(PathBuf);

impl Disk {
    fn mount(guard: &Instance) -> Self {
        let path = guard.state();
        let folder = CString::new(path.as_os_str().as_bytes()).expect("a path");
        // SAFETY: terminated strings, as mount(2) wants them.
        let result = unsafe {
            libc::mount(
                c"tmpfs".as_ptr(),
                folder.as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                c"size=12m".as_ptr().cast(),
            )
        };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        Self(path)
    }

    /// Takes all the room that there is.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).expect("a file");
        for bytes in [65_536, 1] {
            while file.write_all(&vec![7; bytes]).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let Ok(folder) = CString::new(self.0.as_os_str().as_bytes()) else {
            return;
        };
        // SAFETY: a terminated string and an integer.
        unsafe { libc::umount2(folder.as_ptr(), libc::MNT_DETACH) };
    }
}

#[test]
fn without_room_bans_stay_and_with_room_they_go_on() {
    let mut disk = None;
    let Some(scene) = Scene::prepared(JAIL, |guard| disk = Some(Disk::mount(guard))) else {
        return;
    };
    let disk = disk.expect("mounted");
    let daemon = GuardDaemon::start(&scene.guard);
    let attacker = scene.lab.attacker.v4.to_string();
    scene.fail(&attacker, 5);
    scene.until_banned(&daemon, &attacker);

    disk.fill();
    // Many, for there is room left inside of the files.
    let mut log = scene.open_log();
    for number in 0..30_000_u32 {
        let [_, _, c, d] = number.to_be_bytes();
        let lines = sshd_log::failures(&format!("198.18.{c}.{d}"), 5);
        log.write_all(lines.as_bytes()).expect("written");
    }
    daemon.says("nothing can be banned");
    daemon.says("No space left on device");
    assert!(!scene.is_attacker_let_in(), "who was banned stays so");
    scene.assert_friend_gets_in();
    drop(scene.guardctl("status").ok());

    disk.empty();
    scene.fail("203.0.113.77", 5);
    scene.until_banned(&daemon, "203.0.113.77");
    until(
        &format!("the problem to be over; {}", daemon.said()),
        || {
            let status = scene.guardctl("jail status --json").json();
            status["problems"].as_array().is_some_and(Vec::is_empty)
        },
    );
    assert!(!scene.is_attacker_let_in(), "who was banned stays so");
    assert_eq!(scene.aside(), Vec::<String>::new());
    drop(daemon);
    // What was saved can be read.
    let daemon = GuardDaemon::start(&scene.guard);
    scene.fail("203.0.113.78", 5);
    scene.until_banned(&daemon, "203.0.113.78");
    assert!(!scene.is_attacker_let_in(), "who was banned stays so");
}
