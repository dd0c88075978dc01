//! CrowdSec's LAPI alone, on a host of the lab, with folder, database and a port of its own.

use std::{fs, net::TcpStream, path::PathBuf, process::Command, time::Duration};

use super::{Background, Folder, Namespace, finish, within};

/// Of the bouncer that it knows.
const KEY: &str = "0123456789abcdef0123456789abcdef";
/// Of its machines.
const PASSWORD: &str = "a-password-of-a-machine";
/// Nobody else listens on the host.
const PORT: u16 = 8080;
/// For it to listen (it makes its tables first), and for whoever asks it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The LAPI. It ends with the value.
#[derive(Debug)]
pub struct CrowdsecLapi {
    server: Option<Background>,
    network: PathBuf,
    folder: Folder,
}

impl CrowdsecLapi {
    /// With a bouncer and the machine `web-1`; `None` where there is no CrowdSec, which is said.
    ///
    /// # Panics
    /// When it does not start, and with `GUARD_TESTS_STRICT=1` when it is not there.
    #[must_use]
    pub fn start(host: &Namespace) -> Option<Self> {
        if !crate::require::programs(&["crowdsec", "cscli", "nsenter"]) {
            return None;
        }
        let folder = Folder::new();
        let at = folder.path().display().to_string();
        for name in ["data", "hub", "notifications"] {
            fs::create_dir(folder.join(name)).expect("a folder");
        }
        folder.write("hub/.index.json", "{}");
        folder.write("simulation.yaml", "simulation: false\n");
        folder.write(
            "profiles.yaml",
            "name: none\nfilters:\n - \"false\"\ndecisions:\n - type: ban\n   duration: 4h\non_success: break\n",
        );
        folder.write(
            "local.yaml",
            &format!("url: http://127.0.0.1:{PORT}\nlogin: own\npassword: {PASSWORD}\n"),
        );
        folder.write(
            "config.yaml",
            &format!(
                "common: {{daemonize: false, log_media: stdout, log_level: info, working_dir: {at}}}\n\
                 config_paths: {{config_dir: {at}, data_dir: {at}/data, simulation_path: {at}/simulation.yaml, \
                 hub_dir: {at}/hub, index_path: {at}/hub/.index.json, notification_dir: {at}/notifications}}\n\
                 cscli: {{output: human}}\n\
                 db_config: {{type: sqlite, db_path: {at}/data/crowdsec.db, use_wal: true}}\n\
                 api:\n  client: {{credentials_path: {at}/local.yaml}}\n  server:\n    log_level: info\n    \
                 listen_uri: 127.0.0.1:{PORT}\n    profiles_path: {at}/profiles.yaml\n\
                 prometheus: {{enabled: false}}\n"
            ),
        );
        let mut lapi = Self {
            server: None,
            network: host.path(),
            folder,
        };
        for name in ["own", "web-1"] {
            let words = ["machines", "add", name, "--password", PASSWORD, "--force"];
            lapi.cscli(&[&words[..], &["--file", "/dev/null"]].concat());
        }
        lapi.cscli(&["bouncers", "add", "guard", "--key", KEY]);
        lapi.run();
        Some(lapi)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.network.display()))
            .arg(name)
            .arg("-c")
            .arg(self.folder.join("config.yaml"));
        command
    }

    /// Starts it, with what it had stored.
    ///
    /// # Panics
    /// When it does not listen.
    pub fn run(&mut self) {
        let mut command = self.program("crowdsec");
        command.args(["-no-cs", "-no-capi"]);
        let server = Background::start(&mut command, self.folder.join("log"));
        let at = Namespace::of_others("lapi".to_owned(), self.network.clone());
        let listens = within(PATIENCE, || {
            at.run(|| TcpStream::connect(("127.0.0.1", PORT)).ok())
        });
        assert!(listens.is_some(), "does not listen: {}", server.said());
        self.server = Some(server);
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// What its operator types.
    ///
    /// # Panics
    /// When that fails.
    pub fn cscli(&self, words: &[&str]) -> String {
        let mut command = self.program("cscli");
        finish(command.args(words), PATIENCE).ok().stdout
    }

    /// Its operator imports decisions: lines of `ADDRESS`, banned for four hours.
    ///
    /// # Panics
    /// When that fails.
    pub fn import(&self, addresses: impl Iterator<Item = String>) {
        let mut text = "duration,scope,value\n".to_owned();
        for address in addresses {
            text += &format!("4h,Ip,{address}\n");
        }
        let file = self.folder.write("decisions.csv", &text);
        let file = file.to_str().expect("a path");
        self.cscli(&["decisions", "import", "-i", file]);
    }

    /// What a host joins.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{PORT}")
    }

    /// The file of the bouncer's key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.secret("bouncer", KEY)
    }

    /// The file of the machine's password.
    #[must_use]
    pub fn password(&self) -> PathBuf {
        self.secret("password", PASSWORD)
    }

    fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.write(name, text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, mode).expect("the mode");
        path
    }
}
