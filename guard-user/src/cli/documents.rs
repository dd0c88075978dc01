//! Tests that read README.md and docs/: each command line is one that guardctl takes, each policy and each
//! jail is one that guard reads, and the reference leaves nothing out.

mod blocks;
mod complete;
mod lines;
mod schemas;

use std::path::{Path, PathBuf};

use blocks::Document;

/// The documents for operators: README.md and the book.
fn documents() -> Vec<Document> {
    let root = root();
    let mut paths = vec![root.join("README.md")];
    collect(&root.join("docs"), &mut paths);
    paths.sort();
    let documents = paths.iter().map(|path| Document::read(path, &root));
    documents.collect()
}

/// One document of them.
fn document(path: &str) -> Document {
    let root = root();
    Document::read(&root.join(path), &root)
}

fn root() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
    crates.parent().expect("a workspace").to_path_buf()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("docs/ is there") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
}
