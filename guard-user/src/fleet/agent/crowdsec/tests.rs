//! A LAPI that answers well, badly, slowly, endlessly or not at all: what is known stays, and nothing ends guard-fleet.

use std::{
    collections::VecDeque,
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    fake::{FakeLapi, Heard, Reply},
    *,
};

/// What was handed over, by a daemon that takes everything.
#[derive(Default)]
struct Daemon {
    records: Mutex<Vec<FleetRecord>>,
    refusals: Mutex<u32>,
}

impl Handover for Daemon {
    async fn hand_over(&self, records: Vec<FleetRecord>) -> Result<(), Failure> {
        assert!(records.len() <= crate::control::fleet::MOST_RECORDS);
        let bytes: usize = records.iter().map(FleetRecord::bytes).sum();
        assert!(bytes <= crate::control::fleet::MOST_ROOM, "{bytes}");
        let mut refusals = self.refusals.lock().expect("refusals");
        if *refusals > 0 {
            *refusals -= 1;
            return Err(Failure::new(Exit::NoAnswer, "away"));
        }
        self.records.lock().expect("records").extend(records);
        Ok(())
    }
}

impl Daemon {
    fn prefixes(&self) -> Vec<(String, u32)> {
        let records = self.records.lock().expect("records");
        let line = |record: &FleetRecord| (record.prefix.clone(), record.left);
        records.iter().map(line).collect()
    }
}

/// Bans of this host, all at once, and then none.
#[derive(Default)]
struct Bans(VecDeque<Vec<OwnBan>>);

impl JailBans for Bans {
    async fn next(&mut self) -> Vec<OwnBan> {
        match self.0.pop_front() {
            Some(bans) => bans,
            None => std::future::pending().await,
        }
    }
}

struct Scene {
    folder: tempfile::TempDir,
    settings: CrowdsecSettings,
    daemon: Daemon,
    bans: Bans,
    status: CrowdsecStatus,
    patience: Patience,
}

fn secret(folder: &std::path::Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("a secret");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    path
}

impl Scene {
    fn new(url: String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = secret(folder.path(), "key", "0123abc\n");
        let settings = CrowdsecSettings {
            url,
            key: Some(key),
            ca: None,
            certificate: None,
            certificate_key: None,
            machine: None,
            password: None,
        };
        let patience = Patience {
            connect: Duration::from_millis(500),
            head: Duration::from_millis(500),
            piece: Duration::from_millis(500),
            whole: Duration::from_secs(60),
            most: 64 << 20,
        };
        Self {
            folder,
            settings,
            daemon: Daemon::default(),
            bans: Bans::default(),
            status: CrowdsecStatus::default(),
            patience,
        }
    }

    fn with(lapi: &FakeLapi) -> Self {
        Self::new(format!("http://127.0.0.1:{}", lapi.port))
    }

    fn pushes(&mut self) {
        self.settings.machine = Some("web-1".to_owned());
        self.settings.password = Some(secret(self.folder.path(), "password", "secret"));
    }

    /// Plays until it is so, or for ten seconds.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Daemon, &CrowdsecReport) -> bool) {
        let client = Client::new(&self.settings, self.patience).expect("settings");
        let rhythm = Rhythm {
            delta: Duration::from_millis(20),
            all: Duration::from_secs(3600),
            retry: Duration::from_millis(20),
            most_retry: Duration::from_millis(100),
        };
        let window = Duration::from_millis(30);
        let started = Instant::now();
        let (daemon, status) = (&self.daemon, &self.status);
        let watching = async {
            while !is_so(daemon, &status.report()) {
                let waited = started.elapsed();
                assert!(
                    waited < Duration::from_secs(10),
                    "not {what}: {:?} {:?}",
                    status.report(),
                    daemon.prefixes().len()
                );
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = run_with(&client, daemon, &mut self.bans, status, rhythm, window) => {
                panic!("it has ended");
            }
            () = watching => {}
        }
    }
}

use crate::control::fleet::CrowdsecReport;

fn decision(id: u64, value: &str, duration: &str) -> serde_json::Value {
    json!({
        "duration": duration, "id": id, "origin": "cscli", "scenario": "test", "scope": "Ip", "type": "ban",
        "value": value,
    })
}

fn lists(new: serde_json::Value, deleted: serde_json::Value) -> Reply {
    Reply::Json(200, json!({"deleted": deleted, "new": new}).to_string())
}

fn nothing() -> Reply {
    lists(json!(null), json!(null))
}

fn is_pull(heard: &Heard) -> bool {
    heard.is_for("/v1/decisions/stream")
}

fn is_all(heard: &Heard) -> bool {
    heard.head.contains("startup=true")
}

#[tokio::test]
async fn decisions_are_handed_over_and_deletions_lift_them() {
    let lapi = FakeLapi::new(|number, heard| {
        assert!(
            is_pull(heard) || heard.is_for("/v1/usage-metrics"),
            "{heard:?}"
        );
        match number {
            0 => lists(json!([decision(1, "203.0.113.7", "4h")]), json!(null)),
            1 => lists(json!([]), json!([decision(9, "203.0.113.7", "-1m")])),
            _ if is_pull(heard) => nothing(),
            _ => Reply::Json(404, String::new()),
        }
    })
    .await;
    let mut scene = Scene::with(&lapi);
    scene
        .until("lifted", |daemon, _| {
            daemon.prefixes()
                == [
                    ("203.0.113.7".to_owned(), 14_399),
                    ("203.0.113.7".to_owned(), 0),
                ]
                || daemon.prefixes()
                    == [
                        ("203.0.113.7".to_owned(), 14_400),
                        ("203.0.113.7".to_owned(), 0),
                    ]
        })
        .await;
    let records = scene.daemon.records.lock().expect("records").clone();
    assert_eq!(records[0].by, "crowdsec");
    assert_eq!(records[0].reason, "test (cscli)");
    assert_eq!(records[0].id, records[1].id);
    let heard = lapi.heard();
    assert!(is_all(&heard[0]) && !is_all(&heard[1]));
    assert!(heard[0].head.contains("x-api-key: 0123abc"));
    assert!(heard[0].head.contains("user-agent: guard/"));
}

#[tokio::test]
async fn after_every_bad_answer_everything_is_asked_for_and_nothing_is_lifted() {
    let half = r#"{"deleted":[{"duration":"-1m","id":9,"scope":"Ip","type":"ban","value":"203.0.113.7"}],"new":["#;
    let bad = move |number: usize| match number {
        1 => Reply::Cut(half.to_owned()),
        2 => Reply::Json(500, "<html>".to_owned()),
        3 => Reply::Json(200, format!("{half}]")),
        4 => Reply::Bytes(b"\0\0\0 no HTTP \xff\r\n\r\n".to_vec()),
        5 => Reply::Bytes(Vec::new()),
        6 => Reply::Stuck(half.to_owned()),
        7 => Reply::Silence,
        8 => Reply::Json(502, String::new()),
        9 => Reply::Bytes(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)).into()),
        10 => Reply::Json(204, String::new()),
        11 => Reply::Json(301, String::new()),
        _ => lists(json!([decision(2, "203.0.113.8", "1h")]), json!(null)),
    };
    let lapi = FakeLapi::new(move |number, heard| match number {
        0 => lists(json!([decision(1, "203.0.113.7", "4h")]), json!(null)),
        _ if is_pull(heard) => bad(number),
        _ => Reply::Json(404, String::new()),
    })
    .await;
    let mut scene = Scene::with(&lapi);
    // Usage metrics come in between, and would be counted.
    scene.patience.connect = Duration::from_secs(2);
    scene
        .until("well again", |daemon, report| {
            daemon.prefixes().len() >= 2 && report.is_current
        })
        .await;
    assert!(scene.daemon.prefixes().iter().all(|(_, left)| *left > 0));
    assert_eq!(scene.status.report().decisions, 2);
    let pulls: Vec<bool> = lapi
        .heard()
        .iter()
        .filter(|heard| is_pull(heard))
        .map(is_all)
        .collect();
    // The delta, and from then on everything.
    assert!(
        pulls[0] && !pulls[1] && pulls[2..10].iter().all(|is_all| *is_all),
        "{pulls:?}"
    );
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let lapi = FakeLapi::new(|_, _| Reply::Endless).await;
    let mut scene = Scene::with(&lapi);
    scene.patience.most = 2 << 20;
    scene
        .until("cut off", |_, report| {
            report.state.contains("more than 2097152 bytes")
        })
        .await;
    assert!(scene.daemon.prefixes().is_empty());
}

#[tokio::test]
async fn a_wrong_key_is_said_and_a_right_one_counts_at_once() {
    let lapi = FakeLapi::new(|_, heard| {
        if heard.head.contains("x-api-key: right") {
            lists(json!([decision(1, "203.0.113.7", "4h")]), json!(null))
        } else {
            Reply::Json(
                403,
                json!({"message": "access forbidden\u{1b}[31m"}).to_string(),
            )
        }
    })
    .await;
    let mut scene = Scene::with(&lapi);
    scene
        .until("refused", |_, report| {
            report.state.contains("key") && report.state.contains("403")
        })
        .await;
    assert!(!scene.status.report().state.contains('\u{1b}'));
    assert!(!scene.status.report().is_current);
    secret(scene.folder.path(), "key", "right");
    scene
        .until("in force", |daemon, report| {
            report.is_current && !daemon.prefixes().is_empty()
        })
        .await;
}

#[tokio::test]
async fn a_key_that_others_can_read_is_not_sent() {
    let lapi = FakeLapi::new(|_, _| nothing()).await;
    let mut scene = Scene::with(&lapi);
    let key = scene.settings.key.clone().expect("a key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("its mode");
    scene
        .until("refused", |_, report| report.state.contains("every user"))
        .await;
    assert!(lapi.heard().is_empty());
}

#[tokio::test]
async fn nobody_there_is_said_and_known_decisions_stay() {
    let mut scene = Scene::new("http://127.0.0.1:1".to_owned());
    scene
        .until("away", |_, report| report.state.contains("no answer"))
        .await;
    scene.settings.url = format!("unix:{}/none.sock", scene.folder.path().display());
    scene.status = CrowdsecStatus::default();
    scene
        .until("away", |_, report| report.state.contains("no answer"))
        .await;
}

#[tokio::test]
async fn what_is_no_address_is_counted_and_no_reason_is_a_strangers() {
    let lapi = FakeLapi::new(|number, _| {
        if number > 0 {
            return nothing();
        }
        let mut strange = decision(1, "203.0.113.7", "2400h");
        strange["scenario"] = json!("a\u{1b}[31m\n".repeat(100));
        let mut country = decision(2, "CN", "4h");
        country["scope"] = json!("Country");
        let mut captcha = decision(3, "203.0.113.9", "4h");
        captcha["type"] = json!("captcha");
        let none = decision(4, "203.0.113.777", "4h");
        lists(json!([strange, country, captcha, none]), json!([]))
    })
    .await;
    let mut scene = Scene::with(&lapi);
    scene
        .until("in force", |daemon, report| {
            report.is_current && !daemon.prefixes().is_empty()
        })
        .await;
    let names = ["country", "no address", "type captcha"].map(|name| (name.to_owned(), 1));
    assert_eq!(scene.status.report().skipped, names);
    let record = scene.daemon.records.lock().expect("records")[0].clone();
    assert_eq!(record.left, crate::control::fleet::MOST_SECONDS);
    assert!(record.reason.len() <= crate::control::fleet::MOST_REASON);
    assert!(
        record
            .reason
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte))
    );
}

#[tokio::test]
async fn metrics_are_sent_until_the_lapi_does_not_know_them() {
    let lapi = FakeLapi::new(|_, heard| {
        if is_pull(heard) {
            nothing()
        } else {
            Reply::Json(404, String::new())
        }
    })
    .await;
    let mut scene = Scene::with(&lapi);
    let started = Instant::now();
    scene
        .until("over", |_, _| {
            started.elapsed() > Duration::from_millis(400)
        })
        .await;
    let metrics: Vec<_> = lapi
        .heard()
        .into_iter()
        .filter(|heard| heard.is_for("/v1/usage-metrics"))
        .collect();
    assert_eq!(metrics.len(), 1);
    assert!(
        metrics[0].body.contains("active_decisions"),
        "{}",
        metrics[0].body
    );
    assert!(scene.status.report().is_current);
}

#[tokio::test]
async fn a_daemon_that_did_not_answer_hears_everything_again() {
    let lapi = FakeLapi::new(|number, _| match number {
        0 => lists(json!([decision(1, "203.0.113.7", "4h")]), json!(null)),
        _ => nothing(),
    })
    .await;
    let mut scene = Scene::with(&lapi);
    *scene.daemon.refusals.lock().expect("refusals") = 3;
    scene
        .until("handed over", |daemon, _| daemon.prefixes().len() == 1)
        .await;
}

#[tokio::test]
async fn bans_of_jails_become_alerts_and_are_no_bans_when_they_come_back() {
    let lapi = FakeLapi::new(|number, heard| {
        if heard.is_for("/v1/watchers/login") {
            assert!(
                heard.body.contains(r#""password":"secret""#),
                "{}",
                heard.body
            );
            return Reply::Json(200, json!({"code": 200, "token": "a.b.c"}).to_string());
        }
        if heard.is_for("/v1/alerts") {
            // The first time, the token is refused.
            return if number < 4 {
                Reply::Json(401, String::new())
            } else {
                Reply::Json(201, r#"["1"]"#.into())
            };
        }
        if !is_pull(heard) {
            return Reply::Json(200, String::new());
        }
        let mut own = decision(1, "203.0.113.7", "4h");
        own["scenario"] = json!("guard/sshd on web-1");
        lists(json!([own]), json!(null))
    })
    .await;
    let mut scene = Scene::with(&lapi);
    scene.pushes();
    let own = |prefix: &str, reason: &str| OwnBan {
        prefix: prefix.to_owned(),
        id: 1,
        left: Some(600),
        reason: reason.to_owned(),
    };
    // The LAPI has the first already.
    scene.bans.0.push_back(vec![
        own("203.0.113.7/32", "jail sshd"),
        own("203.0.113.8/32", "jail sshd"),
        own("203.0.113.9/32", "an operator"),
    ]);
    scene.until("pushed", |_, report| report.pushed == 1).await;
    assert!(scene.daemon.prefixes().is_empty());
    let heard = lapi.heard();
    let alert = heard
        .iter()
        .rfind(|heard| heard.is_for("/v1/alerts"))
        .expect("an alert");
    assert!(
        alert.head.contains("authorization: bearer a.b.c"),
        "{}",
        alert.head
    );
    let alert: serde_json::Value = serde_json::from_str(&alert.body).expect("JSON");
    assert_eq!(alert.as_array().map(Vec::len), Some(1));
    assert_eq!(alert[0]["source"]["ip"], "203.0.113.8");
    // By the LAPI's clock, whatever ours says.
    assert!(
        alert[0]["stop_at"]
            .as_str()
            .expect("a time")
            .starts_with("2026-11-30T05:46:0")
    );
}

#[tokio::test]
async fn a_hundred_thousand_decisions_are_handed_over_within_seconds() {
    let list: Vec<_> = (0..100_000_u32)
        .map(|number| {
            let ip = std::net::Ipv4Addr::from(0x0b00_0000 + number);
            decision(u64::from(number), &ip.to_string(), "3h59m57.6s")
        })
        .collect();
    let text = json!({"deleted": null, "new": list}).to_string();
    let bytes = text.len();
    let lapi = FakeLapi::new(move |number, _| match number {
        0 => Reply::Json(200, text.clone()),
        _ => nothing(),
    })
    .await;
    let mut scene = Scene::with(&lapi);
    let started = Instant::now();
    scene
        .until("all of them", |daemon, _| {
            daemon.records.lock().expect("records").len() == 100_000
        })
        .await;
    println!(
        "100 000 decisions ({bytes} bytes) handed over in {:?}",
        started.elapsed()
    );
}
