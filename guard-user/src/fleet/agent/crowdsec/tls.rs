//! TLS to a LAPI: whom to believe, and as whom we come. The files are read for each connection, so that renewed ones
//! count.

use std::sync::Arc;

use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::secret;
use crate::{
    failure::{Exit, Failure},
    fleet::settings::CrowdsecSettings,
};

/// Most certificates of one file.
const MOST_CERTIFICATES: usize = 1000;

/// What a connection needs.
///
/// # Errors
/// Which file cannot be used, and why.
pub(super) fn config(settings: &CrowdsecSettings) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    if let Some(ca) = &settings.ca {
        for certificate in certificates(ca)? {
            roots
                .add(certificate)
                .map_err(|error| unusable(ca, &error))?;
        }
    } else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(Failure::new(
                Exit::BadConfiguration,
                "this system has no certificates of authorities",
            )
            .help("name the file of the authority of the LAPI (ca), or install ca-certificates"));
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(Exit::Unsupported, format!("TLS: {error}")))?
        .with_root_certificates(roots);
    let (Some(certificate), Some(key)) = (&settings.certificate, &settings.certificate_key) else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let parsed = PrivateKeyDer::from_pem_slice(&secret::private(key)?)
        .map_err(|error| unusable(key, &error))?;
    let config = builder
        .with_client_auth_cert(certificates(certificate)?, parsed)
        .map_err(|error| unusable(certificate, &error))?;
    Ok(Arc::new(config))
}

fn certificates(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let bytes = secret::public(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes)
        .take(MOST_CERTIFICATES)
        .collect();
    let found = found.map_err(|error| unusable(path, &error))?;
    if found.is_empty() {
        return Err(unusable(path, &"it holds no certificate"));
    }
    Ok(found)
}

fn unusable(path: &std::path::Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        Exit::BadConfiguration,
        format!("{}: cannot be used for TLS: {why}", path.display()),
    )
    .help(
        "a file in PEM form is needed: -----BEGIN CERTIFICATE-----, or -----BEGIN PRIVATE KEY-----",
    )
}
