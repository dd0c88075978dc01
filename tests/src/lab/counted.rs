//! What guard says it has counted.

use serde_json::Value;

use super::{Instance, Ran};

/// `guardctl stats --json` at one moment.
#[derive(Clone, Debug)]
pub struct Counted {
    value: Value,
}

impl Instance {
    /// The counters.
    ///
    /// # Panics
    /// When guardctl does not tell them.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let ran: Ran = self.guardctl(&["stats", "--json"]).ok();
        Counted { value: ran.json() }
    }
}

impl Counted {
    /// Packets to a port that passed.
    #[must_use]
    pub fn passed(&self, protocol: &str, port: u16) -> u64 {
        self.of_port(protocol, port, "passed")
    }

    /// Packets to a port that were dropped.
    #[must_use]
    pub fn dropped(&self, protocol: &str, port: u16) -> u64 {
        self.of_port(protocol, port, "dropped")
    }

    /// Packets with a reason.
    #[must_use]
    pub fn reason(&self, name: &str) -> u64 {
        self.reasons()
            .filter(|reason| reason["reason"] == name)
            .map(packets)
            .sum()
    }

    /// All packets that were passed (`pass`) or dropped (`drop`).
    #[must_use]
    pub fn all(&self, action: &str) -> u64 {
        self.reasons()
            .filter(|reason| reason["action"] == action)
            .map(packets)
            .sum()
    }

    /// Name, action and packets of each reason that has any.
    #[must_use]
    pub fn table(&self) -> Vec<(String, String, u64)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.reasons()
            .map(|reason| {
                let name = text(&reason["reason"]);
                (name, text(&reason["action"]), packets(reason))
            })
            .collect()
    }

    /// Protocol, port, packets passed and packets dropped of each port that has any.
    #[must_use]
    pub fn ports(&self) -> Vec<(String, u16, u64, u64)> {
        self.each_port()
            .map(|entry| {
                (
                    entry["protocol"].as_str().unwrap_or_default().to_owned(),
                    entry["port"].as_u64().unwrap_or_default() as u16,
                    packets(&entry["passed"]),
                    packets(&entry["dropped"]),
                )
            })
            .collect()
    }

    /// What guard says of its flows: `live`, `created`, `evicted`.
    ///
    /// # Panics
    /// When it says nothing of that name.
    #[must_use]
    pub fn flows(&self, name: &str) -> u64 {
        let flows = &self.value["flows"];
        flows[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name} in {flows}"))
    }

    fn of_port(&self, protocol: &str, port: u16, verdict: &str) -> u64 {
        self.each_port()
            .filter(|entry| entry["protocol"] == protocol && entry["port"] == port)
            .map(|entry| packets(&entry[verdict]))
            .sum()
    }

    fn each_port(&self) -> impl Iterator<Item = &Value> {
        self.value["ports"].as_array().into_iter().flatten()
    }

    fn reasons(&self) -> impl Iterator<Item = &Value> {
        let reasons = self.value["reasons"].as_array();
        reasons
            .unwrap_or_else(|| panic!("no reasons in {}", self.value))
            .iter()
    }
}

fn packets(counter: &Value) -> u64 {
    counter["packets"]
        .as_u64()
        .unwrap_or_else(|| panic!("no packets in {counter}"))
}
