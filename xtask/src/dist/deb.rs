//! The .deb, by dpkg's own program.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    contents::CONFIGURATION,
    fresh,
    release::{MAINTAINER, NAME, Release, SUMMARY},
    tree::Tree,
};
use crate::{cross::Target, sh, workspace};

/// How long packing may take, and how large the package is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// For people.
    Small,
    /// For a test that installs it at once.
    None,
}

const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

const DESCRIPTION: &str =
    " guard drops everything that its policy does not allow, in XDP, before the
 kernel builds a packet buffer and before iptables or Docker are asked.
 It also reads logs and bans sources that fail to log in, with fail2ban's
 filters.
 .
 After the installation guard is off: `guardctl setup` proposes a policy
 and turns it on.
";

/// Packs the tree; returns the path of the package.
pub(crate) fn pack(
    release: &Release,
    tree: &Tree,
    compression: Compression,
    folder: &Path,
) -> Result<PathBuf> {
    let name = format!("{NAME}_{}_{}", release.version, architecture(tree.target));
    let work = folder.join(format!("{name}.work"));
    fresh(&work)?;
    let mut copy = sh::command("cp", ["-a"]);
    sh::output(copy.arg(tree.folder.join(".")).arg(&work))?;
    // Debian's zsh looks elsewhere than all others.
    let zsh = work.join("usr/share/zsh");
    fs::rename(zsh.join("site-functions"), zsh.join("vendor-completions"))?;

    let control = work.join("DEBIAN");
    fs::create_dir(&control)?;
    write(&control.join("control"), &fields(release, tree)?, 0o644)?;
    let configuration: String = CONFIGURATION
        .iter()
        .map(|file| format!("/{file}\n"))
        .collect();
    write(&control.join("conffiles"), &configuration, 0o644)?;
    write(&control.join("md5sums"), &md5sums(tree, &work)?, 0o644)?;
    for script in SCRIPTS {
        let from = workspace::root().join("packaging/deb").join(script);
        let text = fs::read_to_string(&from).with_context(|| from.display().to_string())?;
        let text = text.replace("@ABI@", &release.abi.to_string());
        write(&control.join(script), &text, 0o755)?;
    }

    let package = folder.join(format!("{name}.deb"));
    let compress = match compression {
        Compression::Small => "-Zxz",
        Compression::None => "-Znone",
    };
    // One thread: what several make depends on how many there are.
    let mut pack = sh::command(
        "dpkg-deb",
        ["--root-owner-group", "--threads-max=1", compress],
    );
    pack.arg("--build")
        .arg(&work)
        .arg(&package)
        .env("SOURCE_DATE_EPOCH", release.moment.to_string());
    sh::output(&mut pack)?;
    fs::remove_dir_all(&work)?;
    Ok(package)
}

/// Is a file a package of Debian's?
pub(super) fn is_one(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "deb")
}

/// What Debian's own checker says of it.
pub(super) fn lint(package: &Path) -> Result<()> {
    let mut lintian = sh::command(
        "lintian",
        [
            "--allow-root",
            "--fail-on",
            "error",
            "--tag-display-limit",
            "0",
        ],
    );
    // It is not in Debian, so nobody has asked for it there; and a build for another processor is linked statically.
    lintian.args([
        "--suppress-tags",
        "initial-upload-closes-no-bugs,statically-linked-binary",
    ]);
    sh::run(lintian.arg(package))
}

fn architecture(target: Target) -> &'static str {
    match target {
        Target::X86 => "amd64",
        Target::Arm => "arm64",
    }
}

fn fields(release: &Release, tree: &Tree) -> Result<String> {
    let depends = match &tree.libc {
        Some(version) => format!("Depends: libc6 (>= {version}), libgcc-s1\n"),
        None => String::new(),
    };
    Ok(format!(
        "Package: {NAME}\nVersion: {}\nArchitecture: {}\nMaintainer: {MAINTAINER}\nInstalled-Size: {}\n\
         {depends}Section: net\nPriority: optional\nDescription: {SUMMARY}\n{DESCRIPTION}",
        release.version,
        architecture(tree.target),
        tree.size()?.div_ceil(1024),
    ))
}

/// As dpkg verifies files that are no configuration.
fn md5sums(tree: &Tree, work: &Path) -> Result<String> {
    let files: Vec<String> = (Tree {
        folder: work.to_path_buf(),
        ..tree.clone()
    })
    .files()?
    .iter()
    .map(|file| file.display().to_string())
    .filter(|file| !file.starts_with("DEBIAN/") && !CONFIGURATION.contains(&file.as_str()))
    .collect();
    let mut sum = sh::command("md5sum", files.iter().map(String::as_str));
    sh::output(sum.current_dir(work))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}
