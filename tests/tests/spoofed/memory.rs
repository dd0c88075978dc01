//! Memory of the tables of an instance, as the kernel accounts for it.

use std::{fs, os::fd::AsRawFd as _, path::Path};

use aya::maps::MapInfo;
use guard_tests::lab::Instance;

/// Bytes of all pinned maps.
pub(crate) fn of_tables(guard: &Instance) -> u64 {
    let bytes = below(&guard.bpffs());
    assert!(bytes > 0, "no map is pinned");
    bytes
}

fn below(folder: &Path) -> u64 {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .flatten()
        .map(|entry| entry.path())
        .map(|path| {
            if path.is_dir() {
                below(&path)
            } else {
                of_map(&path)
            }
        })
        .sum()
}

/// 0 for a pin that is none of a map.
fn of_map(pin: &Path) -> u64 {
    let Ok(map) = MapInfo::from_pin(pin).and_then(|info| info.fd()) else {
        return 0;
    };
    use std::os::fd::AsFd as _;
    let number = map.as_fd().as_raw_fd();
    let printed = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let memory = printed
        .lines()
        .find_map(|line| line.strip_prefix("memlock:"));
    memory
        .and_then(|memory| memory.trim().parse().ok())
        .unwrap_or_else(|| panic!("{}: no memlock in {printed}", pin.display()))
}
