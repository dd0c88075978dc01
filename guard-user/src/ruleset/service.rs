//! Service names: /etc/services, and a table for machines that have none.

use std::collections::HashMap;

/// Ports of a service by transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// TCP port.
    pub tcp: Option<u16>,
    /// UDP port.
    pub udp: Option<u16>,
}

/// Services by name.
#[derive(Clone, Debug)]
pub struct Services {
    by_name: HashMap<String, Service>,
    /// The first name of a port, by transport (TCP or not).
    by_port: HashMap<(bool, u16), String>,
}

impl Services {
    /// No service at all.
    #[must_use]
    pub(super) fn none() -> Self {
        Self {
            by_name: HashMap::new(),
            by_port: HashMap::new(),
        }
    }

    /// The table that comes with guard.
    #[must_use]
    pub fn embedded() -> Self {
        read(EMBEDDED)
    }

    /// The text of an /etc/services, which wins over the table that comes with guard.
    #[must_use]
    pub fn with_file(text: &str) -> Self {
        let mut services = Self::embedded();
        let file = read(text);
        services.by_name.extend(file.by_name);
        services.by_port.extend(file.by_port);
        services
    }

    /// The service of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Service> {
        let found = self.by_name.get(name);
        found
            .or_else(|| self.by_name.get(&name.to_lowercase()))
            .copied()
    }

    /// What a port is called of TCP.
    #[must_use]
    pub fn of_tcp(&self, port: u16) -> Option<&str> {
        self.by_port.get(&(true, port)).map(String::as_str)
    }

    /// What a port is called of UDP.
    #[must_use]
    pub fn of_udp(&self, port: u16) -> Option<&str> {
        self.by_port.get(&(false, port)).map(String::as_str)
    }

    /// Every name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

/// Reads the format of services(5); lines that make no sense are skipped, as libc does.
fn read(text: &str) -> Services {
    let mut by_name = HashMap::<String, Service>::new();
    let mut by_port = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split('#').next().unwrap_or("").split_whitespace();
        let (Some(name), Some(place)) = (fields.next(), fields.next()) else {
            continue;
        };
        let Some((port, transport)) = place.split_once('/') else {
            continue;
        };
        let Ok(port @ 1..) = port.parse::<u16>() else {
            continue;
        };
        if ["tcp", "udp"].contains(&transport) {
            by_port
                .entry((transport == "tcp", port))
                .or_insert_with(|| name.to_owned());
        }
        for name in std::iter::once(name).chain(fields) {
            let service = by_name.entry(name.to_owned()).or_default();
            let slot = match transport {
                "tcp" => &mut service.tcp,
                "udp" => &mut service.udp,
                _ => continue,
            };
            slot.get_or_insert(port);
        }
    }
    by_name.retain(|_, service| *service != Service::default());
    Services { by_name, by_port }
}

/// Well-known services in the format of /etc/services.
const EMBEDDED: &str = "\
ftp-data 20/tcp
ftp 21/tcp
ssh 22/tcp
telnet 23/tcp
smtp 25/tcp mail
time 37/tcp
time 37/udp
whois 43/tcp
domain 53/tcp
domain 53/udp
bootps 67/udp
bootpc 68/udp
tftp 69/udp
finger 79/tcp
http 80/tcp www
kerberos 88/tcp
kerberos 88/udp
pop3 110/tcp
sunrpc 111/tcp
sunrpc 111/udp
nntp 119/tcp
ntp 123/udp
netbios-ns 137/udp
netbios-dgm 138/udp
netbios-ssn 139/tcp
imap2 143/tcp imap
snmp 161/tcp
snmp 161/udp
snmp-trap 162/tcp
snmp-trap 162/udp
bgp 179/tcp
irc 194/tcp
irc 194/udp
ldap 389/tcp
ldap 389/udp
https 443/tcp
microsoft-ds 445/tcp
submissions 465/tcp smtps
isakmp 500/udp
syslog 514/udp
printer 515/tcp
rtsp 554/tcp
rtsp 554/udp
nntps 563/tcp
submission 587/tcp
ipp 631/tcp
ldaps 636/tcp
ldaps 636/udp
domain-s 853/tcp
domain-s 853/udp
rsync 873/tcp
imaps 993/tcp
pop3s 995/tcp
socks 1080/tcp
openvpn 1194/tcp
openvpn 1194/udp
ms-sql-s 1433/tcp
radius 1812/tcp
radius 1812/udp
radius-acct 1813/tcp
radius-acct 1813/udp
mqtt 1883/tcp
nfs 2049/tcp
nfs 2049/udp
iscsi-target 3260/tcp
mysql 3306/tcp
rdp 3389/tcp ms-wbt-server
svn 3690/tcp
ipsec-nat-t 4500/udp
sip 5060/tcp
sip 5060/udp
sip-tls 5061/tcp
sip-tls 5061/udp
xmpp-client 5222/tcp
xmpp-server 5269/tcp
mdns 5353/udp
postgresql 5432/tcp
amqps 5671/tcp
amqp 5672/tcp
x11 6000/tcp
redis 6379/tcp
http-alt 8080/tcp
git 9418/tcp
zabbix-agent 10050/tcp
zabbix-trapper 10051/tcp
wireguard 51820/udp
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_services_need_no_file() {
        let services = Services::embedded();

        let tcp = |port| {
            Some(Service {
                tcp: Some(port),
                udp: None,
            })
        };
        assert_eq!(services.get("http"), tcp(80));
        assert_eq!(services.get("HTTPS"), tcp(443));
        assert_eq!(services.get("ssh"), tcp(22));
        assert_eq!(
            services.get("domain"),
            Some(Service {
                tcp: Some(53),
                udp: Some(53)
            })
        );
        assert_eq!(services.get("nonsense"), None);
        assert!(services.names().count() >= 60);
    }

    #[test]
    fn the_file_of_the_machine_wins_and_its_nonsense_is_skipped() {
        let services = Services::with_file(
            "# comment\nhttps 443/tcp\nhttps 443/udp # QUIC\nssh 2222/tcp\nhalf\nbad x/tcp\nzero 0/tcp\nlot 5/sctp\n",
        );

        assert_eq!(
            services.get("https"),
            Some(Service {
                tcp: Some(443),
                udp: Some(443)
            })
        );
        assert_eq!(services.get("ssh").and_then(|ssh| ssh.tcp), Some(2222));
        for name in ["half", "bad", "zero", "lot"] {
            assert_eq!(services.get(name), None, "{name}");
        }
        assert!(services.get("smtp").is_some());
    }
}
