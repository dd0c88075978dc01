//! A LAPI with a folder, a database and a port of its own. It ends with the test, also when that fails.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::write;

/// Of the bouncer that it knows.
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";
/// Of the machine `web-1`.
pub(crate) const PASSWORD: &str = "a-password-of-a-machine";
/// For it to listen; it makes its tables first.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Lapi {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Drop for Lapi {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Lapi {
    /// A LAPI, or a word about its absence: with `GUARD_TESTS_STRICT=1` that is a failure. `more` is added to the
    /// settings of its server.
    pub(crate) fn start(more: &str) -> Option<Self> {
        if !has("crowdsec") || !has("cscli") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let at = folder.path().display().to_string();
        for name in ["data", "hub", "notifications"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        write(&folder.path().join("hub/.index.json"), "{}");
        write(
            &folder.path().join("simulation.yaml"),
            "simulation: false\n",
        );
        let profile = "name: none\nfilters:\n - \"false\"\ndecisions:\n - type: ban\n   duration: 4h\non_success: break\n";
        write(&folder.path().join("profiles.yaml"), profile);
        let scheme = if more.is_empty() { "http" } else { "https" };
        write(
            &folder.path().join("local.yaml"),
            &format!("url: {scheme}://127.0.0.1:{port}\nlogin: own\npassword: {PASSWORD}\n"),
        );
        write(
            &folder.path().join("config.yaml"),
            &format!(
                "common: {{daemonize: false, log_media: stdout, log_level: info, working_dir: {at}}}\n\
                 config_paths: {{config_dir: {at}, data_dir: {at}/data, simulation_path: {at}/simulation.yaml, \
                 hub_dir: {at}/hub, index_path: {at}/hub/.index.json, notification_dir: {at}/notifications}}\n\
                 cscli: {{output: human}}\n\
                 db_config: {{type: sqlite, db_path: {at}/data/crowdsec.db, use_wal: true}}\n\
                 api:\n  client: {{credentials_path: {at}/local.yaml}}\n  server:\n    log_level: info\n    \
                 listen_uri: 127.0.0.1:{port}\n    profiles_path: {at}/profiles.yaml\n{more}\
                 prometheus: {{enabled: false}}\n"
            ),
        );
        let mut lapi = Self {
            folder,
            port,
            child: None,
        };
        for name in ["own", "web-1"] {
            lapi.cscli(&[
                "machines",
                "add",
                name,
                "--password",
                PASSWORD,
                "--file",
                "/dev/null",
                "--force",
            ]);
        }
        lapi.cscli(&["bouncers", "add", "guard", "--key", KEY]);
        lapi.run();
        Some(lapi)
    }

    /// Begins to listen.
    pub(crate) fn run(&mut self) {
        let log = fs::File::create(self.path("log")).unwrap();
        let child = Command::new("crowdsec")
            .arg("-c")
            .arg(self.path("config.yaml"))
            .args(["-no-cs", "-no-capi"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(
                started.elapsed() < PATIENCE,
                "crowdsec does not listen:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it at once.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// What its operator types; the output.
    pub(crate) fn cscli(&self, args: &[&str]) -> String {
        let output = Command::new("cscli")
            .arg("-c")
            .arg(self.path("config.yaml"))
            .args(args)
            .output()
            .unwrap();
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        assert!(output.status.success(), "cscli {args:?}: {output:?}\n{log}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that others cannot read.
    pub(crate) fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        write(&path, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

/// Is this program there? Else the test is skipped, or fails with `GUARD_TESTS_STRICT=1`.
pub(crate) fn has(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&folders).any(|folder| folder.join(program).is_file());
    if !is_there {
        let strict = std::env::var_os("GUARD_TESTS_STRICT").is_some_and(|value| value == "1");
        assert!(!strict, "{program} is missing: cargo xtask setup --tests");
        eprintln!("skipped: {program} is missing (cargo xtask setup --tests)");
    }
    is_there
}
