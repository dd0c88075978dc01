//! A real CrowdSec of the installed package, its LAPI alone, on a port of loopback that the kernel chose: what its
//! operators decide becomes records for the daemon, and what this host's jails ban becomes its alerts.

#![expect(
    clippy::unwrap_used,
    reason = "if CrowdSec or openssl do something else than is known, the test fails there"
)]

mod certificates;
mod lapi;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, Instant},
};

use certificates::Certificates;
use guard_user::{
    control::fleet::{FleetRecord, OwnBan},
    failure::Failure,
    fleet::{
        agent::crowdsec::{self, CrowdsecStatus, Handover, JailBans},
        settings::{CrowdsecSettings, FleetSettings},
    },
};
use lapi::{KEY, Lapi, PASSWORD};

/// Two deltas, and what a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(40);

#[derive(Default)]
struct Daemon(Mutex<Vec<FleetRecord>>);

impl Handover for Daemon {
    async fn hand_over(&self, records: Vec<FleetRecord>) -> Result<(), Failure> {
        self.0.lock().unwrap().extend(records);
        Ok(())
    }
}

impl Daemon {
    /// Has it heard of this prefix, as banned or as lifted?
    fn has(&self, prefix: &str, is_lifted: bool) -> bool {
        let records = self.0.lock().unwrap();
        let is_it = |record: &&FleetRecord| record.prefix == prefix;
        records
            .iter()
            .rfind(is_it)
            .is_some_and(|record| (record.left == 0) == is_lifted)
    }
}

struct Bans(Vec<OwnBan>);

impl JailBans for Bans {
    async fn next(&mut self) -> Vec<OwnBan> {
        if self.0.is_empty() {
            std::future::pending::<()>().await;
        }
        std::mem::take(&mut self.0)
    }
}

/// guard-fleet's part of CrowdSec, as it runs, until `is_so`.
async fn until(
    what: &str,
    settings: &CrowdsecSettings,
    (daemon, status): (&Daemon, &CrowdsecStatus),
    bans: Vec<OwnBan>,
    is_so: impl AsyncFnOnce(),
) {
    let mut bans = Bans(bans);
    let playing = async {
        let played = tokio::time::timeout(3 * PATIENCE, is_so()).await;
        assert!(played.is_ok(), "{what}: {:?}", status.report());
    };
    tokio::select! {
        ended = crowdsec::run(settings, daemon, &mut bans, status) => panic!("{what}: it ended: {ended:?}"),
        () = playing => {}
    }
}

/// Waits for it.
async fn poll(what: &str, status: &CrowdsecStatus, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(
            started.elapsed() < PATIENCE,
            "not {what}: {:?}",
            status.report()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{what}: after {:?}", started.elapsed());
}

fn settings(url: String, key: Option<PathBuf>) -> CrowdsecSettings {
    CrowdsecSettings {
        url,
        key,
        ca: None,
        certificate: None,
        certificate_key: None,
        machine: None,
        password: None,
    }
}

#[tokio::test]
async fn what_operators_decide_is_in_force_and_what_they_delete_is_lifted() {
    let Some(lapi) = Lapi::start("") else {
        return;
    };
    lapi.cscli(&[
        "decisions",
        "add",
        "--ip",
        "203.0.113.7",
        "--duration",
        "4h",
        "--reason",
        "by hand",
    ]);
    let (daemon, status) = (Daemon::default(), CrowdsecStatus::default());
    let settings = settings(lapi.url(), Some(lapi.secret("key", KEY)));
    crowdsec::try_once(&settings).await.unwrap();
    until(
        "decisions",
        &settings,
        (&daemon, &status),
        Vec::new(),
        async || {
            poll("in force at the start", &status, || {
                daemon.has("203.0.113.7", false)
            })
            .await;
            lapi.cscli(&[
                "decisions",
                "add",
                "--range",
                "2001:db8:7::/48",
                "--duration",
                "1h",
            ]);
            lapi.cscli(&["decisions", "add", "--scope", "Country", "--value", "AQ"]);
            lapi.cscli(&[
                "decisions",
                "add",
                "--ip",
                "203.0.113.9",
                "--type",
                "captcha",
            ]);
            poll("a network by a delta", &status, || {
                daemon.has("2001:db8:7::/48", false)
            })
            .await;
            lapi.cscli(&["decisions", "delete", "--ip", "203.0.113.7"]);
            poll("lifted", &status, || daemon.has("203.0.113.7", true)).await;
        },
    )
    .await;
    let report = status.report();
    assert!(report.is_current && report.decisions == 1, "{report:?}");
    let skipped = ["country", "type captcha"].map(|name| (name.to_owned(), 1));
    assert_eq!(report.skipped, skipped);
    let records = daemon.0.lock().unwrap();
    assert_eq!(records[0].reason, "by hand (cscli)");
    assert!((14_000..=14_400).contains(&records[0].left), "{records:?}");
}

#[tokio::test]
async fn a_key_that_the_lapi_does_not_know_is_said() {
    let Some(lapi) = Lapi::start("") else {
        return;
    };
    let (daemon, status) = (Daemon::default(), CrowdsecStatus::default());
    let settings = settings(lapi.url(), Some(lapi.secret("key", "another")));
    let error = crowdsec::try_once(&settings).await.unwrap_err().to_string();
    assert!(
        error.contains("403") && error.contains("cscli bouncers"),
        "{error}"
    );
    until(
        "a wrong key",
        &settings,
        (&daemon, &status),
        Vec::new(),
        async || {
            poll("refused", &status, || status.report().state.contains("403")).await;
        },
    )
    .await;
    assert!(!status.report().is_current);
}

#[tokio::test]
async fn a_lapi_that_comes_back_is_asked_again_and_lifts_nothing_by_being_away() {
    let Some(mut lapi) = Lapi::start("") else {
        return;
    };
    lapi.cscli(&[
        "decisions",
        "add",
        "--ip",
        "203.0.113.7",
        "--duration",
        "4h",
    ]);
    let (daemon, status) = (Daemon::default(), CrowdsecStatus::default());
    let settings = settings(lapi.url(), Some(lapi.secret("key", KEY)));
    until(
        "away",
        &settings,
        (&daemon, &status),
        Vec::new(),
        async || {
            poll("in force", &status, || daemon.has("203.0.113.7", false)).await;
            lapi.stop();
            poll("away", &status, || !status.report().is_current).await;
            assert_eq!(status.report().decisions, 1);
            lapi.run();
            poll("back", &status, || status.report().is_current).await;
            lapi.cscli(&["decisions", "delete", "--ip", "203.0.113.7"]);
            poll("lifted", &status, || daemon.has("203.0.113.7", true)).await;
        },
    )
    .await;
}

#[tokio::test]
async fn what_jails_ban_is_an_alert_with_a_decision_and_comes_back_as_no_ban() {
    let Some(lapi) = Lapi::start("") else {
        return;
    };
    let (daemon, status) = (Daemon::default(), CrowdsecStatus::default());
    let mut settings = settings(lapi.url(), Some(lapi.secret("key", KEY)));
    settings.machine = Some("web-1".to_owned());
    settings.password = Some(lapi.secret("password", PASSWORD));
    crowdsec::try_once(&settings).await.unwrap();
    let ban = |prefix: &str, reason: &str| OwnBan {
        prefix: prefix.to_owned(),
        id: 1,
        left: Some(3600),
        reason: reason.to_owned(),
    };
    let bans = vec![
        ban("198.51.100.9/32", "jail sshd"),
        ban("2001:db8:9::/64", "jail nginx"),
        ban("198.51.100.10/32", "an operator"),
    ];
    until(
        "pushed",
        &settings,
        (&daemon, &status),
        bans.clone(),
        async || {
            poll("pushed", &status, || status.report().pushed == 2).await;
            let alerts = lapi.cscli(&["alerts", "list", "-o", "json"]);
            assert!(
                alerts.contains("guard/sshd") && alerts.contains("198.51.100.9"),
                "{alerts}"
            );
            let decisions = lapi.cscli(&["decisions", "list", "-o", "json"]);
            assert!(decisions.contains("2001:db8:9::/64"), "{decisions}");
            assert!(!decisions.contains("198.51.100.10"), "{decisions}");
            // One more, of somebody else, shows that the delta with ours has come back.
            lapi.cscli(&["decisions", "add", "--ip", "203.0.113.7"]);
            poll("another's", &status, || daemon.has("203.0.113.7", false)).await;
        },
    )
    .await;
    assert_eq!(daemon.0.lock().unwrap().len(), 1);

    // A guard-fleet that begins anew pushes nothing twice.
    let status = CrowdsecStatus::default();
    until(
        "not twice",
        &settings,
        (&daemon, &status),
        bans,
        async || {
            poll("current", &status, || status.report().is_current).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
        },
    )
    .await;
    assert_eq!(status.report().pushed, 0, "{:?}", status.report());
}

#[tokio::test]
async fn both_ends_show_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let Some(made) = Certificates::make(folder.path()) else {
        return;
    };
    let Some(lapi) = Lapi::start(&made.server_settings()) else {
        return;
    };
    let mut settings = settings(format!("https://127.0.0.1:{}", lapi.port()), None);
    settings.ca = Some(made.path("ca.pem"));
    settings.certificate = Some(made.path("bouncer.pem"));
    settings.certificate_key = Some(made.path("bouncer.key"));
    crowdsec::try_once(&settings).await.unwrap();

    settings.ca = Some(made.path("another.pem"));
    let error = crowdsec::try_once(&settings).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    settings.ca = Some(made.path("server.key"));
    let error = crowdsec::try_once(&settings).await.unwrap_err().to_string();
    assert!(error.contains("server.key"), "{error}");
    settings.ca = Some(made.path("ca.pem"));
    settings.certificate = Some(made.path("stranger.pem"));
    settings.certificate_key = Some(made.path("stranger.key"));
    crowdsec::try_once(&settings).await.unwrap_err();
}

#[tokio::test]
async fn a_socket_of_this_host_does_as_well() {
    let Some(lapi) = Lapi::start("") else {
        return;
    };
    // This version listens on no such socket itself.
    let path = lapi.path("lapi.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let port = lapi.port();
    let relaying = tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        }
    });
    let settings = settings(
        format!("unix:{}", path.display()),
        Some(lapi.secret("key", KEY)),
    );
    crowdsec::try_once(&settings).await.unwrap();
    relaying.abort();
}

#[test]
fn joining_asks_first_and_leaving_takes_the_file_away() {
    let Some(lapi) = Lapi::start("") else {
        return;
    };
    let key = lapi.secret("key", "wrong");
    if let Some(user) = nix::unistd::User::from_name("guard-fleet").unwrap() {
        nix::unistd::chown(&key, Some(user.uid), Some(user.gid)).unwrap();
    }
    let file = lapi.path("etc/fleet.toml");
    let guardctl = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_guardctl"));
        for (name, folder) in [
            ("GUARD_ETC", "etc"),
            ("GUARD_STATE", "state"),
            ("GUARD_RUN", "run"),
        ] {
            command.env(name, lapi.path(folder));
        }
        let output = command.arg("crowdsec").args(args).output().unwrap();
        println!("{args:?}: {output:?}");
        output.status.code()
    };
    let (url, key_file) = (lapi.url(), key.display().to_string());
    let join = ["join", &url, "--key", &key_file];
    // The key, the address, nothing there, the words.
    assert_eq!(guardctl(&join), Some(4));
    assert_eq!(
        guardctl(&["join", "http://203.0.113.9", "--key", &key_file]),
        Some(2)
    );
    assert_eq!(
        guardctl(&["join", "http://127.0.0.1:1", "--key", &key_file]),
        Some(12)
    );
    assert_eq!(guardctl(&["join", &url]), Some(2));
    assert_eq!(guardctl(&["join", &url, "--key", "/nowhere"]), Some(1));
    assert_eq!(guardctl(&["leave"]), Some(6));
    assert!(!file.exists());

    fs::write(&key, KEY).unwrap();
    assert_eq!(guardctl(&join), Some(0));
    let settings = FleetSettings::read(&file).unwrap();
    assert_eq!(settings.crowdsec.unwrap().key, Some(key));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(guardctl(&join), Some(7));
    assert_eq!(guardctl(&["leave"]), Some(0));
    assert!(!file.exists());
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}
