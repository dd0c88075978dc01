//! "Did you mean": the known name that is nearest to a wrong one.

use strsim::osa_distance;

/// The nearest of `known`, if one is near enough to be a slip of the hand.
pub(crate) fn nearest<'k>(
    wrong: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    // The distance costs length x length: nothing that long is a slip.
    if wrong.len() > 64 {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let allowed = (wrong.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (osa_distance(&wrong, name), name))
        .filter(|(distance, name)| *distance <= allowed && *distance < name.len())
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_and_a_stranger_does_not() {
        let known = ["http", "https", "ssh", "domain"];

        assert_eq!(nearest("htpp", known), Some("http"));
        assert_eq!(nearest("SSH", known), Some("ssh"));
        assert_eq!(nearest("shs", known), Some("ssh"));
        assert_eq!(nearest("domian", known), Some("domain"));
        assert_eq!(nearest("minecraft", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
