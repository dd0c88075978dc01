//! The program of IPv6 stays where frames are handed to it, whatever happens to commands.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
    path::{Path, PathBuf},
};

use aya::maps::MapData;
use guard_common::abi::{ABI_VERSION, form};
use guard_tests::{lab::Instance, require};
use guard_user::layout::pin_folder;

use super::scene::{Scene, policy};

#[test]
fn the_program_of_other_forms_outlives_every_command() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();
    let first = places(&only_pin(&scene.guard));
    assert!(first.iter().all(Option::is_some), "{first:?}");

    // A change that stays in the same tables leaves it, one that needs larger ones exchanges it.
    scene.guard.write_policy(&policy(40));
    drop(scene.guard.guardctl(&["reload"]).ok());
    assert_eq!(places(&only_pin(&scene.guard)), first);
    scene.guard.write_policy(&policy(4000));
    drop(scene.guard.guardctl(&["reload"]).ok());
    let second = places(&only_pin(&scene.guard));
    assert!(second.iter().all(Option::is_some), "{second:?}");
    assert!(second.iter().all(|program| !first.contains(program)));
    scene.assert_filters();

    // An interface that is made anew has its own.
    scene.lab.replace_server_interface();
    drop(scene.guard.guardctl(&["reload"]).ok());
    let third = places(&only_pin(&scene.guard));
    assert!(third.iter().all(Option::is_some), "{third:?}");
    scene.assert_filters();
}

#[test]
fn without_its_pin_what_it_decided_takes_the_full_path_until_enable() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();
    let pin = only_pin(&scene.guard);
    let map = MapData::from_pin(&pin).expect("the pin");

    fs::remove_file(&pin).unwrap();
    // The last hold of user space: the kernel empties the array.
    drop(map);

    scene.assert_filters();
    drop(scene.guard.guardctl(&["enable"]).ok());
    let places = places(&only_pin(&scene.guard));
    assert!(places.iter().all(Option::is_some), "{places:?}");
    scene.assert_filters();
}

#[test]
fn what_a_killed_exchange_leaves_goes_with_the_next_disable() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();
    let pin = only_pin(&scene.guard);
    // As a command leaves it that is killed between the exchange and the new name.
    fs::rename(&pin, pin.with_file_name(format!("{}_next", name(&pin)))).unwrap();
    scene.assert_filters();

    drop(scene.guard.guardctl(&["disable"]).ok());

    assert_eq!(pins(&scene.guard), [] as [PathBuf; 0]);
}

#[test]
fn an_attachment_that_the_kernel_refuses_leaves_no_pin() {
    if !require::root() {
        return;
    }
    let scene = Scene::enabled();
    let first = only_pin(&scene.guard);
    let srv = &scene.lab.srv;
    srv.ip("link add br0 type bridge");
    srv.ip("link set br0 up");
    let both = policy(0).replace("[\"eth0\"]", "[\"eth0\", \"br0\"]");
    scene.guard.write_policy(&both);

    let refused = scene.guard.guardctl(&["enable", "--mode", "native"]);

    drop(refused.exit(9).says("br0: no native mode"));
    assert_eq!(pins(&scene.guard), [first]);
    scene.assert_filters();
}

/// The pin of the one interface.
fn only_pin(guard: &Instance) -> PathBuf {
    let mut pins = pins(guard);
    assert_eq!(pins.len(), 1, "{pins:?}");
    pins.remove(0)
}

/// Those of all interfaces.
fn pins(guard: &Instance) -> Vec<PathBuf> {
    let maps = guard.bpffs().join(pin_folder(ABI_VERSION)).join("maps");
    let Ok(entries) = fs::read_dir(&maps) else {
        // Without guard there is no folder.
        return Vec::new();
    };
    entries
        .map(|entry| entry.expect("a pin").path())
        .filter(|path| name(path).starts_with("forms-"))
        .collect()
}

fn name(path: &Path) -> String {
    let name = path.file_name().expect("a name");
    name.to_string_lossy().into_owned()
}

/// Numbers of the programs in a pinned array of programs.
fn places(pin: &Path) -> Vec<Option<u32>> {
    /// Of `bpf(2)`.
    const LOOKUP: libc::c_int = 1;
    #[repr(C)]
    struct Element {
        map: u64,
        key: u64,
        value: u64,
        flags: u64,
    }
    let map = MapData::from_pin(pin).expect("the pin");
    (0..form::PROGRAMS)
        .map(|place| {
            let mut program = 0u32;
            let element = Element {
                map: map.fd().as_fd().as_raw_fd() as u64,
                key: (&raw const place) as u64,
                value: (&raw mut program) as u64,
                flags: 0,
            };
            // SAFETY: the kernel reads the element, and a key of 4 bytes, and writes 4 bytes, all of which live here.
            let found = unsafe {
                libc::syscall(
                    libc::SYS_bpf,
                    LOOKUP,
                    &raw const element,
                    size_of::<Element>(),
                )
            };
            (found == 0).then_some(program)
        })
        .collect()
}
