//! The files of a package, laid out in a folder as they will lie on a server.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{binary, contents, release::Release};
use crate::{cross::Target, sh};

/// Files below a folder.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(super) folder: PathBuf,
    pub(super) target: Target,
    /// The oldest C library that the programs run with; none for what is linked statically.
    pub(super) libc: Option<String>,
}

/// Lays them out.
pub(super) fn lay(
    release: &Release,
    target: Target,
    guardctl: &Path,
    native: &Path,
    folder: &Path,
) -> Result<Tree> {
    for empty in contents::FOLDERS {
        make_folder(&folder.join(empty))?;
    }
    let programs = folder.join(contents::PROGRAM_FOLDER);
    make_folder(&programs)?;
    let mut libc = None;
    for name in contents::PROGRAMS {
        let program = programs.join(name);
        binary::strip(target, &guardctl.with_file_name(name), &program)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        libc = binary::newer(libc, binary::libc(&program)?);
    }
    let mut gzip = sh::command("gzip", ["-9", "-n"]);
    let manual = folder.join(contents::MANUAL);
    sh::output(Command::new(native).arg("man").arg(&manual))?;
    for page in fs::read_dir(&manual).with_context(|| manual.display().to_string())? {
        let page = page?.path();
        fs::set_permissions(&page, fs::Permissions::from_mode(0o644))?;
        gzip.arg(&page);
    }
    for file in contents::files(release, native)? {
        let path = folder.join(&file.path);
        make_folder(path.parent().context("a file in a folder")?)?;
        fs::write(&path, &file.bytes).with_context(|| path.display().to_string())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        if file.is_compressed {
            gzip.arg(&path);
        }
    }
    sh::output(&mut gzip)?;
    set_modes(folder)?;
    Ok(Tree {
        libc,
        folder: folder.to_path_buf(),
        target,
    })
}

impl Tree {
    /// Every file, below the folder, in order.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        collect(&self.folder, &self.folder, &mut found)?;
        found.sort_unstable();
        Ok(found)
    }

    /// Bytes of all files.
    pub(super) fn size(&self) -> Result<u64> {
        let sizes = self
            .files()?
            .iter()
            .map(|file| Ok(fs::metadata(self.folder.join(file))?.len()))
            .collect::<Result<Vec<_>>>()?;
        Ok(sizes.iter().sum())
    }
}

fn collect(top: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(top, &path, found)?;
        } else {
            found.push(path.strip_prefix(top)?.to_path_buf());
        }
    }
    Ok(())
}

fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())
}

/// Whatever the umask was.
fn set_modes(folder: &Path) -> Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            set_modes(&path)?;
        }
    }
    Ok(())
}
