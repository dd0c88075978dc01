//! Where things are: the workspace, its target folder, the project's own tools.

use std::{
    env,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The folder of the workspace's Cargo.toml.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies inside the workspace")
        .to_path_buf()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(
        || root().join("target"),
        |dir| root().join(PathBuf::from(dir)),
    )
}

/// Where the BPF toolchain's recipe and the linker live. guard-user/build.rs looks in the same
/// place, and cannot know `CARGO_TARGET_DIR`: so this does not follow it.
pub(crate) fn tools() -> PathBuf {
    env::var_os("GUARD_TOOLS_DIR").map_or_else(|| root().join("target/guard-tools"), PathBuf::from)
}

/// Whether this process may do what only root may.
pub(crate) fn is_root() -> bool {
    // Owned by the effective user of this process.
    std::fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0)
}
