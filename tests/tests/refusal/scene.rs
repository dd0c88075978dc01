//! Hosts, guard off, and what every refusal has in common.

use guard_tests::lab::{Instance, Ran, Topology};

pub(crate) const ENABLE: [&str; 3] = ["enable", "--iface", "eth0"];

pub(crate) struct Scene {
    pub(crate) guard: Instance,
    pub(crate) lab: Topology,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let lab = Topology::new();
        Self {
            guard: Instance::new(&lab.srv),
            lab,
        }
    }

    /// The command must be refused with this code, a cause that says this, and a remedy that says
    /// that; nothing may change.
    #[track_caller]
    pub(crate) fn refuses(
        &self,
        launcher: &[&str],
        words: &[&str],
        code: i32,
        cause: &str,
        remedy: &str,
    ) {
        let before = self.guard.dump(&self.lab.srv);
        let ran = self.guard.guardctl_behind(launcher, words);
        assert_refusal(ran, code, cause, remedy);
        assert_eq!(self.guard.dump(&self.lab.srv), before, "{words:?}");
    }
}

#[track_caller]
pub(crate) fn assert_refusal(ran: Ran, code: i32, cause: &str, remedy: &str) {
    let ran = ran.exit(code);
    assert_eq!(ran.stdout, "", "{ran}");
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "a cause and a remedy\n{ran}");
    assert!(
        lines[0].starts_with("guardctl: ") && lines[0].contains(cause),
        "{cause}\n{ran}"
    );
    assert!(
        lines[1].starts_with("  help: ") && lines[1].contains(remedy),
        "{remedy}\n{ran}"
    );
}
