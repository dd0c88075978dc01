//! The .rpm, by rpm's own program, from a spec that is written here: everything in it is known already.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    contents::{CONFIGURATION, FOLDERS},
    release::{NAME, Release, SUMMARY},
    tarball::architecture,
    tree::Tree,
};
use crate::{sh, workspace};

const SCRIPTS: [&str; 4] = ["pre", "post", "preun", "postun"];

/// Folders that are ours alone.
const OWN_FOLDERS: [&str; 4] = [
    "etc/guard",
    "usr/share/guard",
    "usr/share/doc/guardctl",
    "usr/share/doc/guardctl/examples",
];

/// What depends on the machine that packs, and must not.
const MACROS: [(&str, &str); 9] = [
    ("debug_package", "%{nil}"),
    ("__os_install_post", "%{nil}"),
    ("_build_id_links", "none"),
    ("_buildhost", "localhost"),
    ("source_date_epoch_from_changelog", "0"),
    ("use_source_date_epoch_as_buildtime", "1"),
    ("clamp_mtime_to_source_date_epoch", "1"),
    ("_binary_payload", "w6.xzdio"),
    ("_rpmfilename", "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm"),
];

/// Packs the tree; returns the path of the package.
pub(super) fn pack(release: &Release, tree: &Tree, work: &Path, folder: &Path) -> Result<PathBuf> {
    let arch = architecture(tree.target);
    let spec = work.join("guardctl.spec");
    fs::write(&spec, text(release, tree)?).with_context(|| spec.display().to_string())?;
    let mut build = sh::command("rpmbuild", ["-bb", "--quiet", "--target"]);
    build.arg(format!("{arch}-linux"));
    let folders = [
        ("_topdir", work.join("rpm")),
        ("_rpmdir", folder.to_path_buf()),
        ("_dbpath", work.join("rpm-database")),
    ];
    for (name, path) in folders {
        build
            .arg("--define")
            .arg(format!("{name} {}", path.display()));
    }
    for (name, value) in MACROS {
        build.arg("--define").arg(format!("{name} {value}"));
    }
    build
        .arg(&spec)
        .env("SOURCE_DATE_EPOCH", release.moment.to_string())
        .env("LC_ALL", "C");
    sh::output(&mut build)?;
    Ok(folder.join(format!("{NAME}-{}-1.{arch}.rpm", release.version)))
}

fn text(release: &Release, tree: &Tree) -> Result<String> {
    let mut spec = format!(
        "Name: {NAME}\nVersion: {}\nRelease: 1\nSummary: {SUMMARY}\nLicense: MIT OR Apache-2.0\nAutoReqProv: no\n",
        release.version
    );
    if let Some(libc) = &tree.libc {
        writeln!(spec, "Requires: libc.so.6(GLIBC_{libc})(64bit)")?;
        writeln!(spec, "Requires: libgcc_s.so.1()(64bit)")?;
    }
    spec += "\n%description\nguard drops everything that its policy does not allow, in XDP. It also reads logs and bans \
             sources that\nfail to log in. After the installation it is off: `guardctl allow 22/tcp`, then `guardctl enable`.\n";
    write!(
        spec,
        "\n%install\nmkdir -p %{{buildroot}}\ncp -a {}/. %{{buildroot}}\n",
        tree.folder.display()
    )?;
    for script in SCRIPTS {
        let from = workspace::root().join("packaging/rpm").join(script);
        let text = fs::read_to_string(&from).with_context(|| from.display().to_string())?;
        // To rpm, `%` begins a macro.
        let text = text
            .replace("@ABI@", &release.abi.to_string())
            .replace('%', "%%");
        write!(spec, "\n%{script}\n{text}")?;
    }
    spec += "\n%files\n%defattr(-,root,root,-)\n";
    for own in OWN_FOLDERS.iter().chain(&FOLDERS) {
        writeln!(spec, "%dir /{own}")?;
    }
    for file in tree.files()? {
        let file = file.display().to_string();
        let kind = if CONFIGURATION.contains(&file.as_str()) {
            "%config(noreplace) "
        } else {
            ""
        };
        writeln!(spec, "{kind}/{file}")?;
    }
    Ok(spec)
}
