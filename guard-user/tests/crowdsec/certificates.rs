//! An authority, and what it vouches for: a LAPI and a bouncer. Another authority vouches for a stranger.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{lapi::has, write};

pub(crate) struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// All of them, if openssl is there.
    pub(crate) fn make(folder: &Path) -> Option<Self> {
        if !has("openssl") {
            return None;
        }
        let made = Self {
            folder: folder.to_path_buf(),
        };
        for authority in ["ca", "another"] {
            let subject = format!("/CN={authority}");
            let (key, pem) = (format!("{authority}.key"), format!("{authority}.pem"));
            made.openssl(&[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
                "-subj",
                &subject,
                "-keyout",
                &key,
                "-out",
                &pem,
            ]);
        }
        made.issue("ca", "server", "/CN=lapi", "subjectAltName=IP:127.0.0.1\n");
        made.issue(
            "ca",
            "bouncer",
            "/CN=guard/OU=bouncer-ou",
            "extendedKeyUsage=clientAuth\n",
        );
        made.issue(
            "another",
            "stranger",
            "/CN=guard/OU=bouncer-ou",
            "extendedKeyUsage=clientAuth\n",
        );
        Some(made)
    }

    fn issue(&self, authority: &str, name: &str, subject: &str, extensions: &str) {
        let file = |end: &str| format!("{name}.{end}");
        write(&self.path(&file("ext")), extensions);
        self.openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            subject,
            "-keyout",
            &file("key"),
            "-out",
            &file("csr"),
        ]);
        let (ca, ca_key) = (format!("{authority}.pem"), format!("{authority}.key"));
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &file("csr"),
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            &file("ext"),
            "-out",
            &file("pem"),
        ]);
    }

    fn openssl(&self, args: &[&str]) {
        let output = Command::new("openssl")
            .args(args)
            .current_dir(&self.folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "openssl {args:?}: {output:?}");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What the LAPI has to know of them.
    pub(crate) fn server_settings(&self) -> String {
        let at = self.folder.display();
        format!(
            "    tls:\n      cert_file: {at}/server.pem\n      key_file: {at}/server.key\n      \
             ca_cert_path: {at}/ca.pem\n      client_verification: VerifyClientCertIfGiven\n      \
             bouncers_allowed_ou: [bouncer-ou]\n      agents_allowed_ou: [agent-ou]\n"
        )
    }
}
