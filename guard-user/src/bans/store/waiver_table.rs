//! The table of waivers.

use std::collections::BTreeSet;

use redb::{ReadableTable as _, TableDefinition, WriteTransaction};

use super::record;

/// Prefix and number of the origin, to the number of the ban that is waived and when that was.
pub(super) const WAIVERS: TableDefinition<'_, &[u8], (u64, u64)> = TableDefinition::new("waivers");

/// Numbers of the origins whose word is waived somewhere.
pub(super) fn waived_origins(transaction: &WriteTransaction) -> Result<BTreeSet<u32>, redb::Error> {
    let waivers = transaction.open_table(WAIVERS)?;
    let mut numbers = BTreeSet::new();
    for entry in waivers.iter()? {
        let (key, _) = entry?;
        numbers.extend(record::parse_key(key.value()).map(|(_, number)| number));
    }
    Ok(numbers)
}
