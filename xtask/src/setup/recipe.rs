//! The file that tells guard-user's build script which toolchain compiles the BPF object.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::workspace;

/// How to compile for the BPF target.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// A name that rustup knows.
    pub(crate) toolchain: String,
    /// `RUSTC_BOOTSTRAP`: `1` also makes aya-build compile `core` from source.
    pub(crate) bootstrap: String,
    /// Where bpf-linker finds libLLVM.
    pub(crate) llvm: PathBuf,
}

impl Recipe {
    fn path() -> PathBuf {
        workspace::tools().join("bpf-toolchain")
    }

    /// The recorded recipe, if it is whole.
    pub(crate) fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string(Self::path()).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned());
            text.lines().find_map(value)
        };
        Some(Self {
            toolchain: field("toolchain")?,
            bootstrap: field("bootstrap")?,
            llvm: field("llvm")?.into(),
        })
    }

    fn text(&self) -> String {
        format!(
            "toolchain={}\nbootstrap={}\nllvm={}\n",
            self.toolchain,
            self.bootstrap,
            self.llvm.display()
        )
    }

    /// Replaces the file only when it says something else: cargo rebuilds the object when the
    /// file changes.
    pub(crate) fn write(&self) -> Result<()> {
        if Self::read().as_ref() == Some(self) {
            return Ok(());
        }
        let path = Self::path();
        let draft = path.with_extension("new");
        fs::write(&draft, self.text())
            .and_then(|()| fs::rename(&draft, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The folders of PATH with the linker's in front.
    pub(crate) fn search_path() -> Result<std::ffi::OsString> {
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let bin = std::iter::once(workspace::tools().join("bin"));
        Ok(std::env::join_paths(
            bin.chain(std::env::split_paths(&inherited)),
        )?)
    }
}

/// Whether the linker finds its LLVM in this folder.
pub(crate) fn has_llvm(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libLLVM"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let recipe = Recipe {
            toolchain: "1.95.0".into(),
            bootstrap: "1".into(),
            llvm: "/a/lib".into(),
        };

        assert_eq!(Recipe::parse(&recipe.text()), Some(recipe));
    }

    #[test]
    fn half_a_recipe_is_none() {
        assert_eq!(Recipe::parse("toolchain=1.95.0\nboot"), None);
    }
}
