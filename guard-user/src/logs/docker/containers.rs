//! Names of containers to their log files, read from Docker's own files: its engine need not answer,
//! and a container that is stopped has a log, too.

use std::{
    fmt, fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::text::nearest::nearest;

/// Where the engine's settings are.
pub const DAEMON_JSON: &str = "/etc/docker/daemon.json";
/// Where its files are if the settings say nothing else.
const DEFAULT_ROOT: &str = "/var/lib/docker";
/// The driver whose files can be read.
const JSON_FILE: &str = "json-file";
/// Most bytes of one of Docker's files; they are a few kilobytes.
const MOST_BYTES: u64 = 4 << 20;
/// Names that an error tells at most.
const MOST_LISTED: usize = 5;

/// The folder of Docker's files, as this `daemon.json` says it.
#[must_use]
pub fn root(daemon_json: &Path) -> PathBuf {
    #[derive(Deserialize)]
    struct Settings {
        #[serde(rename = "data-root")]
        root: Option<PathBuf>,
        /// The name of old versions.
        graph: Option<PathBuf>,
    }
    let said = read::<Settings>(daemon_json)
        .ok()
        .and_then(|settings| settings.root.or(settings.graph));
    said.filter(|root| root.is_absolute())
        .unwrap_or_else(|| DEFAULT_ROOT.into())
}

/// The logs of the containers that are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerLogs {
    /// Files of `json-file`, by the names of their containers. One may not exist yet.
    pub files: Vec<PathBuf>,
    /// Containers that are meant and whose logs are elsewhere.
    pub unread: Vec<Unread>,
}

/// A container whose log is no such file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unread {
    /// Its name.
    pub container: String,
    /// Its log driver.
    pub driver: String,
}

impl Unread {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        let name = &self.container;
        if self.driver == "journald" {
            return format!("write journal = \"CONTAINER_NAME={name}\" instead");
        }
        format!(
            "start it with --log-driver=json-file, or follow the files that {name} itself writes"
        )
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { container, driver } = self;
        match driver.as_str() {
            "none" => write!(
                f,
                "the container {container} keeps no log (log driver none)"
            ),
            _ => write!(
                f,
                "the container {container} logs to {driver}, not to a {JSON_FILE}"
            ),
        }
    }
}

/// Why there is no log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The name is no pattern.
    BadPattern(String),
    /// Docker's files cannot be read, or there are none.
    NoDocker {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        error: String,
    },
    /// No container has such a name.
    NoContainer {
        /// What was asked for.
        pattern: String,
        /// The name that was meant, perhaps.
        near: Option<String>,
        /// Names that there are, some of them.
        names: Vec<String>,
    },
    /// All that are meant log to something else.
    OtherDrivers(Vec<Unread>),
}

impl Why {
    /// A way out.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::BadPattern(_) => "write \"web\", or \"web-*\"".to_owned(),
            Self::NoDocker { .. } => {
                format!("its folder is the data-root of {DAEMON_JSON}, else {DEFAULT_ROOT}")
            }
            Self::NoContainer {
                near: Some(near), ..
            } => format!("did you mean `{near}`?"),
            Self::NoContainer { names, .. } if names.is_empty() => {
                "there are no containers; its log is read as soon as there is one".to_owned()
            }
            Self::NoContainer { names, .. } => format!("there are {}", names.join(", ")),
            Self::OtherDrivers(unread) => unread.first().map(Unread::help).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadPattern(wrong) => write!(f, "{wrong}"),
            Self::NoDocker { folder, error } => {
                write!(f, "no containers in {}: {error}", folder.display())
            }
            Self::NoContainer { pattern, .. } => write!(f, "there is no container `{pattern}`"),
            Self::OtherDrivers(unread) => {
                let lines: Vec<String> = unread
                    .iter()
                    .take(MOST_LISTED)
                    .map(Unread::to_string)
                    .collect();
                f.write_str(&lines.join("; "))
            }
        }
    }
}

/// The logs of the containers below Docker's `root` whose name fits `pattern` (`web`, `web-*`).
///
/// # Errors
/// Why there is none. What is missing may come later: ask again.
pub fn log_files(root: &Path, pattern: &str) -> Result<ContainerLogs, Why> {
    let fits = glob::Pattern::new(pattern)
        .map_err(|error| Why::BadPattern(format!("`{pattern}` is not a pattern: {error}")))?;
    let folder = root.join("containers");
    let entries = fs::read_dir(&folder).map_err(|error| Why::NoDocker {
        folder: folder.clone(),
        error: error.to_string(),
    })?;
    // A container that goes away while it is looked at is none.
    let mut containers: Vec<Container> = entries
        .filter_map(|entry| Container::read(&entry.ok()?.path()).ok())
        .collect();
    containers.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    let mut found = ContainerLogs::default();
    for container in containers.iter().filter(|one| fits.matches(&one.name)) {
        if container.driver == JSON_FILE {
            found.files.push(container.log.clone());
        } else {
            found.unread.push(Unread {
                container: container.name.clone(),
                driver: container.driver.clone(),
            });
        }
    }
    if !found.files.is_empty() {
        return Ok(found);
    }
    if !found.unread.is_empty() {
        return Err(Why::OtherDrivers(found.unread));
    }
    let names = containers.iter().map(|container| container.name.as_str());
    Err(Why::NoContainer {
        pattern: pattern.to_owned(),
        near: nearest(pattern, names.clone()).map(str::to_owned),
        names: names.take(MOST_LISTED).map(str::to_owned).collect(),
    })
}

struct Container {
    name: String,
    driver: String,
    log: PathBuf,
}

impl Container {
    fn read(folder: &Path) -> io::Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Config {
            name: String,
            #[serde(default)]
            log_path: PathBuf,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct HostConfig {
            log_config: LogConfig,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct LogConfig {
            #[serde(rename = "Type")]
            driver: String,
        }
        let config: Config = read(&folder.join("config.v2.json"))?;
        let host: HostConfig = read(&folder.join("hostconfig.json"))?;
        let id = folder.file_name().unwrap_or_default();
        let is_said = config.log_path.is_absolute();
        Ok(Self {
            // Docker keeps it with a slash in front.
            name: config.name.trim_start_matches('/').to_owned(),
            driver: host.log_config.driver,
            // It is said when the container is started for the first time, and is this.
            log: if is_said {
                config.log_path
            } else {
                folder.join(format!("{}-json.log", id.to_string_lossy()))
            },
        })
    }
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> io::Result<T> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path)?;
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Containers by id, name, driver, and what Docker says of the log.
    fn docker(containers: &[(&str, &str, &str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("containers")).unwrap();
        for (id, name, driver, log) in containers {
            let folder = root.path().join("containers").join(id);
            fs::create_dir(&folder).unwrap();
            let config =
                format!(r#"{{"ID":"{id}","Name":"/{name}","LogPath":"{log}","State":{{}}}}"#);
            fs::write(folder.join("config.v2.json"), config).unwrap();
            let host = format!(
                r#"{{"Binds":null,"LogConfig":{{"Type":"{driver}","Config":{{"max-size":"1m"}}}}}}"#
            );
            fs::write(folder.join("hostconfig.json"), host).unwrap();
        }
        root
    }

    #[test]
    fn a_name_or_a_pattern_means_the_logs_of_its_containers() {
        let root = docker(&[
            ("c3", "web-2", "json-file", "/x/c3/c3-json.log"),
            ("c1", "web", "json-file", "/x/c1/c1-json.log"),
            ("c2", "web-1", "json-file", "/x/c2/c2-json.log"),
            ("c4", "db", "json-file", ""),
            ("c5", "mail", "journald", ""),
            ("c6", "web-9", "local", "/x/c6/local-logs/container.log"),
        ]);
        // Neither half a container nor anything else in the folder is one.
        fs::create_dir(root.path().join("containers/c7")).unwrap();
        fs::write(root.path().join("containers/c7/config.v2.json"), "{").unwrap();
        fs::write(root.path().join("containers/note"), "").unwrap();

        let files = |pattern: &str| log_files(root.path(), pattern).unwrap().files;
        let path = PathBuf::from;
        assert_eq!(files("web"), [path("/x/c1/c1-json.log")]);
        assert_eq!(
            files("web-?"),
            [path("/x/c2/c2-json.log"), path("/x/c3/c3-json.log")]
        );
        assert_eq!(files("w*").len(), 3);
        assert_eq!(files("db"), [root.path().join("containers/c4/c4-json.log")]);
        let unread = log_files(root.path(), "web-*").unwrap().unread;
        assert_eq!(unread.len(), 1);
        assert!(unread[0].to_string().contains("web-9 logs to local"));
    }

    #[test]
    fn where_there_is_no_log_the_reason_and_a_way_out_are_told() {
        let root = docker(&[
            ("c1", "web", "json-file", ""),
            ("c2", "mail", "journald", ""),
            ("c3", "quiet", "none", ""),
            ("c4", "far", "syslog", ""),
        ]);
        let empty = docker(&[]);
        let nothing = Path::new("/nonexistent");
        for (root, pattern, said, help) in [
            (
                root.path(),
                "mail",
                "mail logs to journald",
                "journal = \"CONTAINER_NAME=mail\"",
            ),
            (
                root.path(),
                "quiet",
                "keeps no log",
                "--log-driver=json-file",
            ),
            (
                root.path(),
                "far",
                "far logs to syslog",
                "--log-driver=json-file",
            ),
            (
                root.path(),
                "wbe",
                "no container `wbe`",
                "did you mean `web`?",
            ),
            (
                root.path(),
                "x-*",
                "no container `x-*`",
                "far, mail, quiet, web",
            ),
            (root.path(), "[", "not a pattern", "web-*"),
            (empty.path(), "web", "no container `web`", "as soon as"),
            (
                nothing,
                "web",
                "no containers in /nonexistent/containers",
                "data-root",
            ),
        ] {
            let why = log_files(root, pattern).unwrap_err();

            assert!(why.to_string().contains(said), "{pattern}: {why}");
            assert!(why.help().contains(help), "{pattern}: {}", why.help());
        }
    }

    #[test]
    fn the_folder_is_that_of_the_engines_settings() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("daemon.json");
        for (text, root_is) in [
            (r#"{"data-root":"/srv/docker","debug":true}"#, "/srv/docker"),
            (r#"{"graph":"/old"}"#, "/old"),
            (r#"{"debug":true}"#, DEFAULT_ROOT),
            (r#"{"data-root":"relative"}"#, DEFAULT_ROOT),
            ("{", DEFAULT_ROOT),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(root(&file), PathBuf::from(root_is), "{text}");
        }
        assert_eq!(root(Path::new("/nonexistent")), PathBuf::from(DEFAULT_ROOT));
    }
}
