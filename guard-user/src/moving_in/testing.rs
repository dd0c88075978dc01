//! For tests: texts that become imports, and the questions on which both sides must agree.

use super::{Import, import as import_reading, iptables, nft, reading::Reading};
use crate::failure::Failure;

/// The import of these texts of `iptables-save`, each with whether it is of IPv4.
pub(super) fn import(texts: &[(&str, bool)]) -> Result<Import, Failure> {
    let mut reading = Reading::new("iptables", "rules");
    for (text, is_v4) in texts {
        let name = if *is_v4 { "rules.v4" } else { "rules.v6" };
        let saved = iptables::read(&name.into(), text, *is_v4)?;
        saved.add_to(&mut reading.firewall, &mut reading.left);
    }
    import_reading(reading)
}

/// The import of a ruleset of nftables.
pub(super) fn import_nft(text: &str) -> Result<Import, Failure> {
    let mut reading = Reading::new("nft", "rules");
    let (firewall, left) = (&mut reading.firewall, &mut reading.left);
    nft::read(&"rules".into(), text, firewall, left)?;
    import_reading(reading)
}
