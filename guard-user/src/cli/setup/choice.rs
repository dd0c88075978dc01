//! What of the proposal the operator wants.

use std::collections::BTreeSet;

use crate::{
    controller::{Service, Survey},
    host::listeners::PortProtocol,
    ruleset::proposal::OpenedPort,
};

/// What is proposed for everybody: web servers. All else is for somebody.
const WEB: [(PortProtocol, u16); 3] = [
    (PortProtocol::Tcp, 80),
    (PortProtocol::Tcp, 443),
    (PortProtocol::Udp, 443),
];

/// Who gets in to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// May only those who are logged in now log in again?
    pub(super) only_callers: bool,
    open: BTreeSet<(PortProtocol, u16)>,
}

impl Choice {
    /// Before anything was asked.
    pub(super) fn proposed(survey: &Survey) -> Self {
        let services = survey.services.iter().filter(|service| !service.is_login);
        let open = services.map(|service| (service.protocol, service.port));
        Self {
            only_callers: false,
            open: open.filter(|place| WEB.contains(place)).collect(),
        }
    }

    /// What is no login.
    pub(super) fn others<'s>(&self, survey: &'s Survey) -> Vec<&'s Service> {
        survey
            .services
            .iter()
            .filter(|service| !service.is_login)
            .collect()
    }

    pub(super) fn is_open(&self, service: &Service) -> bool {
        self.open.contains(&(service.protocol, service.port))
    }

    /// Those of these numbers, from 1 on.
    pub(super) fn open_only(&mut self, services: &[&Service], numbers: &BTreeSet<usize>) {
        let chosen = numbers
            .iter()
            .filter_map(|number| services.get(number.checked_sub(1)?));
        self.open = chosen
            .map(|service| (service.protocol, service.port))
            .collect();
    }

    /// The rules, logins first.
    pub(super) fn opened(&self, survey: &Survey) -> Vec<OpenedPort> {
        let port_opened = |service: &Service, from: Vec<_>| OpenedPort {
            protocol: service.protocol.label(),
            port: service.port,
            owner: service.owner.clone(),
            from,
        };
        let logins = survey.services.iter().filter(|service| service.is_login);
        let callers = || match self.only_callers {
            true => survey.callers.iter().copied().collect(),
            false => Vec::new(),
        };
        let others = survey
            .services
            .iter()
            .filter(|service| !service.is_login && self.is_open(service));
        logins
            .map(|service| port_opened(service, callers()))
            .chain(others.map(|service| port_opened(service, Vec::new())))
            .collect()
    }

    /// What listens and stays closed.
    pub(super) fn closed<'s>(&self, survey: &'s Survey) -> Vec<&'s Service> {
        let others = self.others(survey).into_iter();
        others.filter(|service| !self.is_open(service)).collect()
    }
}

/// `1 3`, `1,3`, `all`, `none`; `Ok(None)` for what is proposed.
pub(super) fn numbers(answer: &str, count: usize) -> Result<Option<BTreeSet<usize>>, &'static str> {
    const WHAT: &str = "numbers of the list, `all`, `none`, or nothing";
    match answer.to_lowercase().as_str() {
        "" => Ok(None),
        "all" => Ok(Some((1..=count).collect())),
        "none" => Ok(Some(BTreeSet::new())),
        words => {
            let words = words.split([',', ' ']).filter(|word| !word.is_empty());
            let numbers = words.map(|word| {
                word.parse()
                    .ok()
                    .filter(|number| (1..=count).contains(number))
            });
            numbers
                .collect::<Option<BTreeSet<usize>>>()
                .map(Some)
                .ok_or(WHAT)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey() -> Survey {
        let service = |protocol, port, owner: &str| Service {
            protocol,
            port,
            owner: owner.to_owned(),
            is_login: owner == "sshd",
        };
        Survey {
            interfaces: vec!["eth0".to_owned()],
            callers: ["203.0.113.7".parse().expect("an address")].into(),
            services: vec![
                service(PortProtocol::Tcp, 22, "sshd"),
                service(PortProtocol::Tcp, 80, "nginx"),
                service(PortProtocol::Tcp, 3306, "mariadbd"),
                service(PortProtocol::Udp, 68, "dhclient"),
            ],
            others: BTreeSet::new(),
            warnings: Vec::new(),
        }
    }

    fn open(choice: &Choice) -> Vec<(u16, usize)> {
        let opened = choice.opened(&survey()).into_iter();
        opened
            .map(|port_opened| (port_opened.port, port_opened.from.len()))
            .collect()
    }

    #[test]
    fn logins_and_web_servers_are_proposed_and_all_else_only_when_it_is_chosen() {
        let survey = survey();
        let mut choice = Choice::proposed(&survey);
        assert_eq!(open(&choice), [(22, 0), (80, 0)]);
        assert_eq!(choice.closed(&survey).len(), 2);

        choice.only_callers = true;
        choice.open_only(&choice.others(&survey), &BTreeSet::from([2]));
        assert_eq!(open(&choice), [(22, 1), (3306, 0)]);

        // Nothing that is answered takes the way in away.
        choice.open_only(&choice.others(&survey), &BTreeSet::new());
        assert_eq!(open(&choice), [(22, 1)]);
    }

    #[test]
    fn numbers_are_those_of_the_list() {
        assert_eq!(numbers("", 3), Ok(None));
        assert_eq!(numbers("none", 3), Ok(Some(BTreeSet::new())));
        assert_eq!(numbers("ALL", 3), Ok(Some(BTreeSet::from([1, 2, 3]))));
        assert_eq!(numbers("1, 3", 3), Ok(Some(BTreeSet::from([1, 3]))));
        for wrong in ["0", "4", "x", "1-3", "-1", "1 2 nine"] {
            assert!(numbers(wrong, 3).is_err(), "{wrong}");
        }
    }
}
