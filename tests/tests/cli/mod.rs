//! The command line: what it accepts, what it says, how it exits, and what it leaves on disk and in
//! the kernel. Runs the real guardctl, with folders of its own in a network namespace of its own.

mod completion;
mod concurrency;
mod edit_file;
mod editing;
mod examples;
mod grammar;
mod habits;
mod history;
mod host;
mod json;
mod large;
mod messages;
mod naming;
mod permissions;
mod policy_files;
mod presets;
mod profiles;
mod room;
