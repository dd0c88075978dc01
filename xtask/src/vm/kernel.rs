//! From "5.10" or "newest" to a kernel and its modules on disk. What was fetched once needs no
//! network again.

use std::{
    cmp::Ordering,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{
    archive::{Apt, Archive},
    platform::Platform,
};

/// A kernel that can be booted.
pub(super) struct Kernel {
    /// For people: the ABI, or the folder that was given.
    pub(super) name: String,
    pub(super) image: PathBuf,
    /// Every module's file.
    pub(super) modules: Vec<PathBuf>,
}

/// The suites in which a kernel is looked for.
fn suites(wanted: &str) -> &'static [(Archive, &'static str)] {
    match wanted {
        "5.10" => &[(Archive::Security, "bullseye-security")],
        "6.1" => &[(Archive::Security, "bookworm-security")],
        "6.12" => &[
            (Archive::Security, "bookworm-security"),
            (Archive::Security, "trixie-security"),
        ],
        "newest" => &[(Archive::Main, "trixie-backports"), (Archive::Main, "sid")],
        _ => &[
            (Archive::Security, "bullseye-security"),
            (Archive::Security, "bookworm-security"),
            (Archive::Security, "trixie-security"),
            (Archive::Main, "trixie-backports"),
            (Archive::Main, "sid"),
        ],
    }
}

impl Kernel {
    /// The kernel that was last fetched under this name, or else the newest that the mirror has.
    pub(super) fn obtain(cache: &Path, wanted: &str, platform: &Platform) -> Result<Self> {
        let kernels = cache.join("kernels");
        let record = cache.join("resolved").join(wanted);
        if let Ok(abi) = fs::read_to_string(&record)
            && let Ok(kernel) = Self::in_folder(&kernels.join(abi.trim()), abi.trim())
        {
            return Ok(kernel);
        }

        let apt = Apt::update(cache, platform.debian, suites(wanted))?;
        let candidates = candidates(&apt.index()?, &platform.flavour());
        let Some((abi, packages)) = newest(candidates, wanted) else {
            bail!(
                "the Debian mirror has no cloud kernel for `{wanted}`\n  help: name a series (5.10, 6.1, 6.12), `newest` or a full ABI such as 6.12.117+deb13-cloud-amd64"
            );
        };
        let folder = kernels.join(&abi);
        if Self::in_folder(&folder, &abi).is_err() {
            println!("{wanted}: fetching {abi}, about 20-40 MB, once");
            // Unpacked under another name first: a broken download never looks complete.
            let draft = kernels.join(format!("{abi}.new"));
            if draft.exists() {
                fs::remove_dir_all(&draft)?;
            }
            fs::create_dir_all(&draft)?;
            apt.unpack(&packages, &draft)?;
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::rename(&draft, &folder)?;
        }
        let kernel = Self::in_folder(&folder, &abi)?;
        fs::create_dir_all(cache.join("resolved"))?;
        fs::write(&record, &abi)?;
        Ok(kernel)
    }

    /// A kernel from unpacked packages, wherever in the folder its files are.
    pub(super) fn in_folder(folder: &Path, name: &str) -> Result<Self> {
        let mut files = Vec::new();
        walk(folder, &mut files).with_context(|| format!("cannot read {}", folder.display()))?;
        let file_name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let image = files
            .iter()
            .find(|path| file_name(path).starts_with("vmlinuz"))
            .with_context(|| format!("{} has no vmlinuz", folder.display()))?
            .clone();
        files.retain(|path| file_name(path).contains(".ko"));
        if files.is_empty() {
            bail!("{} has no modules", folder.display());
        }
        Ok(Self {
            name: name.to_owned(),
            image,
            modules: files,
        })
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Every ABI that is whole, with the packages that make it up.
fn candidates(index: &[(String, u64)], flavour: &str) -> Vec<(String, Vec<String>)> {
    let has = |name: &str| index.iter().any(|(known, _)| known == name);
    let mut found = Vec::new();
    for (name, size) in index {
        let abi_after = |prefix: &str| {
            let abi = name.strip_prefix(prefix)?;
            // The packages without a version are names for the newest one.
            let whole = abi.ends_with(flavour) && abi.starts_with(|c: char| c.is_ascii_digit());
            whole.then_some(abi)
        };
        if let Some(abi) = abi_after("linux-modules-") {
            // Since 6.19 image and modules are packages of their own; the signed image may come
            // days later than the modules.
            let images = ["linux-binary-", "linux-binary-unsigned-"];
            let image = images
                .map(|prefix| format!("{prefix}{abi}"))
                .into_iter()
                .find(|image| has(image));
            if let Some(image) = image {
                found.push((abi.to_owned(), vec![image, name.clone()]));
            }
        } else if let Some(abi) = abi_after("linux-image-")
            // One that only depends on others is a few kB.
            && *size > 1_000_000
        {
            found.push((abi.to_owned(), vec![name.clone()]));
        }
    }
    found
}

fn newest(candidates: Vec<(String, Vec<String>)>, wanted: &str) -> Option<(String, Vec<String>)> {
    let is_wanted = |abi: &str| {
        let in_series = abi
            .strip_prefix(wanted)
            .is_some_and(|rest| rest.starts_with('.'));
        abi == wanted || in_series || (wanted == "newest" && !abi.contains("rc"))
    };
    candidates
        .into_iter()
        .filter(|(abi, _)| is_wanted(abi))
        .max_by(|(one, _), (other, _)| by_version(one, other))
}

/// Compares the numbers of two ABIs from left to right.
fn by_version(one: &str, other: &str) -> Ordering {
    let numbers = |abi: &str| -> Vec<u64> {
        let runs = abi.split(|c: char| !c.is_ascii_digit());
        runs.filter_map(|run| run.parse().ok()).collect()
    };
    numbers(one).cmp(&numbers(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(packages: &[(&str, u64)], wanted: &str) -> Option<(String, Vec<String>)> {
        let index: Vec<_> = packages
            .iter()
            .map(|(name, size)| ((*name).to_owned(), *size))
            .collect();
        newest(candidates(&index, "-cloud-amd64"), wanted)
    }

    const INDEX: &[(&str, u64)] = &[
        ("linux-image-cloud-amd64", 1_500),
        ("linux-image-5.10.0-9-cloud-amd64", 20_000_000),
        ("linux-image-5.10.0-46-cloud-amd64", 20_000_000),
        ("linux-image-5.10.0-46-cloud-amd64-dbg", 300_000_000),
        ("linux-image-5.10.0-47-amd64", 60_000_000),
        ("linux-image-6.1.0-0.deb11.52-cloud-amd64", 20_000_000),
        ("linux-image-7.2.13+deb14-cloud-amd64", 1_900),
        ("linux-modules-7.2.13+deb14-cloud-amd64", 23_000_000),
        ("linux-binary-unsigned-7.2.13+deb14-cloud-amd64", 13_000_000),
        ("linux-binary-7.2.13+deb14-cloud-amd64", 13_000_000),
        ("linux-modules-7.3.4+deb13-cloud-amd64", 23_000_000),
        ("linux-binary-unsigned-7.3.4+deb13-cloud-amd64", 13_000_000),
        ("linux-modules-7.9.1-cloud-amd64", 23_000_000),
        ("linux-modules-7.4~rc1-cloud-amd64", 23_000_000),
        ("linux-binary-7.4~rc1-cloud-amd64", 13_000_000),
    ];

    #[test]
    fn a_series_means_its_newest_cloud_kernel() {
        let cases = [
            ("5.10", Some("5.10.0-46-cloud-amd64")),
            ("6.1", Some("6.1.0-0.deb11.52-cloud-amd64")),
            // Whole, and no release candidate.
            ("newest", Some("7.3.4+deb13-cloud-amd64")),
            ("7.2.13+deb14-cloud-amd64", Some("7.2.13+deb14-cloud-amd64")),
            ("6.12", None),
        ];
        for (wanted, expected) in cases {
            let found = resolve(INDEX, wanted).map(|(abi, _)| abi);
            assert_eq!(found.as_deref(), expected, "{wanted}");
        }
    }

    #[test]
    fn a_split_kernel_is_its_signed_image_and_its_modules() {
        let (_, packages) = resolve(INDEX, "7.2").expect("is in the index");

        assert_eq!(
            packages,
            [
                "linux-binary-7.2.13+deb14-cloud-amd64",
                "linux-modules-7.2.13+deb14-cloud-amd64"
            ]
        );
    }
}
