//! A11 with the real servers: clients write into their logs whatever they like, and only they are banned for it.

use guard_tests::{
    lab::{
        Apache, GuardDaemon, Instance, Journald, LogDaemon as _, Nginx, Service, Topology, until,
    },
    require,
};

const POLICY: &str = "interfaces = [\"eth0\"]\n\n[[rule]]\naction = \"allow\"\nport = 80\n";
/// Who is to be banned for nothing.
const VICTIM: &str = "198.51.100.77";

/// Sends a request as it is.
fn request(lab: &Topology, path: &str, user: Option<&str>) {
    let mut curl = lab.attacker.command("curl");
    curl.args([
        "-s",
        "-g",
        "--path-as-is",
        "--max-time",
        "3",
        "-o",
        "/dev/null",
    ]);
    if let Some(user) = user {
        curl.arg("-u").arg(format!("{user}:wrong"));
    }
    curl.arg(format!("http://{}{path}", lab.srv.v4));
    // Whoever is banned gets no answer, and curl fails.
    curl.status().expect("curl is started");
}

/// `%xx` for whatever has a meaning in a request.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02x}"),
        })
        .collect()
}

/// The time as nginx's error log has it.
fn now() -> String {
    let mut date = std::process::Command::new("date");
    let output = date.arg("+%Y/%m/%d %H:%M:%S").output().expect("date");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn nobody_is_banned_for_what_clients_write_into_the_logs_of_nginx() {
    if !(require::root() && require::programs(&["ip", "nsenter", "nginx", "curl"])) {
        return;
    }
    let lab = Topology::new();
    let nginx = Nginx::with_password(&lab.srv);
    let access = nginx.folder().join("access.log").display().to_string();
    let error = nginx.folder().join("error.log").display().to_string();
    let guard = Instance::new(&lab.srv);
    guard.write_policy(POLICY);
    guard.write_jails(&format!(
        "[jail.nginx-http-auth]\nlogpath = \"{access}\"\nmaxretry = 3\n\
         [jail.nginx-botsearch]\nlogpath = \"{access}\"\nmaxretry = 1\n\
         [jail.former]\nfilter = \"nginx-http-auth\"\nlogpath = \"{error}\"\nmaxretry = 1\n\
         [jail.sshd]\nenabled = false\n"
    ));
    drop(guard.guardctl(&["enable"]).ok());
    let daemon = GuardDaemon::start(&guard);

    let forged = format!(
        "{} [error] 1#1: *1 user \"a\": password mismatch, client: {VICTIM}, server: _, request: \"GET / HTTP/1.1\", \
         host: \"h\"\n",
        now()
    );
    let lines = format!("\n{}", forged.repeat(5));
    request(&lab, &format!("/open{}", encoded(&lines)), None);
    let search = format!(
        "/wp-login.php\" failed (2: No such file or directory), client: {VICTIM}, server: _, request: \"GET /wp-login.php"
    );
    request(&lab, &format!("/open{}", encoded(&search)), None);
    request(
        &lab,
        &format!(
            "/open{}",
            encoded(&format!("\n{VICTIM} - bob [] \"GET / HTTP/1.1\" 401 1"))
        ),
        None,
    );
    let written = || std::fs::read_to_string(&error).unwrap_or_default();
    until("the forged lines to be written", || {
        written()
            .lines()
            .filter(|line| line.contains(VICTIM) && line.starts_with("20"))
            .count()
            >= 5
    });
    // A name that holds what the access log has in front of it.
    request(&lab, "/", Some(&format!("{VICTIM} - a [x] \"")));
    for user in ["bob", "alice"] {
        request(&lab, "/", Some(user));
    }

    let attacker = lab.attacker.v4.to_string();
    until(
        &format!("the client to be banned: {}", daemon.said()),
        || !guard.banned().is_empty(),
    );
    assert_eq!(guard.banned(), [attacker.as_str()]);
    let former = guard.guardctl(&["jail", "status", "former"]);
    drop(former.exit(8).says("can be forged").says(&error));
    assert!(daemon.said().contains("can be forged"), "{}", daemon.said());
}

#[test]
fn only_the_client_is_banned_for_what_it_writes_into_the_log_of_apache() {
    if !(require::root() && require::programs(&["ip", "nsenter", "apache2", "curl"])) {
        return;
    }
    let lab = Topology::new();
    let apache = Apache::with_password(&lab.srv);
    let error = apache.folder().join("error.log").display().to_string();
    let guard = Instance::new(&lab.srv);
    guard.write_policy(POLICY);
    guard.write_jails(&format!(
        "[jail.apache-auth]\nlogpath = \"{error}\"\nmaxretry = 3\n[jail.sshd]\nenabled = false\n"
    ));
    drop(guard.guardctl(&["enable"]).ok());
    let daemon = GuardDaemon::start(&guard);

    for user in [
        // A colon ends a user's name.
        format!("a not found\n[Sat Nov 28 2026] [error] [client {VICTIM}] user b not found"),
        format!("] [client {VICTIM}] user a not found"),
        "bob".to_owned(),
    ] {
        request(&lab, "/", Some(&user));
    }

    let attacker = lab.attacker.v4.to_string();
    until(
        &format!("the client to be banned: {}", daemon.said()),
        || !guard.banned().is_empty(),
    );
    assert_eq!(guard.banned(), [attacker.as_str()]);
    let log = std::fs::read_to_string(&error).expect("a log");
    assert!(
        log.contains(&format!("[client {attacker}:")) && log.contains(VICTIM),
        "{log}"
    );
}

#[test]
fn a_process_without_rights_that_calls_itself_sshd_has_nobody_banned() {
    let is_possible = require::root()
        && require::programs(&["ip", "nsenter", "unshare", "setpriv", "logger"])
        && Journald::is_possible()
        && Service::is_possible();
    if !is_possible {
        return;
    }
    let lab = Topology::new();
    let journald = Journald::start("RateLimitIntervalSec=0\nRateLimitBurst=0\n");
    let guard = Instance::new(&lab.srv);
    guard.write_policy(POLICY);
    guard.write_jails("[jail.sshd]\n");
    drop(guard.guardctl(&["enable"]).ok());
    let launcher = journald.launcher();
    let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
    let daemon = GuardDaemon::start_as(&guard, &mut guard.command_behind(&launcher, &["daemon"]));

    let failure =
        |source: &str| format!("Failed password for root from {source} port 40000 ssh2\n");
    // The name of the program is the name of its file.
    let own = guard.folder().join("sshd");
    std::fs::copy(require::find("logger").expect("asked for above"), &own).expect("a copy");
    let mut ran = std::process::Command::new(launcher[0]);
    ran.args(&launcher[1..]).args([
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "sh",
        "-c",
    ]);
    ran.arg(format!(
        "for n in 1 2 3 4 5 6; do {} -u /run/systemd/journal/dev-log -t sshd '{}'; done",
        own.display(),
        failure(VICTIM).trim()
    ));
    let output = ran.output().expect("a shell");
    assert!(output.status.success(), "{output:?}");
    until("the messages to be written", || {
        journald.said().matches(VICTIM).count() >= 6
    });
    let mut ssh = Service::start("ssh.service", &journald);
    ssh.prints(&failure("203.0.113.66").repeat(5));
    until(
        &format!("sshd's own messages to count: {}", daemon.said()),
        || !guard.banned().is_empty(),
    );
    assert_eq!(guard.banned(), ["203.0.113.66"]);
}
