//! Editors check files by the shipped schemas: these must take every file that documents and examples show.

use std::{fs, path::Path};

use super::documents;
use crate::text::schema_check::{JAILS, POLICY, Schema};

#[test]
fn the_schemas_take_what_documents_and_examples_show() {
    let (policy, jails) = (Schema::read(POLICY), Schema::read(JAILS));
    let mut complaints = String::new();
    let mut checked = 0;
    let mut check = |place: &str, text: &str| {
        let is_of_jails = ["[jail", "[default]"]
            .iter()
            .any(|head| text.contains(head));
        let schema = if is_of_jails { &jails } else { &policy };
        checked += 1;
        if let Some(problem) = schema.problem(text) {
            complaints += &format!("{place}: {problem}\n");
        }
    };
    for document in documents() {
        for piece in document.toml {
            check(&piece.place, &piece.text);
        }
    }
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    for file in fs::read_dir(examples).expect("examples") {
        let path = file.expect("a file").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = fs::read_to_string(&path).expect("text");
            check(&path.display().to_string(), &text);
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
    assert!(checked > 15, "only {checked} found");
}

#[test]
fn the_schema_of_jails_refuses_what_guard_does() {
    let schema = Schema::read(JAILS);
    for wrong in [
        "[jail.sshd]\nmaxrety = 3\n",
        "[jail.sshd]\nmaxretry = 0\n",
        "[jail.sshd]\nenabled = \"yes\"\n",
        "[jail.sshd]\nlogpath = \"auth.log\"\n",
        "[jail.sshd]\nusedns = \"yes\"\n",
        "[jail.sshd]\nbantime = { tim = \"1h\" }\n",
        "[default]\nfilter = \"sshd\"\n",
        "[jails.sshd]\n",
        "[jail.sshd]\naggregation = { ipv4 = 8 }\n",
    ] {
        assert!(schema.problem(wrong).is_some(), "{wrong}");
    }
}
