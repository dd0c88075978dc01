//! Hosts, guard off, and what every refusal has in common.

use aya::{
    Ebpf, EbpfLoader,
    programs::{Xdp, XdpMode},
};
use guard_common::abi::names;
use guard_tests::lab::{Instance, Ran, Topology};
use guard_user::dataplane::object::BENCH_OBJECT;

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

    /// Puts a program of somebody else on eth0; gone with the value.
    pub(crate) fn attach_another(&self, mode: XdpMode) -> Ebpf {
        let mut object = EbpfLoader::new()
            .map_max_entries(names::POLICY, 3)
            .map_max_entries(names::COUNTERS, 1)
            .load(BENCH_OBJECT)
            .expect("an object");
        let program: &mut Xdp = object
            .program_mut("bench_drop")
            .expect("a program")
            .try_into()
            .expect("of XDP");
        program.load().expect("loaded");
        self.lab
            .srv
            .run(|| program.attach("eth0", mode).expect("attached"));
        object
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
