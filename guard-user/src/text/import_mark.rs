//! The first lines of a file that was written by an import: they tell later whether somebody has
//! edited it since.

use std::path::Path;

use super::digest::Digest;

const BEGIN: &str = "# Written by `guardctl import ";
const FROM: &str = "` from ";
const SUM: &str = "# Unedited as long as the rest has the sum ";
const REST: &str = ". Import again to replace it.\n";

/// The text of the file that `import` wrote from there.
pub(crate) fn marked(import: &str, from: &Path, body: &str) -> String {
    // It is a comment: what comes behind a line feed would be none.
    let from = from.to_string_lossy().replace(char::is_control, "?");
    format!(
        "{BEGIN}{import}{FROM}{from}\n{SUM}{:016x}{REST}{body}",
        sum(body)
    )
}

/// Was this text written by an import, and by nobody since?
#[must_use]
pub(crate) fn is_untouched(text: &str) -> bool {
    let parts = || {
        let (_, behind) = text.strip_prefix(BEGIN)?.split_once('\n')?;
        let (sum, body) = behind.strip_prefix(SUM)?.split_once(REST)?;
        Some((u64::from_str_radix(sum, 16).ok()?, body))
    };
    parts().is_some_and(|(written, body)| written == sum(body))
}

fn sum(body: &str) -> u64 {
    let mut digest = Digest::new();
    digest.add(body.as_bytes());
    digest.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_noticed() {
        let text = marked(
            "fail2ban",
            Path::new("/etc/fail2ban\n[x]"),
            "\n[jail.sshd]\nmaxretry = 5\n",
        );
        assert!(is_untouched(&text), "{text}");
        assert!(text.lines().take(2).all(|line| line.starts_with('#')));

        assert!(!is_untouched(&text.replace("= 5", "= 4")));
        assert!(!is_untouched(&format!("{text}\n")));
        assert!(!is_untouched("[jail.sshd]\n"));
        assert!(!is_untouched(""));
    }
}
