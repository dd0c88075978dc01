//! Rules of other firewalls: whatever is imported, guard reads back, and lets in nothing that they may drop. The first
//! line of an input names the file that the rest is.

use std::fs;

use guard_user::{
    failure::Exit,
    moving_in::{self, saved::Whence},
};

use crate::scratch;

/// What ufw needs beside the file that is the input.
const FRAME: &str = "*filter\nCOMMIT\n";

pub(crate) fn run(input: &[u8]) {
    let Some(at) = input.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (kind, rest) = (&input[..at], &input[at + 1..]);
    scratch::with(|folder| {
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
            fs::write(&path, bytes).expect("a file");
            path
        };
        let import = match kind {
            b"ufw" | b"before" => {
                write("etc/default/ufw", b"IPV6=yes\n");
                write("etc/ufw/ufw.conf", b"ENABLED=yes\n");
                for name in ["before", "before6", "after", "after6", "user", "user6"] {
                    write(&format!("etc/ufw/{name}.rules"), FRAME.as_bytes());
                }
                let name = if kind == b"ufw" { "user" } else { "before" };
                write(&format!("etc/ufw/{name}.rules"), rest);
                moving_in::of_ufw(folder)
            }
            b"zone" => {
                write("etc/firewalld/firewalld.conf", b"DefaultZone=public\n");
                write("etc/firewalld/zones/public.xml", rest);
                let service = b"<service><port port=\"22\" protocol=\"tcp\"/></service>";
                write("etc/firewalld/services/ssh.xml", service);
                moving_in::of_firewalld(folder)
            }
            b"nft" => moving_in::of_nft(&Whence {
                file: Some(&write("rules", rest)),
                ..Whence::default()
            }),
            b"iptables" => moving_in::of_iptables(&Whence {
                file: Some(&write("rules", rest)),
                ..Whence::default()
            }),
            _ => return,
        };
        match import {
            Ok(import) => assert_eq!(import.meaning.looser, 0, "{}", import.text),
            // Rules that cannot be read are no bug; a policy that cannot be read back, or lets in more, is one.
            Err(failure) => assert_ne!(failure.exit, Exit::Failed, "{failure}"),
        }
    });
}
