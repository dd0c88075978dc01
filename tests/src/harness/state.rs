//! What the program remembers between frames: the way out, flows, ports with sessions, the clock. Every
//! step is taken by the kernel and by the model.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{CStr, CString},
    io,
    net::IpAddr,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    ptr, thread,
};

use anyhow::{Context as _, Result, bail};
use aya::programs::{TestRun as _, TestRunOptions};
use guard_common::{
    abi::{
        addr::Addr,
        counters::Event,
        flow::{BUCKET_WORDS, BUCKETS, FlowState, HAS_SESSIONS, Phase, Tuple, WAYS},
        image::HEADER_LIMITS,
        meter::Scale,
        names,
    },
    policy::{Arrival, SocketState, Tables as _, note_outgoing},
    testing::shared::values,
};
use guard_user::{
    dataplane::{object::Object, tables::mapping::Mapping},
    host::LiveFlow,
};

use super::{Harness, MIN_FRAME, TEST_IFINDEX, boot_time_ns, events};

/// TC_ACT_UNSPEC, which is TCX_NEXT: the packet goes on.
const GO_ON: u32 = u32::MAX;

impl Harness {
    /// Sends a frame: the kernel's program on the way out lets it go, and takes note of it as the
    /// model does.
    ///
    /// # Panics
    /// When kernel and model count something else, or the frame is not let go.
    pub fn sends(&mut self, frame: &[u8]) {
        self.follow_clock();
        let before = self.model_events();
        self.model_sends(frame);
        let expected = self.model_events_since(&before);
        self.kernel_sends(frame).expect("the frame goes out");
        assert_eq!(events(&self.drain()), expected, "{frame:02x?}");
    }

    /// Sends a frame through the model alone.
    pub fn model_sends(&self, frame: &[u8]) {
        let interface = Arrival {
            ifindex: TEST_IFINDEX,
        };
        note_outgoing(frame, &self.model, interface);
    }

    /// Sends a frame of at least [`MIN_FRAME`] bytes through the kernel alone; what it counted stays
    /// for [`Harness::drain`].
    ///
    /// # Errors
    /// When the kernel refuses the run, or the program does not let the frame go.
    pub fn kernel_sends(&mut self, frame: &[u8]) -> Result<()> {
        assert!(frame.len() >= MIN_FRAME, "{} bytes", frame.len());
        let run = self
            .object
            .egress()?
            .test_run(TestRunOptions {
                data_in: Some(frame),
                ..TestRunOptions::default()
            })
            .context("BPF_PROG_TEST_RUN of the egress program")?;
        if run.return_value != GO_ON {
            bail!("the egress program returned {}", run.return_value);
        }
        Ok(())
    }

    /// The clock of flows, which stands still unless a test moves it.
    #[must_use]
    pub fn ticks(&self) -> u32 {
        self.model.ticks()
    }

    /// The coarse clock of kernel and model.
    #[must_use]
    pub fn jiffies(&self) -> u64 {
        self.model.jiffies
    }

    /// Sets the coarse clock of kernel and model.
    pub fn set_jiffies(&mut self, jiffies: u64) {
        self.slots.set_jiffies(jiffies);
        self.model.jiffies = jiffies;
    }

    /// Lets time pass for kernel and model.
    pub fn wait_ticks(&mut self, ticks: u32) {
        let jiffies = u64::from(ticks) << self.model.tick_shift;
        self.set_jiffies(self.model.jiffies + jiffies);
    }

    /// Sets the model's clock of nanoseconds by the kernel's.
    pub fn follow_clock(&mut self) {
        self.model.now_ns = boot_time_ns();
    }

    /// A second instance of the program on the maps of this one, as an upgrade loads it.
    ///
    /// # Panics
    /// When the maps cannot be pinned or the kernel refuses the program.
    #[must_use]
    pub fn loaded_again(self) -> Self {
        let (object, model) = (self.object, self.model);
        let again = thread::scope(|scope| {
            let load = || {
                let folder = private_bpffs()?;
                for name in names::MAPS {
                    object.map(name)?.pin(folder.join(name))?;
                }
                anyhow::Ok(Object::load(object.parameters(), Some((&folder, &[])))?)
            };
            scope.spawn(load).join().expect("a thread")
        });
        Self::around(again.expect("the second instance"), model).expect("its maps")
    }

    /// Living flows, after a look whether kernel and model have the same.
    ///
    /// # Panics
    /// When they have not.
    pub fn living(&mut self) -> usize {
        self.assert_in_step();
        let tick = self.ticks();
        self.flows.living(tick)
    }

    /// Does the table hold this tuple as a living flow?
    ///
    /// # Panics
    /// As [`Harness::living`].
    pub fn knows(&mut self, tuple: &Tuple) -> bool {
        self.assert_in_step();
        let tick = self.ticks();
        self.flows.knows(tuple, tick)
    }

    /// State of a flow, living or not.
    #[must_use]
    pub fn flow(&self, tuple: &Tuple) -> Option<FlowState> {
        let at = self.place(tuple)?;
        Some(FlowState::from_word(self.flow_words.load(at)))
    }

    /// Number of the bucket that a tuple's flow lies in.
    #[must_use]
    pub fn bucket(&self, tuple: &Tuple) -> u32 {
        tuple.tag(|index| self.keys[index]).bucket(BUCKETS - 1)
    }

    /// Makes the last packet of a flow as old as this, in kernel and model, in this phase.
    ///
    /// # Panics
    /// When there is no such flow.
    pub fn was_silent(&mut self, tuple: &Tuple, phase: Phase, ticks: u32) {
        let now = self.ticks();
        let at = self.place(tuple).expect("a flow");
        let old = FlowState::from_word(self.flow_words.load(at));
        let mut state = FlowState::new(phase, now.wrapping_sub(ticks), old.local_port());
        if old.is_kept() {
            state = state.kept();
        }
        self.flow_words.store(at, state.to_word());
        self.model.set_flow_words(&words(&self.flow_words));
    }

    /// Puts in a session that was there before guard.
    pub fn adopts(&mut self, tuple: Tuple, phase: Phase) -> bool {
        let tick = self.ticks();
        let is_in = self.flows.adopt(&LiveFlow { tuple, phase }, tick);
        self.model.set_flow_words(&words(&self.flow_words));
        self.model.set_marked_ports(self.marked_ports());
        is_in
    }

    /// Lets go of the sessions from before that are none of these; how many there were.
    pub fn lets_go_but(&mut self, listed: &[Tuple]) -> usize {
        let gone = self.flows.let_go_but(listed.iter());
        self.model.set_flow_words(&words(&self.flow_words));
        gone
    }

    /// Forgets every flow and every port with sessions, in kernel and model.
    pub fn forget_flows(&mut self) {
        for mapping in [&self.flow_words, &self.port_words] {
            for at in 0..mapping.len() {
                mapping.store(at, 0);
            }
        }
        self.model.clear_flows();
    }

    /// Remembers that a TCP port of the host has sessions.
    pub fn mark_sessions(&mut self, port: u16) {
        self.flows.mark_sessions(port);
        self.model.mark_port(port, HAS_SESSIONS);
    }

    /// TCP ports of the host that are known to have sessions.
    #[must_use]
    pub fn session_ports(&self) -> BTreeSet<u16> {
        self.marked_ports()
            .into_iter()
            .filter_map(|(port, marks)| (marks & HAS_SESSIONS != 0).then_some(port))
            .collect()
    }

    /// Ports of the host that have marks, and which.
    #[must_use]
    pub fn marked_ports(&self) -> BTreeMap<u16, u8> {
        let marks = words(&self.port_words);
        let bytes = marks.into_iter().flat_map(u64::to_ne_bytes);
        (0..=u16::MAX)
            .zip(bytes)
            .filter(|(_, marks)| *marks != 0)
            .collect()
    }

    /// Tells the model of a TCP socket that the kernel has, or has no more.
    pub fn model_socket(&mut self, tuple: Tuple, is_there: bool) {
        if is_there {
            self.model.sockets.insert(tuple, SocketState::Established);
        } else {
            self.model.sockets.remove(&tuple);
        }
    }

    /// How often something happened that is no packet. Kernel and model agree on it with every frame.
    #[must_use]
    pub fn happened(&self, event: Event) -> u64 {
        self.model.counted(event)
    }

    /// Holds a source by a session with a port of the host, in kernel and model.
    pub fn exempts(&mut self, source: &str, port: u16) {
        let now = self.model.eighths();
        let scale = Scale::from_word(self.model.policy[HEADER_LIMITS as usize]);
        let source = Addr::from(source.parse::<IpAddr>().expect("an address"));
        self.meters.exempt(scale, source, port, now);
        self.model.set_meter_words(&words(&self.meter_words));
    }

    /// Forgets what every source owes, in kernel and model.
    pub fn forget_meters(&mut self) {
        for at in 0..self.meter_words.len() {
            self.meter_words.store(at, 0);
        }
        self.model.clear_meters();
    }

    /// Words of the meters that are in use.
    #[must_use]
    pub fn meters_in_use(&self) -> usize {
        let used = words(&self.meter_words);
        used.iter().filter(|word| **word != 0).count()
    }

    /// Every event that the model has counted so far.
    #[must_use]
    pub fn model_events(&self) -> Vec<(Event, u64)> {
        let counted = |event: &Event| (*event, self.model.counted(*event));
        Event::ALL.iter().map(counted).collect()
    }

    /// What the model has counted since then.
    #[must_use]
    pub fn model_events_since(&self, before: &[(Event, u64)]) -> Vec<(Event, u64)> {
        self.model_events()
            .into_iter()
            .zip(before)
            .map(|((event, now), (_, then))| (event, now - then))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// Where the state of a flow lies.
    fn place(&self, tuple: &Tuple) -> Option<usize> {
        let tag = tuple.tag(|index| self.keys[index]);
        let bucket = tag.bucket(BUCKETS - 1) as usize * BUCKET_WORDS;
        let way = (0..WAYS).find(|way| self.flow_words.load(bucket + way) == tag.bits())?;
        Some(bucket + WAYS + way)
    }
}

/// A BPF file system that only the calling thread sees, and that goes with it.
fn private_bpffs() -> io::Result<PathBuf> {
    let folder = std::env::temp_dir();
    let mount = |source: &CStr, target: &CString, kind: &CStr, flags| {
        // SAFETY: the strings are terminated and live until the call returns.
        let result = unsafe {
            libc::mount(
                source.as_ptr(),
                target.as_ptr(),
                kind.as_ptr(),
                flags,
                ptr::null(),
            )
        };
        check(result)
    };
    // SAFETY: the call takes an integer and touches no memory.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    let private = libc::MS_REC | libc::MS_PRIVATE;
    mount(c"none", &c"/".to_owned(), c"none", private)?;
    let target = CString::new(folder.as_os_str().as_bytes())?;
    mount(c"bpf", &target, c"bpf", 0)?;
    Ok(folder)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

pub(super) fn words(mapping: &Mapping) -> Vec<u64> {
    values(mapping.words())
}
