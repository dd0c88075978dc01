//! The chapters, and what has to be there before their commands are typed.

use guard_tests::require;
use guard_user::ruleset::mmdb::written::Database;

use super::{
    document::{all, commands},
    scene::Scene,
};

/// What a command is that is not simply typed and ends with 0.
enum Typed {
    /// It ends with this code, as the chapter says.
    Exit(i32),
    /// An operator types this for it.
    As(&'static str),
    /// Another test runs it, or nobody can here.
    Elsewhere(&'static str),
}
use Typed::{As, Elsewhere, Exit};

struct Chapter {
    path: &'static str,
    prepare: fn(&mut Scene),
    /// By what a command begins with.
    exceptions: &'static [(&'static str, Typed)],
}

const MOVING_IN: &str = "the test `moving_in`";
const CROWDSEC: &str = "the test `crowdsec`";
const FLEET: &str = "the tests `fleet` and `received`";
const PACKAGES: &str = "the scenes of the virtual server";
const SHELL_OF_OTHERS: &str = "no command of guard";

const CHAPTERS: &[Chapter] = &[
    Chapter {
        path: "README.md",
        prepare: readme,
        exceptions: &[
            ("cargo ", Elsewhere("the demo and this run")),
            ("apt-get ", Elsewhere(PACKAGES)),
            ("guardctl setup", As("guardctl setup --dry-run")),
            ("guardctl import ufw", Elsewhere(MOVING_IN)),
            ("guardctl delete 3", As("guardctl delete 3 --yes")),
            ("guardctl disable", As(OFF_AND_ON)),
            ("guardctl top", As(TOP)),
            ("guardctl import fail2ban", Elsewhere("tests of fail2ban")),
            (
                "guardctl filter test sshd",
                As("guardctl filter test sshd auth.log"),
            ),
        ],
    },
    Chapter {
        path: "docs/guide/first-hour.md",
        prepare: nothing,
        exceptions: &[
            (
                "guardctl setup",
                As("guardctl setup --yes && guardctl disable"),
            ),
            ("guardctl stats --watch", As(WATCH)),
        ],
    },
    Chapter {
        path: "docs/guide/watching.md",
        prepare: enabled_with_ssh,
        exceptions: &[
            ("guardctl monitor", As(MONITOR)),
            ("guardctl top", As(TOP)),
            (
                "guardctl capture",
                As("guardctl capture -w drops.pcapng --for 1s"),
            ),
        ],
    },
    Chapter {
        path: "docs/guide/web.md",
        prepare: enabled_with_ssh,
        exceptions: &[
            ("ssh ", Elsewhere("another machine")),
            ("guardctl web", As(WEB)),
        ],
    },
    Chapter {
        path: "docs/guide/from-ufw.md",
        prepare: nothing,
        exceptions: &[
            ("guardctl import ", Elsewhere(MOVING_IN)),
            ("guardctl disable", As(OFF_AND_ON)),
            // The table opens ports before.
            ("guardctl enable --no-ingress", Exit(5)),
            ("guardctl stats --watch", As(WATCH)),
            ("guardctl apply FILE", As("guardctl apply policy.toml")),
            (
                "guardctl bans import FILE",
                As("guardctl bans import drop.txt"),
            ),
        ],
    },
    Chapter {
        path: "docs/guide/from-firewalld.md",
        prepare: enabled_with_ssh,
        exceptions: &[("guardctl import ", Elsewhere(MOVING_IN))],
    },
    Chapter {
        path: "docs/guide/from-nftables.md",
        prepare: enabled_with_ssh,
        exceptions: &[
            ("guardctl import ", Elsewhere(MOVING_IN)),
            ("iptables-save", Elsewhere(MOVING_IN)),
            ("ip6tables-save", Elsewhere(MOVING_IN)),
        ],
    },
    Chapter {
        path: "docs/guide/install.md",
        prepare: nothing,
        exceptions: &[
            // Without a server of logins it would propose to let nobody in.
            ("guardctl setup", As("guardctl allow 22/tcp")),
            ("sha256sum ", Elsewhere(PACKAGES)),
            ("apt-get ", Elsewhere(PACKAGES)),
            ("dnf ", Elsewhere(PACKAGES)),
            ("tar ", Elsewhere(PACKAGES)),
            ("system", Elsewhere(PACKAGES)),
        ],
    },
    Chapter {
        path: "docs/guide/docker.md",
        prepare: enabled_with_ssh,
        exceptions: &[
            ("ufw ", Elsewhere("the test `docker`")),
            ("docker ", Elsewhere("the test `docker`")),
        ],
    },
    Chapter {
        path: "docs/guide/bans.md",
        prepare: enabled_with_ssh,
        exceptions: &[],
    },
    Chapter {
        path: "docs/guide/jails.md",
        prepare: jails,
        exceptions: &[],
    },
    Chapter {
        path: "docs/guide/crowdsec.md",
        prepare: nothing,
        exceptions: &[
            ("install ", Elsewhere(CROWDSEC)),
            ("editor ", Elsewhere(CROWDSEC)),
            ("systemctl ", Elsewhere(PACKAGES)),
            ("guardctl crowdsec ", Elsewhere(CROWDSEC)),
        ],
    },
    Chapter {
        path: "docs/guide/fleet.md",
        prepare: nothing,
        exceptions: &[
            ("guard-fleet ", Elsewhere(FLEET)),
            ("nats-server ", Elsewhere(FLEET)),
            ("chown ", Elsewhere(FLEET)),
            ("chmod ", Elsewhere(FLEET)),
            ("systemctl ", Elsewhere(PACKAGES)),
            ("guardctl fleet join", Elsewhere(FLEET)),
            ("guardctl fleet trust", Elsewhere(FLEET)),
            ("guardctl fleet policy", Elsewhere(FLEET)),
            ("guardctl fleet publish", Elsewhere(FLEET)),
            ("guardctl fleet hosts", Elsewhere(FLEET)),
            ("guardctl fleet quarantine", Elsewhere(FLEET)),
            ("guardctl fleet leave", Elsewhere(FLEET)),
        ],
    },
    Chapter {
        path: "docs/guide/from-fail2ban.md",
        prepare: jails,
        exceptions: &[
            ("guardctl ban ADDRESS", As("guardctl ban 203.0.113.7")),
            ("guardctl unban ADDRESS", As("guardctl unban 203.0.113.7")),
            (
                "guardctl jail disable NAME",
                As("guardctl jail disable web"),
            ),
            (
                "guardctl filter check FILTER",
                As("guardctl filter check sshd"),
            ),
            (
                "guardctl filter test FILTER LOG",
                As("guardctl filter test sshd auth.log --missed"),
            ),
            ("guardctl import fail2ban", Elsewhere("tests of fail2ban")),
            ("systemctl ", Elsewhere(SHELL_OF_OTHERS)),
            ("cp ", Elsewhere("tests of fail2ban")),
            ("printf ", Elsewhere("tests of fail2ban")),
            ("fail2ban-client ", Elsewhere("tests of fail2ban")),
        ],
    },
    Chapter {
        path: "docs/guide/limits.md",
        prepare: enabled_with_ssh,
        exceptions: &[(
            // The example before covers it.
            "guardctl limit 443/tcp",
            As("guardctl prepend limit 443/tcp packets 5000/s burst 10000 block 60s"),
        )],
    },
    Chapter {
        path: "docs/guide/floods.md",
        prepare: enabled_with_ssh,
        exceptions: &[],
    },
    Chapter {
        path: "docs/guide/metrics.md",
        prepare: enabled_with_ssh,
        exceptions: &[
            ("systemctl ", Elsewhere(PACKAGES)),
            ("curl ", Elsewhere("the test `metrics`")),
            (
                "guardctl metrics --textfile",
                As("guardctl metrics --textfile guard.prom"),
            ),
        ],
    },
    Chapter {
        path: "docs/guide/interfaces.md",
        prepare: enabled_with_ssh,
        exceptions: &[],
    },
    Chapter {
        path: "docs/guide/countries.md",
        prepare: countries,
        exceptions: &[],
    },
    Chapter {
        path: "docs/guide/names.md",
        prepare: enabled_with_ssh,
        exceptions: &[],
    },
    Chapter {
        path: "docs/guide/editing.md",
        prepare: files,
        exceptions: &[],
    },
    Chapter {
        path: "docs/guide/support-access.md",
        prepare: enabled_and_logged_in,
        exceptions: &[],
    },
    Chapter {
        path: "docs/guide/locked-out.md",
        prepare: locked_out,
        exceptions: &[],
    },
    Chapter {
        path: "docs/guide/troubleshooting.md",
        prepare: jails,
        exceptions: &[
            ("guardctl monitor", As(MONITOR)),
            ("guardctl top", As(TOP)),
            (
                "guardctl explain FROM PORT",
                As("guardctl explain 203.0.113.7 22"),
            ),
            ("guardctl jail status NAME", As("guardctl jail status sshd")),
            (
                "guardctl filter test FILTER LOG",
                As("guardctl filter test sshd auth.log --missed"),
            ),
            (
                "guardctl unban ADDRESS",
                As("guardctl ban 203.0.113.7 && guardctl unban 203.0.113.7"),
            ),
            (
                "guardctl never add ADDRESS",
                As("guardctl never add 203.0.113.7"),
            ),
        ],
    },
    Chapter {
        path: "docs/reference/commands.md",
        prepare: enabled_with_ssh,
        exceptions: &[],
    },
    Chapter {
        path: "docs/reference/policy-file.md",
        prepare: enabled_with_web,
        exceptions: &[],
    },
    Chapter {
        path: "docs/reference/reasons.md",
        prepare: enabled_with_ssh,
        exceptions: &[("guardctl stats --watch", As(WATCH))],
    },
];

/// The rows behind it are about a host with guard on.
const OFF_AND_ON: &str = "guardctl disable && guardctl enable";
/// Ctrl-C after two seconds.
const WATCH: &str =
    "timeout --preserve-status --signal INT 2 guardctl stats --watch; test $? -eq 130";

/// Ctrl-C after some seconds.
const WEB: &str = "timeout --preserve-status --signal INT 5 guardctl web";

/// Ends by itself: a signal may come before it watches, while the kernel still verifies its programs.
const MONITOR: &str = "guardctl monitor --for 1s";
/// It needs a screen; the test `top` has one.
const TOP: &str = "guardctl top --once --interval 500ms";

const AUTH_LOG: &str = "Nov 29 12:00:01 vps sshd[1]: Failed password for root from 203.0.113.7 port 4000 ssh2\n\
    Nov 29 12:00:02 vps sshd[1]: something else\n";

fn nothing(scene: &mut Scene) {
    let folder = scene.folder();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("written");
    write("drop.txt", "203.0.113.7\n198.51.100.128/25\n");
    write("auth.log", AUTH_LOG);
    write(
        "policy.toml",
        "[[rule]]\naction = \"allow\"\nport = 22\nproto = \"tcp\"\n",
    );
    scene.start_daemon();
}

fn readme(scene: &mut Scene) {
    scene.write("jails.d/sshd.toml", sshd(scene));
    nothing(scene);
}

fn enabled_with_ssh(scene: &mut Scene) {
    nothing(scene);
    for line in ["guardctl allow 22/tcp", "guardctl enable"] {
        drop(scene.run(line).ok());
    }
}

/// The chapter opens the port of SSH itself.
fn enabled_with_web(scene: &mut Scene) {
    nothing(scene);
    for line in ["guardctl allow http", "guardctl enable"] {
        drop(scene.run(line).ok());
    }
}

/// Whoever types may log in from where he is; nobody else.
fn enabled_and_logged_in(scene: &mut Scene) {
    nothing(scene);
    for line in ["guardctl allow 198.51.100.10 22/tcp", "guardctl enable"] {
        drop(scene.run(line).ok());
    }
    scene.log_in();
}

/// The jail `sshd`, with a log that is no log of this machine.
fn sshd(scene: &Scene) -> String {
    let log = scene.folder().join("auth.log");
    format!("[jail.sshd]\nlogpath = [\"{}\"]\n", log.display())
}

fn jails(scene: &mut Scene) {
    let jails = format!(
        "{}\n[jail.web]\nfilter = \"nginx-http-auth\"\n",
        sshd(scene)
    );
    scene.write("jails.d/sshd.toml", jails);
    enabled_with_ssh(scene);
}

fn countries(scene: &mut Scene) {
    enabled_with_ssh(scene);
    let countries = ["DE", "DK", "NO", "SE"].into_iter().zip(1..);
    let countries = countries.fold(Database::new("GeoLite2-Country"), |database, (code, n)| {
        database.country(&format!("198.51.{n}.0/24"), code, "EU")
    });
    let networks = Database::new("GeoLite2-ASN").asn("203.0.113.0/24", 64496);
    scene.write("GeoLite2-Country.mmdb", countries.bytes());
    scene.write("GeoLite2-ASN.mmdb", networks.bytes());
    let sets = "[sets]\nde = { mmdb = \"GeoLite2-Country.mmdb\", country = \"DE\" }\n\
        hoster = { mmdb = \"GeoLite2-ASN.mmdb\", asn = 64496 }\n";
    scene.write("guard.toml", format!("{}\n{sets}", scene.guard.policy()));
}

fn files(scene: &mut Scene) {
    let office = "[[rule]]\naction = \"allow\"\nport = 25\nfrom = \"198.51.100.7\"\n";
    scene.write("guard.d/office.toml", office);
    scene.write("jails.d/sshd.toml", sshd(scene));
    enabled_with_ssh(scene);
}

fn locked_out(scene: &mut Scene) {
    nothing(scene);
    for line in [
        "guardctl default deny",
        "guardctl enable",
        "guardctl ban 198.51.100.10",
    ] {
        drop(scene.run(line).ok());
    }
}

impl Chapter {
    /// Types it all; what does not end as it should, and what was typed.
    fn type_all(&self) -> (String, usize) {
        let mut scene = Scene::new();
        (self.prepare)(&mut scene);
        let (mut wrong, mut typed) = (String::new(), 0);
        for line in commands(self.path) {
            let exception = self
                .exceptions
                .iter()
                .find(|(begin, _)| line.starts_with(begin));
            let (line, code) = match exception {
                None => (line.as_str(), 0),
                Some((_, Exit(code))) => (line.as_str(), *code),
                Some((_, As(other))) => (*other, 0),
                Some((_, Elsewhere(_))) => continue,
            };
            typed += 1;
            let ran = scene.run(line);
            if ran.code != Some(code) {
                wrong += &format!("{}: {line}\nexpected {code}: {ran}\n", self.path);
            }
        }
        (wrong, typed)
    }
}

/// Types every fourth chapter, so that four tests share the waiting.
fn type_chapters(first: usize) {
    if !require::root() || !require::programs(&["unshare", "mount", "timeout"]) {
        return;
    }
    let mut wrong = String::new();
    for chapter in CHAPTERS.iter().skip(first).step_by(4) {
        let (complaints, typed) = chapter.type_all();
        wrong += &complaints;
        assert!(typed > 0, "{}: nothing was typed", chapter.path);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_command_of_the_first_chapters_does_what_it_says() {
    type_chapters(0);
}

#[test]
fn every_command_of_the_second_chapters_does_what_it_says() {
    type_chapters(1);
}

#[test]
fn every_command_of_the_third_chapters_does_what_it_says() {
    type_chapters(2);
}

#[test]
fn every_command_of_the_fourth_chapters_does_what_it_says() {
    type_chapters(3);
}

/// An exception that fits nothing would hide that the document has changed.
#[test]
fn every_exception_is_one() {
    for chapter in CHAPTERS {
        let typed = commands(chapter.path);
        for (begin, exception) in chapter.exceptions {
            let fits = typed.iter().any(|line| line.starts_with(begin));
            let why = match exception {
                Elsewhere(why) => why,
                Exit(_) | As(_) => "",
            };
            assert!(fits, "{}: {begin} {why}", chapter.path);
        }
    }
}

#[test]
fn every_document_with_commands_is_a_chapter() {
    let paths = all();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        let is_chapter = CHAPTERS.iter().any(|chapter| chapter.path == path);
        let typed = commands(&path);
        assert!(
            is_chapter || typed.iter().all(|line| !line.starts_with("guardctl")),
            "{path}: {typed:?}"
        );
    }
}
