//! `cargo xtask docs`: checks the documents and makes the book of them, by mdBook.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, anyhow};

use crate::{setup, sh, tidy, workspace};

/// Newer ones may want another book.toml.
const VERSION: &str = "0.5.4";

/// The command.
pub(crate) fn run() -> Result<()> {
    tidy::documents()?;
    // The command lines and policies in documents are read by guard itself.
    setup::ensure()?;
    let test = ["test", "-p", "guard-user", "--lib", "--"];
    let tests = ["documents", "the_reference"];
    sh::run(&mut sh::cargo(test.into_iter().chain(tests)))?;
    let program = installed()?;
    let book = workspace::target().join("docs");
    let folder = text(&book)?;
    sh::run(&mut sh::command(
        &program,
        ["build", "docs", "--dest-dir", &folder],
    ))?;
    println!("the book: {}", book.join("index.html").display());
    Ok(())
}

/// The program's path, after building it when it is missing.
fn installed() -> Result<String> {
    if let Some(found) = sh::find("mdbook") {
        return text(&found);
    }
    let tools = workspace::tools();
    let program = tools.join("bin/mdbook");
    if !program.is_file() {
        println!(
            "mdbook is not on PATH: building mdbook {VERSION} below {}, some minutes, once",
            tools.display()
        );
        fs::create_dir_all(&tools)?;
        let root = text(&tools)?;
        let args = [
            "install",
            "mdbook",
            "--version",
            VERSION,
            "--locked",
            "--no-default-features",
            "--features",
            "search",
            "--root",
            &root,
        ];
        sh::quiet(&mut sh::cargo(args))
            .context("cannot build mdbook\n  help: install it by hand so that it is on PATH")?;
    }
    text(&program)
}

fn text(path: &Path) -> Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| anyhow!("{} is not UTF-8", path.display()))
}
