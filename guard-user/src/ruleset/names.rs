//! The names that a policy may use for ports and protocols on this machine.

use std::{fs, sync::OnceLock};

use super::{protocol::Protocols, service::Services};

/// Services and protocols by name.
#[derive(Clone, Debug)]
pub struct Names {
    /// Ports by service name.
    pub services: Services,
    /// Protocol numbers by name.
    pub protocols: Protocols,
}

impl Names {
    /// Only what comes with guard: the same on every machine.
    #[must_use]
    pub fn embedded() -> Self {
        Self {
            services: Services::embedded(),
            protocols: Protocols::embedded(),
        }
    }

    /// With /etc/services and /etc/protocols, read once; either may be missing.
    #[must_use]
    pub fn system() -> &'static Self {
        static SYSTEM: OnceLock<Names> = OnceLock::new();
        SYSTEM.get_or_init(|| {
            let text = |path| fs::read_to_string(path).unwrap_or_default();
            Self {
                services: Services::with_file(&text("/etc/services")),
                protocols: Protocols::with_file(&text("/etc/protocols")),
            }
        })
    }
}
