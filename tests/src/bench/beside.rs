//! guard beside xdp-filter, program by program: its own tool loads and fills it on a host that nothing
//! is sent to, and the test run meets the program that is loaded there.

use anyhow::{Context as _, Result};

use super::{
    measure::Measurement,
    rows::shared::{Its, Shared},
    xdp_filter::XdpFilter,
};
use crate::lab::{Namespace, unique_prefix};

/// A row with what it came to.
#[derive(Clone, Debug)]
pub struct Compared {
    /// guard, bare drop, and one series per program of xdp-filter.
    pub measured: Measurement,
    /// `--features` of each of these programs.
    pub features: Vec<&'static str>,
}

/// xdp-filter on a host of its own. What is declared first is dropped first.
#[derive(Debug)]
struct Host {
    filter: XdpFilter,
    _namespace: Namespace,
}

const INTERFACE: &str = "eth0";

impl Host {
    fn with(its: &Its) -> Result<Self> {
        let namespace = Namespace::new(format!("{}-xf", unique_prefix()));
        namespace.ip(&format!("link add {INTERFACE} type veth peer name eth1"));
        namespace.ip(&format!("link set {INTERFACE} up"));
        let filter = XdpFilter::new(&namespace)?;
        filter.run(&format!(
            "load -m native -p {} -f {} {INTERFACE}",
            its.policy, its.features
        ))?;
        filter.run(&its.entries.join("\n"))?;
        Ok(Self {
            filter,
            _namespace: namespace,
        })
    }
}

impl Shared {
    /// Runs the row.
    ///
    /// # Errors
    /// When a tool or the kernel refuses a program, or a packet meets another verdict than the row says.
    pub fn measure(&self, rounds: usize, packets: u32) -> Result<Compared> {
        let hosts: Vec<Host> = self.theirs.iter().map(Host::with).collect::<Result<_>>()?;
        let programs = hosts
            .iter()
            .map(|host| host.filter.program(INTERFACE))
            .collect::<Result<Vec<_>>>()?;
        let measured = self
            .case
            .measure_beside(rounds, packets, &programs)
            .with_context(|| format!("{} beside xdp-filter", self.case.name))?;
        Ok(Compared {
            measured,
            features: self.theirs.iter().map(|its| its.features).collect(),
        })
    }
}
