//! Makes the pictures of the documents from real runs: `cargo xtask pictures`.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context as _, Result};
use guard_tests::{
    pictures::{Scene, top, web},
    require,
};

/// A picture: its file below docs/pictures, and how it is made.
type Picture = (&'static str, fn(&Scene) -> Vec<u8>);

/// All of them.
const PICTURES: &[Picture] = &[
    ("top.svg", |scene| top(scene).into_bytes()),
    ("web.png", web),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pictures: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    if !(require::root() && require::programs(&["ip", "nsenter", "setsid", "nginx", "chromium"])) {
        return Ok(());
    }
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = crates.join("../docs/pictures");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for (name, make) in PICTURES {
        // Each has a scene of its own: the traffic of one lasts for a minute.
        let picture = make(&Scene::set());
        let file = folder.join(name);
        fs::write(&file, picture).with_context(|| file.display().to_string())?;
        println!("docs/pictures/{name}");
    }
    Ok(())
}
