//! The names that a policy may use for ports, protocols and programs on this machine.

use std::{fs, path::Path, sync::OnceLock};

use super::{
    profiles::{self, Profiles},
    protocol::Protocols,
    service::Services,
};

/// Services, protocols and profiles by name.
#[derive(Clone, Debug)]
pub struct Names {
    /// Ports by service name.
    pub services: Services,
    /// Protocol numbers by name.
    pub protocols: Protocols,
    /// Application profiles of ufw.
    pub profiles: Profiles,
}

impl Names {
    /// Only what comes with guard: the same on every machine.
    #[must_use]
    pub fn embedded() -> Self {
        Self {
            services: Services::embedded(),
            protocols: Protocols::embedded(),
            profiles: Profiles::embedded(),
        }
    }

    /// With /etc/services, /etc/protocols and the profiles of ufw, read once; each may be missing.
    #[must_use]
    pub fn system() -> &'static Self {
        static SYSTEM: OnceLock<Names> = OnceLock::new();
        SYSTEM.get_or_init(|| {
            let text = |path| fs::read_to_string(path).unwrap_or_default();
            Self {
                services: Services::with_file(&text("/etc/services")),
                protocols: Protocols::with_file(&text("/etc/protocols")),
                profiles: Profiles::with_folder(Path::new(profiles::FOLDER)),
            }
        })
    }
}
