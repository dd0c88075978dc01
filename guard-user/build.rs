//! Compiles the BPF object with the toolchain that `cargo xtask setup` chose and leaves it in
//! `OUT_DIR` for `include_bytes_aligned!`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use aya_build::{Package, Toolchain};
use object::{
    build::elf::{Builder, SectionData, SectionId},
    elf::SHT_STRTAB,
};

/// What guard-ebpf may be built to.
const OBJECTS: [&str; 4] = ["guard", "guard-report", "guard-trace", "guard-bench"];

fn main() -> Result<()> {
    // The fuzzer loads nothing into any kernel, and is built often.
    println!("cargo:rerun-if-env-changed=GUARD_WITHOUT_OBJECT");
    if env::var_os("GUARD_WITHOUT_OBJECT").is_some() {
        return without_object();
    }
    let workspace = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?)
        .parent()
        .context("guard-user lies inside the workspace")?
        .to_path_buf();
    println!("cargo:rerun-if-env-changed=GUARD_TOOLS_DIR");
    let tools = env::var_os("GUARD_TOOLS_DIR")
        .map_or_else(|| workspace.join("target/guard-tools"), PathBuf::from);
    let recipe_path = tools.join("bpf-toolchain");
    println!("cargo:rerun-if-changed={}", recipe_path.display());
    println!(
        "cargo:rerun-if-changed={}",
        workspace.join("guard-common/src").display()
    );
    let Ok(recipe) = fs::read_to_string(&recipe_path) else {
        bail!(
            "the BPF toolchain is not set up ({} is missing)\n  help: run `cargo xtask build`, which sets it up and builds guardctl",
            recipe_path.display()
        );
    };
    let field = |name: &str| {
        recipe
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .with_context(|| {
                format!(
                    "{}: no `{name}=` line; run `cargo xtask setup`",
                    recipe_path.display()
                )
            })
    };

    let mut path = vec![tools.join("bin")];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    // SAFETY: a build script's main thread is its only thread here.
    unsafe { env::set_var("PATH", env::join_paths(path)?) };
    // SAFETY: as above.
    unsafe { env::set_var("LD_LIBRARY_PATH", field("llvm")?) };
    // `1` makes aya-build compile `core` itself; otherwise `core` is there, and only these crates
    // use the one unstable feature, inline assembly for BPF.
    let bootstrap = match field("bootstrap")? {
        "1" => "1",
        _ => "aya_ebpf,guard,guard_bench,guard_report,guard_trace",
    };
    // SAFETY: as above.
    unsafe { env::set_var("RUSTC_BOOTSTRAP", bootstrap) };
    // What is cut into many units for quick builds inlines less, and the verifier follows more.
    // SAFETY: as above.
    unsafe { env::remove_var("CARGO_INCREMENTAL") };
    // aya-build repeats the inner cargo's progress as warnings of this crate, at every build.
    // Compiler errors and warnings still come through.
    // SAFETY: as above.
    unsafe { env::set_var("CARGO_TERM_QUIET", "true") };

    // Until the objects are copied to where they belong: another build may make others of the same names.
    let _turn = share_folder().context("cannot share the folder of the BPF build")?;
    let features: &[&str] = match env::var_os("CARGO_FEATURE_BENCH") {
        Some(_) => &["bench"],
        None => &[],
    };
    aya_build::build_ebpf(
        [Package {
            features,
            name: "guard-ebpf",
            root_dir: workspace
                .join("guard-ebpf")
                .to_str()
                .context("UTF-8 workspace path")?,
            ..Default::default()
        }],
        Toolchain::Custom(field("toolchain")?),
    )?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for binary in OBJECTS {
        let path = out.join(binary);
        if path.exists() {
            strip(&path).with_context(|| format!("cannot strip {}", path.display()))?;
        }
    }
    Ok(())
}

/// Has aya-build's cargo work in one folder below `target`: profiles and sets of features differ in what they make of
/// guard-user, and not in `core` and what else the object is made of, which is most of the work.
/// Returns the lock of that folder.
fn share_folder() -> Result<fs::File> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // target/PROFILE/build/PACKAGE/out, or the same below target/TRIPLE.
    let profiles = out.ancestors().nth(4).context("OUT_DIR has no folder")?;
    let shared = profiles.join("bpf");
    fs::create_dir_all(&shared)?;
    let lock = fs::File::create(shared.join("lock"))?;
    lock.lock()?;
    let own = out.join("aya-build/target/guard-ebpf");
    if fs::read_link(&own).is_ok_and(|to| to == shared) {
        return Ok(lock);
    }
    // Of a build before the folder was shared, or moved.
    match own.symlink_metadata() {
        Ok(known) if known.is_dir() => fs::remove_dir_all(&own)?,
        Ok(_) => fs::remove_file(&own)?,
        Err(_) => {}
    }
    fs::create_dir_all(out.join("aya-build/target"))?;
    std::os::unix::fs::symlink(&shared, &own)?;
    Ok(lock)
}

/// Leaves objects that no kernel takes.
fn without_object() -> Result<()> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for binary in OBJECTS {
        fs::write(out.join(binary), [])?;
    }
    Ok(())
}

/// Takes the DWARF out of an object. It is four fifths of its bytes, and the kernel reads none of it:
/// the verifier's messages quote the source from BTF.
fn strip(path: &Path) -> Result<()> {
    let bytes = fs::read(path)?;
    let mut object = Builder::read64(bytes.as_slice())?;
    let mut of_dwarf: Vec<SectionId> = Vec::new();
    for section in &object.sections {
        let name = section.name.to_string();
        if name.starts_with(".debug_") || name.starts_with(".rel.debug_") {
            of_dwarf.push(section.id());
        }
    }
    for id in of_dwarf {
        object.sections.get_mut(id).delete = true;
    }
    // LLVM keeps the names of sections and of symbols in one table, which the writer cannot.
    let names = object.sections.add();
    names.name = ".shstrtab".into();
    names.sh_type = SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    object.delete_orphans();
    let mut stripped = Vec::new();
    object.write(&mut stripped)?;
    fs::write(path, stripped)?;
    Ok(())
}
