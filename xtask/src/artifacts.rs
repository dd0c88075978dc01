//! What a cargo build left behind, from cargo's own messages.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::sh;

/// The files of one `cargo build` or `cargo test --no-run`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Artifacts {
    /// Target name and path of each executable.
    pub(crate) executables: Vec<(String, PathBuf)>,
    /// `OUT_DIR` of each package that has a build script.
    out_dirs: Vec<(String, PathBuf)>,
}

impl Artifacts {
    /// Runs cargo, its progress and errors on the terminal.
    pub(crate) fn of(cargo: &mut Command) -> Result<Self> {
        cargo
            .arg("--message-format=json-render-diagnostics")
            .stderr(Stdio::inherit());
        let mut artifacts = Self::default();
        let succeeded = sh::stream(cargo, |line| artifacts.note(line))?;
        if !succeeded {
            bail!("the build failed; its errors are above");
        }
        Ok(artifacts)
    }

    /// Takes in one message; lines that are not messages are of no interest.
    fn note(&mut self, line: &str) {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            return;
        };
        let text = |pointer: &str| {
            let value = message.pointer(pointer).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        match message["reason"].as_str() {
            Some("compiler-artifact") if message["executable"].is_string() => self
                .executables
                .push((text("/target/name"), text("/executable").into())),
            Some("build-script-executed") => self
                .out_dirs
                .push((text("/package_id"), text("/out_dir").into())),
            Some(_) | None => {}
        }
    }

    pub(crate) fn executable(&self, name: &str) -> Result<PathBuf> {
        let found = self.executables.iter().find(|(target, _)| target == name);
        Ok(found
            .with_context(|| format!("cargo built no executable {name}"))?
            .1
            .clone())
    }

    /// The `OUT_DIR` of a workspace member.
    pub(crate) fn out_dir(&self, package: &str) -> Result<PathBuf> {
        let of_package =
            |id: &str| id.contains(&format!("/{package}#")) || id.contains(&format!("#{package}@"));
        let found = self.out_dirs.iter().find(|(id, _)| of_package(id));
        Ok(found
            .with_context(|| format!("cargo ran no build script of {package}"))?
            .1
            .clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_and_out_dirs_are_picked_from_the_messages() {
        let mut artifacts = Artifacts::default();
        for line in [
            "   Compiling guard-user v0.1.0",
            r#"{"reason":"compiler-artifact","target":{"name":"aya"},"executable":null}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"guardctl"},"executable":"/t/guardctl"}"#,
            r#"{"reason":"build-script-executed","package_id":"path+file:///w/guard-user#0.1.0","out_dir":"/t/out"}"#,
        ] {
            artifacts.note(line);
        }

        assert_eq!(artifacts.executables.len(), 1);
        assert_eq!(
            artifacts.executable("guardctl").expect("built"),
            PathBuf::from("/t/guardctl")
        );
        assert_eq!(
            artifacts.out_dir("guard-user").expect("has a build script"),
            PathBuf::from("/t/out")
        );
        assert!(artifacts.out_dir("user").is_err());
    }
}
