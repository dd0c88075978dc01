//! The connection to a server, with the key of this host; in the clear to this host only.

use std::{fs, path::Path, time::Duration};

use async_nats::{Client, ConnectOptions, ServerAddr};

use super::PROBE;
use crate::{
    failure::{Exit, Failure, from_io},
    fleet::settings::NatsSettings,
};

/// Messages that may wait for being read.
const WAITING: usize = 65_536;

/// Connects with what `fleet.toml` says.
///
/// # Errors
/// What keeps it from that, in words.
pub(in crate::fleet::agent) async fn connect(settings: &NatsSettings) -> Result<Client, Failure> {
    let inbox = format!("_INBOX_{}_{}", settings.group, settings.host);
    connect_as(
        &settings.servers,
        &settings.key,
        settings.ca.as_deref(),
        &inbox,
    )
    .await
}

/// The same in any name.
///
/// # Errors
/// As [`connect`].
pub(in crate::fleet::agent) async fn connect_as(
    servers: &[String],
    key: &Path,
    ca: Option<&Path>,
    inbox: &str,
) -> Result<Client, Failure> {
    let mut addresses = Vec::new();
    let mut needs_tls = false;
    for server in servers {
        let address: ServerAddr = server
            .parse()
            .map_err(|error| Failure::new(Exit::Usage, format!("{server}: {error}")))?;
        needs_tls |= address.tls_required();
        if !is_here(address.host()) {
            // A key is proven without being shown, but bans would be anybody's to change.
            needs_tls = true;
        }
        addresses.push(address);
    }
    let secret = fs::read_to_string(key).map_err(|error| from_io(key.display(), &error))?;
    let mut options = ConnectOptions::new()
        .name("guard-fleet")
        .custom_inbox_prefix(inbox)
        .ping_interval(PROBE)
        .connection_timeout(Duration::from_secs(5))
        .subscription_capacity(WAITING)
        .require_tls(needs_tls)
        .ignore_discovered_servers();
    options = if secret.contains("-----BEGIN") {
        options
            .credentials(&secret)
            .map_err(|error| from_io(key.display(), &error))?
    } else {
        options.nkey(secret.trim().to_owned())
    };
    if let Some(ca) = ca {
        options = options.add_root_certificates(ca.to_owned());
    }
    options.connect(addresses).await.map_err(|error| {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Failure::new(Exit::NoAnswer, text)
    })
}

/// Is the server on this host, where nobody else hears what is said?
fn is_here(host: &str) -> bool {
    let host = host.trim_matches(|letter| letter == '[' || letter == ']');
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}
