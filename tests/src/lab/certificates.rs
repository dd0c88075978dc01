//! An authority of a test's own, and a server on this machine that it vouches for.

use std::{path::PathBuf, process::Command, time::Duration};

use super::{Folder, finish};

const PATIENCE: Duration = Duration::from_secs(20);
/// Of both keys.
const CURVE: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
];
/// The server is on loopback; servers of a cluster are each other's clients.
const EXTENSIONS: &str = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n";

/// `ca.pem`, `server.pem` and `server-key.pem` in a folder.
#[derive(Debug)]
pub struct Certificates(Folder);

impl Certificates {
    /// Makes them, by openssl.
    ///
    /// # Panics
    /// When openssl does not.
    #[must_use]
    pub fn make() -> Self {
        let made = Self(Folder::new());
        made.0.write("extensions", EXTENSIONS);
        made.openssl(
            "req -x509 -days 2 -subj /CN=authority -keyout ca.key -out ca.pem",
            &CURVE,
        );
        made.openssl(
            "req -subj /CN=nats -keyout server-key.pem -out server.csr",
            &CURVE,
        );
        let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions \
                    -out server.pem";
        made.openssl(sign, &[]);
        made
    }

    /// Where a file of them is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn openssl(&self, words: &str, more: &[&str]) {
        let mut command = Command::new("openssl");
        command.args(words.split(' ')).args(more);
        drop(finish(command.current_dir(self.0.path()), PATIENCE).ok());
    }
}
