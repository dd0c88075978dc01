//! The servers of a new fleet: configuration and keys, with no more rights for anybody than sharing bans needs.

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use clap::Args;
use nkeys::KeyPair;

use super::nats::{
    stream::{HOSTS, POLICIES, STREAM},
    subject::{HEARD_POLICY, REPUBLISHED, STORED, STORED_POLICY, UNSTORED},
};
use crate::{
    failure::{Exit, Failure, from_io},
    fleet::Member,
};

/// Write keys and the configuration of the servers of a new fleet
#[derive(Clone, Debug, Args)]
pub(super) struct SetupArgs {
    /// How many servers: 1 serves 50 hosts, 3 survive the loss of one
    #[arg(long, default_value = "1", value_parser = ["1", "3"])]
    servers: String,
    /// Addresses of the servers, as they and the hosts reach them; with one server, 127.0.0.1 without TLS
    #[arg(long = "at", value_name = "HOST", default_value = "127.0.0.1")]
    at: Vec<String>,
    /// A host of the fleet: GROUP/NAME; repeat for each
    #[arg(long = "host", required = true, value_name = "GROUP/NAME")]
    hosts: Vec<String>,
    /// A folder that does not exist yet
    #[arg(long = "to", value_name = "FOLDER")]
    folder: PathBuf,
    /// Port of the first server for hosts; those for servers begin 2000 above it
    #[arg(long, default_value_t = 4222)]
    port: u16,
}

/// Somebody who connects, and what he may do.
struct User {
    name: String,
    public: String,
    publish: Vec<String>,
    subscribe: Vec<String>,
}

impl User {
    fn new(
        name: &str,
        folder: &Path,
        publish: Vec<String>,
        subscribe: Vec<String>,
    ) -> Result<Self, Failure> {
        let pair = KeyPair::new_user();
        let seed = pair
            .seed()
            .map_err(|error| Failure::new(Exit::Failed, format!("no key: {error}")))?;
        write(&folder.join(format!("{name}.nk")), &format!("{seed}\n"))?;
        Ok(Self {
            name: name.to_owned(),
            public: pair.public_key(),
            publish,
            subscribe,
        })
    }
}

/// Refused: files that are there already are somebody's keys.
pub(super) fn setup(args: &SetupArgs) -> Result<(), Failure> {
    let count = if args.servers == "3" { 3 } else { 1 };
    if args.at.len() != count {
        return Err(Failure::new(
            Exit::Usage,
            format!("--at: {} addresses for {count} servers", args.at.len()),
        )
        .help("give --at once for each server"));
    }
    let mut members = Vec::new();
    for host in &args.hosts {
        let member: Member = host.parse().map_err(|bad: crate::text::value::BadValue| {
            Failure::new(Exit::Usage, format!("--host: {bad}"))
        })?;
        if members.contains(&member) {
            return Err(Failure::new(Exit::Usage, format!("--host: {member} twice")));
        }
        if let Some(other) = members
            .iter()
            .find(|other| file_name(other) == file_name(&member))
        {
            let name = file_name(&member);
            return Err(Failure::new(
                Exit::Usage,
                format!("--host: the keys of {other} and of {member} would both be {name}.nk"),
            )
            .help("give one of both another name"));
        }
        members.push(member);
    }
    for address in &args.at {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
        if address.is_empty() || !address.bytes().all(is_plain) {
            return Err(Failure::new(
                Exit::Usage,
                format!("--at: {address:?} is no address or name of a host"),
            ));
        }
    }
    DirBuilder::new()
        .mode(0o700)
        .create(&args.folder)
        .map_err(|error| {
            from_io(args.folder.display(), &error)
                .help("name a folder that does not exist: keys are never overwritten")
        })?;
    let users = users(&members, &args.folder)?;
    let needs_tls = count > 1 || args.at.iter().any(|at| at != "127.0.0.1");
    for number in 0..count {
        let text = configuration(args, number, needs_tls, &users);
        write(
            &args.folder.join(format!("nats-{}.conf", number + 1)),
            &text,
        )?;
    }
    println!("{}", next_steps(args, count, needs_tls, &members));
    Ok(())
}

/// Of its key, without the ending.
fn file_name(member: &Member) -> String {
    format!("{}-{}", member.group(), member.host())
}

/// Each host may say what it bans, in its own name; nobody may change what another said.
fn users(members: &[Member], folder: &Path) -> Result<Vec<User>, Failure> {
    let words = |words: &[String]| words.to_vec();
    let reads = |inbox: &str| {
        words(&[
            format!("{inbox}.>"),
            format!("{REPUBLISHED}>"),
            format!("{UNSTORED}>"),
        ])
    };
    let mut users = Vec::new();
    for member in members {
        let (group, host) = (member.group(), member.host());
        let publish = words(&[
            format!("{STORED}ban.{group}.{host}.*"),
            format!("{UNSTORED}ban.{group}.{host}.*"),
            format!("$KV.hosts.{group}.{host}"),
            format!("$JS.API.STREAM.INFO.{STREAM}"),
            format!("$JS.API.STREAM.INFO.{HOSTS}"),
            format!("$JS.API.DIRECT.GET.{STREAM}"),
            format!("$JS.API.DIRECT.GET.{STREAM}.>"),
            format!("$JS.API.DIRECT.GET.{HOSTS}"),
            format!("$JS.API.STREAM.INFO.{POLICIES}"),
            format!("$JS.API.DIRECT.GET.{POLICIES}.{STORED_POLICY}{group}"),
            format!("$JS.API.STREAM.MSG.GET.{STREAM}"),
        ]);
        let inbox = format!("_INBOX_{group}_{host}");
        let name = file_name(member);
        let mut subscribe = reads(&inbox);
        subscribe.push(format!("{HEARD_POLICY}{group}"));
        users.push(User::new(&name, folder, publish, subscribe)?);
    }
    let lift = words(&[format!("{STORED}lift.*")]);
    users.push(User::new(
        "operator",
        folder,
        lift,
        words(&["_INBOX_operator.>".to_owned()]),
    )?);
    let publisher = words(&[
        format!("{STORED_POLICY}*"),
        format!("$JS.API.STREAM.INFO.{HOSTS}"),
        format!("$JS.API.STREAM.INFO.{POLICIES}"),
        format!("$JS.API.DIRECT.GET.{HOSTS}"),
        format!("$JS.API.STREAM.MSG.GET.{POLICIES}"),
    ]);
    users.push(User::new(
        "publisher",
        folder,
        publisher,
        words(&["_INBOX_publisher.>".to_owned()]),
    )?);
    // Signs, and connects to nothing: who connects signs what the server asks it to.
    let signer = KeyPair::new_account();
    let seed = signer
        .seed()
        .map_err(|error| Failure::new(Exit::Failed, format!("no key: {error}")))?;
    write(&folder.join("policy.nk"), &format!("{seed}\n"))?;
    write(
        &folder.join("policy.pub"),
        &format!("{}\n", signer.public_key()),
    )?;
    let mut prepare = Vec::new();
    for stream in [STREAM, HOSTS, POLICIES] {
        for verb in ["INFO", "CREATE"] {
            prepare.push(format!("$JS.API.STREAM.{verb}.{stream}"));
        }
    }
    users.push(User::new(
        "admin",
        folder,
        prepare,
        words(&["_INBOX_admin.>".to_owned()]),
    )?);
    Ok(users)
}

fn configuration(args: &SetupArgs, number: usize, needs_tls: bool, users: &[User]) -> String {
    let mut text = String::new();
    let port = args.port + number as u16;
    let here = args.at.get(number).map_or("127.0.0.1", String::as_str);
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    line(
        "# Written by `guard-fleet setup`: a server that shares bans, and nothing else.".to_owned(),
    );
    line(format!("server_name: guard-{}", number + 1));
    let listen = if needs_tls { "0.0.0.0" } else { "127.0.0.1" };
    line(format!("listen: \"{listen}:{port}\""));
    line("max_payload: 64KB\nmax_connections: 20000\nping_interval: \"10s\"".to_owned());
    line(format!(
        "jetstream {{\n  store_dir: \"/var/lib/nats/guard-{}\"\n  max_memory_store: 64MB\n  max_file_store: 2GB\n}}",
        number + 1
    ));
    if needs_tls {
        line(
            "# Certificate and key of this server, by an authority that the hosts are given as --ca.\ntls {\n  \
             cert_file: \"/etc/nats/server.pem\"\n  key_file: \"/etc/nats/server-key.pem\"\n  min_version: \"1.3\"\n}"
                .to_owned(),
        );
    }
    if args.at.len() > 1 {
        let routes = args
            .at
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number);
        let routes = routes.map(|(other, at)| {
            format!(
                "    \"nats-route://{at}:{}\"",
                args.port + 2000 + other as u16
            )
        });
        let routes: Vec<String> = routes.collect();
        line(format!(
            "# Servers prove themselves to each other by certificates of the same authority.\ncluster {{\n  \
             name: guard\n  listen: \"0.0.0.0:{}\"\n  advertise: \"{here}:{0}\"\n  no_advertise: true\n  tls {{\n    \
             cert_file: \"/etc/nats/server.pem\"\n    key_file: \"/etc/nats/server-key.pem\"\n    \
             ca_file: \"/etc/nats/ca.pem\"\n    verify: true\n  }}\n  routes: [\n{}\n  ]\n}}",
            port + 2000,
            routes.join("\n")
        ));
    }
    line("accounts {\n  GUARD {\n    jetstream: enabled\n    users: [".to_owned());
    for user in users {
        let list = |subjects: &[String]| {
            let quoted: Vec<String> = subjects.iter().map(|one| format!("\"{one}\"")).collect();
            quoted.join(", ")
        };
        line(format!(
            "      # {}\n      {{ nkey: {}, permissions: {{\n        publish: {{ allow: [{}] }}\n        subscribe: {{ \
             allow: [{}] }} }} }}",
            user.name,
            user.public,
            list(&user.publish),
            list(&user.subscribe)
        ));
    }
    line("    ]\n  }\n}".to_owned());
    text
}

fn next_steps(args: &SetupArgs, count: usize, needs_tls: bool, members: &[Member]) -> String {
    let folder = args.folder.display();
    let scheme = if needs_tls { "tls" } else { "nats" };
    let servers: Vec<String> = (0..count)
        .map(|number| {
            let at = args.at.get(number).map_or("127.0.0.1", String::as_str);
            format!("{scheme}://{at}:{}", args.port + number as u16)
        })
        .collect();
    let ca = if needs_tls { " --ca ca.pem" } else { "" };
    let mut text = format!("written to {folder}:\n");
    for number in 1..=count {
        // A String takes whatever is written to it.
        writeln!(
            text,
            "  nats-{number}.conf    for `nats-server -c`, 2.11 or newer"
        )
        .unwrap_or_default();
    }
    text += "  *.nk           keys: one for each host, operator.nk lifts bans everywhere, admin.nk makes the streams,\n";
    text += "                 publisher.nk and policy.nk publish policies; hosts that accept them are given policy.pub\n";
    text += &format!(
        "next, once the servers run:\n  guard-fleet prepare --server {} --key {folder}/admin.nk{ca} --replicas {count}\n",
        servers.join(" --server ")
    );
    for member in members {
        text += &format!(
            "on {member}:\n  guardctl fleet join {} --key {}-{}.nk --group {} --host {}{ca}\n",
            servers.join(" "),
            member.group(),
            member.host(),
            member.group(),
            member.host()
        );
    }
    text.trim_end().to_owned()
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| from_io(path.display(), &error))?;
    fs::File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| from_io(path.display(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hosts_whose_keys_would_be_one_file_are_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        for (hosts, why) in [
            (["a/b-c", "a-b/c"], "both be a-b-c.nk"),
            (["a/b", "a/b"], "a/b twice"),
        ] {
            let args = SetupArgs {
                servers: "1".to_owned(),
                at: vec!["127.0.0.1".to_owned()],
                hosts: hosts.map(str::to_owned).to_vec(),
                folder: folder.path().join("fleet"),
                port: 4222,
            };
            let failure = setup(&args).expect_err(why);
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains(why), "{failure:?}");
            assert!(!args.folder.exists());
        }
    }
}
