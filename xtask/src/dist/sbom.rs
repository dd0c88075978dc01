//! What the program is made of, as CycloneDX JSON 1.5.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{
    crates::{self, Crate, Key},
    release::{NAME, Release},
    tarball::architecture,
};
use crate::cross::Target;

/// Writes it; returns its path.
pub(super) fn write(release: &Release, target: Target, folder: &Path) -> Result<PathBuf> {
    let crates = crates::shipped(target)?;
    let checksums = crates::checksums()?;
    let components: Vec<Value> = crates
        .iter()
        .map(|(key, found)| component(key, found, checksums.get(key)))
        .collect();
    let roots: Vec<String> = crates
        .keys()
        .filter(|(name, _)| name == "guard-user" || name == "guard-ebpf")
        .map(reference)
        .collect();
    let mut dependencies = vec![json!({"ref": NAME, "dependsOn": roots})];
    dependencies.extend(crates.iter().map(|(key, found)| {
        let needs: Vec<String> = found.needs.iter().map(reference).collect();
        json!({"ref": reference(key), "dependsOn": needs})
    }));
    let moment = UNIX_EPOCH + Duration::from_secs(release.moment);
    let bom = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": humantime::format_rfc3339_seconds(moment).to_string(),
            "component": {
                "type": "application",
                "bom-ref": NAME,
                "name": NAME,
                "version": release.version,
                "licenses": [{"expression": "MIT OR Apache-2.0"}],
            },
        },
        "components": components,
        "dependencies": dependencies,
    });
    let name = format!(
        "{NAME}-{}-{}.cdx.json",
        release.version,
        architecture(target)
    );
    let path = folder.join(name);
    let text = serde_json::to_string_pretty(&bom)? + "\n";
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(path)
}

fn reference((name, version): &Key) -> String {
    format!("pkg:cargo/{name}@{version}")
}

/// One crate. Only those of a registry have a checksum, and an address that others know.
fn component(key: &Key, found: &Crate, checksum: Option<&String>) -> Value {
    let (name, version) = key;
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(key),
        "name": name,
        "version": version,
        "licenses": [{"expression": found.licence}],
    });
    if let Some(checksum) = checksum {
        component["purl"] = reference(key).into();
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_of_ours_has_no_address_in_a_registry() {
        let key = ("guard-common".to_owned(), "0.1.0".to_owned());
        let found = Crate {
            licence: "MIT OR Apache-2.0".to_owned(),
            needs: Vec::new(),
        };

        let ours = component(&key, &found, None);
        let theirs = component(&key, &found, Some(&"00".repeat(32)));

        assert!(ours.get("purl").is_none(), "{ours}");
        assert_eq!(theirs["purl"], "pkg:cargo/guard-common@0.1.0");
        assert_eq!(theirs["hashes"][0]["alg"], "SHA-256");
    }
}
