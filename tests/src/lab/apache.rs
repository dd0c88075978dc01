//! Apache from the distribution's package, with a configuration of its own.

use std::{net::TcpStream, path::Path};

use super::{Background, Folder, Namespace, until};
use crate::require;

/// Where Debian has its modules.
const MODULES: &str = "/usr/lib/apache2/modules";

/// Apache on port 80, which asks for a password and writes `error.log` into its folder.
#[derive(Debug)]
pub struct Apache {
    _server: Background,
    folder: Folder,
}

impl Apache {
    /// Starts it; when this returns, it listens.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn with_password(namespace: &Namespace) -> Self {
        let folder = Folder::new();
        let at = folder.path().display().to_string();
        let modules: String = [
            "mpm_event",
            "authn_core",
            "authn_file",
            "authz_core",
            "authz_user",
            "auth_basic",
        ]
        .iter()
        .map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"))
        .collect();
        // No password of anybody.
        folder.write("passwords", "alice:*\n");
        folder.write("error.log", "");
        let configuration = folder.write(
            "apache.conf",
            &format!(
                "{modules}ServerRoot {at}\nServerName srv\nPidFile {at}/pid\nDefaultRuntimeDir {at}\n\
                 Listen 0.0.0.0:80\nListen [::]:80\nUser nobody\nGroup nogroup\nErrorLog {at}/error.log\n\
                 DocumentRoot {at}\n<Directory {at}>\nAuthType Basic\nAuthName x\nAuthUserFile {at}/passwords\n\
                 Require valid-user\n</Directory>\n"
            ),
        );
        let program =
            require::find("apache2").unwrap_or_else(|| panic!("apache2 is not installed"));
        let mut command = namespace.command(program);
        command.arg("-DFOREGROUND").arg("-f").arg(configuration);
        let mut server = Background::start(&mut command, folder.join("apache.log"));
        until("apache to listen", || {
            server.assert_alive();
            namespace.run(|| TcpStream::connect(("127.0.0.1", 80)).is_ok())
        });
        Self {
            _server: server,
            folder,
        }
    }

    /// Folder of its log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
