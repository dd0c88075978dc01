//! Telling people and programs what happened. Functions over a writer, nothing is computed here.

pub mod human;
pub mod stats;

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::failure::Failure;

/// Version of every JSON object; within it, fields are only ever added.
const SCHEMA: u32 = 1;

/// Where a command's answer goes.
#[derive(Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// JSON or text; `quiet` leaves out text when all is well.
    #[must_use]
    pub fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Prints the answer in the form that was asked for. `false` when nobody reads any more.
    pub fn show(
        &mut self,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
        value: impl FnOnce() -> Value,
    ) -> bool {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let written = if self.json {
            writeln!(out, "{}", with_schema(value()))
        } else if self.quiet {
            Ok(())
        } else {
            text(&mut out)
        };
        written.and_then(|()| out.flush()).is_ok()
    }

    /// Prints warnings beside the answer; in JSON they are part of it.
    pub fn warnings(&mut self, warnings: &[String]) {
        if self.json || self.quiet {
            return;
        }
        for warning in warnings {
            let warning = warning.trim_start_matches("warning: ");
            writeln!(io::stderr(), "warning: {warning}").unwrap_or_default();
        }
    }

    /// Prints why a command failed.
    pub fn failure(&mut self, failure: &Failure) {
        if self.json {
            let error = json!({
                "exit": failure.exit as u8,
                "message": failure.message,
                "help": failure.help,
            });
            let answer = with_schema(json!({"error": error}));
            // Neither output may be read any more; the exit code still tells.
            writeln!(io::stdout(), "{answer}").unwrap_or_default();
        }
        writeln!(io::stderr(), "guardctl: {failure}").unwrap_or_default();
    }
}

/// `{"schema":1, …}`.
fn with_schema(value: Value) -> Value {
    let mut object = serde_json::Map::from_iter([("schema".to_owned(), json!(SCHEMA))]);
    if let Value::Object(fields) = value {
        object.extend(fields);
    }
    Value::Object(object)
}
