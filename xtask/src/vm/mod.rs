//! later
use anyhow::Result;
#[derive(clap::Args)]
pub(crate) struct Args {
    names: Vec<String>,
}
pub(crate) fn run(args: &Args) -> Result<()> {
    let _ = &args.names;
    Ok(())
}
