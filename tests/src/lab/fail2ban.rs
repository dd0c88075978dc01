//! A real fail2ban with files of its own.

use std::{fs, path::Path, process::Command, time::Duration};

use super::{Background, Folder, Namespace, Ran, finish, until};

/// Most that a command of its client may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// fail2ban-server inside a host, with a folder of configuration, socket and database of its own.
#[derive(Debug)]
pub struct Fail2ban {
    // Ended before its folder is taken away.
    server: Option<Background>,
    folder: Folder,
}

impl Fail2ban {
    /// The programs that it needs.
    pub const PROGRAMS: [&str; 2] = ["fail2ban-server", "fail2ban-client"];

    /// With these jails (`jail.conf`), the installed filters, and this action; not started yet.
    ///
    /// # Panics
    /// When its files cannot be written.
    #[must_use]
    pub fn new(jails: &str, action: &Path) -> Self {
        let folder = Folder::new();
        for name in ["action.d", "filter.d", "jail.d", "fail2ban.d"] {
            fs::create_dir(folder.join(name)).expect("a folder");
        }
        let name = action.file_name().expect("a file").to_string_lossy();
        fs::copy(action, folder.join("action.d").join(&*name)).expect("a copy");
        for filter in ["sshd", "common"] {
            let name = format!("filter.d/{filter}.conf");
            fs::copy(format!("/etc/fail2ban/{name}"), folder.join(&name)).expect("a copy");
        }
        let path = |name: &str| folder.join(name).display().to_string();
        let settings = format!(
            "[DEFAULT]\nloglevel = INFO\nlogtarget = {}\nsyslogsocket = none\nsocket = {}\npidfile = {}\n\
             dbfile = {}\ndbpurgeage = 1d\nallowipv6 = yes\n[Definition]\n[Thread]\n",
            path("log"),
            path("socket"),
            path("pid"),
            path("database"),
        );
        folder.write("fail2ban.conf", &settings);
        folder.write("jail.conf", jails);
        Self {
            server: None,
            folder,
        }
    }

    /// The folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it in a host with these variables; when this returns, it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn start<'v>(
        &mut self,
        host: &Namespace,
        variables: impl IntoIterator<Item = (&'v str, std::path::PathBuf)>,
    ) {
        let mut command = host.command("fail2ban-server");
        self.options(&mut command);
        command.args(["-f", "-x", "start"]).envs(variables);
        let said = self.folder.join("said");
        self.server = Some(Background::start(&mut command, said));
        until("fail2ban to answer", || {
            if let Some(server) = &mut self.server {
                server.assert_alive();
            }
            self.ask(&["ping"]).code == Some(0)
        });
    }

    /// Ends it in its own way, which lifts its bans.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&mut self) {
        let _ = self.ask(&["stop"]).ok();
        until("fail2ban to end", || {
            self.server.as_mut().is_none_or(Background::has_ended)
        });
        self.server = None;
    }

    /// `fail2ban-client WORDS`.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn ask(&self, words: &[&str]) -> Ran {
        let mut command = Command::new("fail2ban-client");
        self.options(&mut command);
        finish(command.args(words), PATIENCE)
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn options(&self, command: &mut Command) {
        let path = |name: &str| self.folder.join(name);
        command
            .arg("-c")
            .arg(self.folder.path())
            .arg("-s")
            .arg(path("socket"))
            .arg("-p")
            .arg(path("pid"));
    }
}
