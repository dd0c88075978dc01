//! Sample lines that give another result than fail2ban expects, and why that is right.

/// One line of a sample log.
pub(crate) struct Exception {
    pub(crate) filter: &'static str,
    pub(crate) file: &'static str,
    pub(crate) line: usize,
    pub(crate) reason: &'static str,
}

/// Those of fail2ban's own filters.
pub(crate) const STOCK: &[Exception] = &[];
