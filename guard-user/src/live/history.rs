//! The last minute of each port, in bounded memory: who scans every port must not fill it.

use std::collections::{BTreeMap, VecDeque};

use guard_common::abi::service::Service;

use super::rates::{History, PortRates, Rate, Rates};

/// Seconds, or whatever the time between two looks is.
const LENGTH: usize = 60;
/// Ports that have a history.
const MOST_PORTS: usize = 256;

/// Histories by port.
#[derive(Debug, Default)]
pub(super) struct Histories {
    ports: BTreeMap<Service, Ring>,
}

/// Packets per second that passed and that were dropped, the newest last; and the port as it was seen last.
#[derive(Debug)]
struct Ring {
    last: PortRates,
    rates: VecDeque<(u64, u64)>,
}

impl Ring {
    fn sum(&self) -> u64 {
        let sums = self.rates.iter().map(|(passed, dropped)| passed + dropped);
        sums.fold(0, u64::saturating_add)
    }
}

impl Histories {
    /// Adds the newest rates. The ports get their histories, and those that were busy in the last minute are there
    /// although nothing came.
    pub(super) fn add(&mut self, rates: &mut Rates) {
        rates.ports.truncate(MOST_PORTS);
        for ring in self.ports.values_mut() {
            ring.last = PortRates {
                passed: Rate::default(),
                dropped: Rate::default(),
                monitored: Rate::default(),
                ..ring.last.clone()
            };
        }
        let mut new: BTreeMap<Service, (u64, u64)> = BTreeMap::new();
        for port in &rates.ports {
            let passed = port.passed.packets.ceil() as u64;
            let dropped = (port.dropped.packets + port.monitored.packets).ceil() as u64;
            new.insert(port.service, (passed, dropped));
            let ring = self.ports.entry(port.service).or_insert_with(|| Ring {
                last: port.clone(),
                rates: VecDeque::with_capacity(LENGTH),
            });
            ring.last = port.clone();
        }
        for (service, ring) in &mut self.ports {
            if ring.rates.len() == LENGTH {
                ring.rates.pop_front();
            }
            ring.rates
                .push_back(new.get(service).copied().unwrap_or_default());
        }
        self.ports.retain(|_, ring| ring.sum() > 0);
        self.leave_out_the_quietest();
        rates.ports = self.ports.values().map(shown).collect();
        rates
            .ports
            .sort_by(|one, other| other.packets().total_cmp(&one.packets()));
    }

    /// Is this port among them?
    pub(super) fn knows(&self, service: Service) -> bool {
        self.ports.contains_key(&service)
    }

    fn leave_out_the_quietest(&mut self) {
        let too_many = self.ports.len().saturating_sub(MOST_PORTS);
        if too_many == 0 {
            return;
        }
        let mut sums: Vec<(u64, Service)> = self
            .ports
            .iter()
            .map(|(service, ring)| (ring.sum(), *service))
            .collect();
        sums.sort_unstable();
        for (_, service) in sums.into_iter().take(too_many) {
            self.ports.remove(&service);
        }
    }
}

fn shown(ring: &Ring) -> PortRates {
    let (passed, dropped) = ring.rates.iter().copied().unzip();
    PortRates {
        history: History { passed, dropped },
        ..ring.last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(number: u16, packets: f64) -> PortRates {
        PortRates {
            service: Service::tcp(number),
            label: format!("{number}/tcp"),
            protocol: Some("tcp"),
            port: Some(number),
            name: None,
            passed: Rate::default(),
            dropped: Rate { packets, bits: 0.0 },
            monitored: Rate::default(),
            main_reason: None,
            history: History::default(),
        }
    }

    fn add(histories: &mut Histories, ports: Vec<PortRates>) -> Rates {
        let mut rates = Rates {
            ports,
            ..Rates::default()
        };
        histories.add(&mut rates);
        rates
    }

    #[test]
    fn a_port_is_shown_for_a_minute_after_its_last_packet() {
        let mut histories = Histories::default();
        add(&mut histories, vec![port(22, 7.0)]);
        let rates = add(&mut histories, vec![port(80, 1.0)]);
        assert_eq!(rates.ports[1].label, "22/tcp");
        assert_eq!(rates.ports[1].dropped, Rate::default());
        assert_eq!(rates.ports[1].history.dropped, [7, 0]);
        for _ in 0..58 {
            assert!(histories.knows(Service::tcp(22)));
            add(&mut histories, Vec::new());
        }
        let rates = add(&mut histories, Vec::new());
        assert_eq!(rates.ports.len(), 1);
        assert!(!histories.knows(Service::tcp(22)));
    }

    #[test]
    fn a_scan_of_all_ports_takes_bounded_memory_and_hides_no_busy_port() {
        let mut histories = Histories::default();
        for round in 0..20 {
            let mut ports = vec![port(22, 1000.0)];
            ports.extend((0..3000).map(|number| port(1000 + round * 3000 + number, 1.0)));
            let rates = add(&mut histories, ports);
            assert_eq!(rates.ports[0].label, "22/tcp");
            assert_eq!(histories.ports.len(), MOST_PORTS);
        }
    }
}
