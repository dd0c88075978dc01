//! The two dates that nearly every log line begins with, found without an engine: `Aug 14 10:00:00` and
//! `2005-08-14T10:00:00+02:00`. Says nothing where the slightest doubt is left.

/// Where the date at the start of a line ends, if it is one of the two.
pub(super) fn end_of_date(line: &[u8]) -> Option<usize> {
    match line.first()? {
        b'2' => iso(line),
        b'A' | b'D' | b'F' | b'J' | b'M' | b'N' | b'O' | b'S' => syslog(line),
        _ => None,
    }
}

/// What stands before and behind the fraction of a second of such a date.
pub(super) fn without_fraction(date: &str) -> (&str, &str) {
    match date.split_once(['.', ',']) {
        Some((head, behind)) => (
            head,
            behind.trim_start_matches(|c: char| c.is_ascii_digit()),
        ),
        None => (date, ""),
    }
}

/// `Mmm dd HH:MM:SS `, and no year behind it.
fn syslog(line: &[u8]) -> Option<usize> {
    let head: &[u8; 17] = line.first_chunk()?;
    let month = matches!(
        &head[..4],
        b"Jan "
            | b"Feb "
            | b"Mar "
            | b"Apr "
            | b"May "
            | b"Jun "
            | b"Jul "
            | b"Aug "
            | b"Sep "
            | b"Oct "
            | b"Nov "
            | b"Dec "
    );
    let day = match (head[4], head[5]) {
        (b' ' | b'0', b'1'..=b'9') | (b'1' | b'2', b'0'..=b'9') | (b'3', b'0' | b'1') => true,
        (_, _) => false,
    };
    // A year would begin with a 2.
    let is_it = month && day && head[6] == b' ' && is_clock(&head[7..15]);
    (is_it && head[15] == b' ' && head[16] != b'2').then_some(15)
}

/// `20YY-MM-DD HH:MM:SS`, a fraction and an offset, in their plainest forms.
fn iso(line: &[u8]) -> Option<usize> {
    let head: &[u8; 19] = line.first_chunk()?;
    let is_digit = |at: usize| head[at].is_ascii_digit();
    let year = head[0] == b'2' && head[1] == b'0' && is_digit(2) && is_digit(3);
    let month = matches!(
        (head[5], head[6]),
        (b'0', b'1'..=b'9') | (b'1', b'0'..=b'2')
    );
    let day = matches!(
        (head[8], head[9]),
        (b'0', b'1'..=b'9') | (b'1' | b'2', b'0'..=b'9') | (b'3', b'0' | b'1')
    );
    let marks = head[4] == b'-' && head[7] == b'-' && matches!(head[10], b'T' | b' ');
    if !(year && month && day && marks && is_clock(&head[11..19])) {
        return None;
    }
    let mut end = 19;
    if let Some(b'.' | b',') = line.get(end) {
        let digits = line[end + 1..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if !(1..=6).contains(&digits) {
            return None;
        }
        end += 1 + digits;
    }
    match line.get(end)? {
        b'Z' => end += 1,
        b'+' | b'-' => {
            let offset = line.get(end + 1..end + 6)?;
            let digit = |at: usize| offset[at].is_ascii_digit();
            if !(matches!(offset[0], b'0' | b'1') && digit(1)) {
                return None;
            }
            end += match offset[2] {
                b':' if digit(3) && digit(4) => 6,
                b'0'..=b'9' if digit(3) => 5,
                _ => return None,
            };
        }
        // Blanks may stand before an offset, or before a word that only looks like one.
        b' ' if !matches!(
            line.get(end + 1)?,
            b'+' | b'-' | b'Z' | b'U' | b'G' | b' ' | b'\t'
        ) =>
        {
            return Some(end);
        }
        _ => return None,
    }
    (*line.get(end)? == b' ').then_some(end)
}

fn is_clock(text: &[u8]) -> bool {
    let hour = matches!(
        (text[0], text[1]),
        (b'0' | b'1', b'0'..=b'9') | (b'2', b'0'..=b'3')
    );
    let sixty = |at: usize| matches!((text[at], text[at + 1]), (b'0'..=b'5', b'0'..=b'9'));
    hour && text[2] == b':' && sixty(3) && text[5] == b':' && sixty(6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_the_same_second_are_the_same_without_their_fraction() {
        for (date, parts) in [
            ("Aug 14 10:00:00", ("Aug 14 10:00:00", "")),
            ("2005-08-14T10:00:00Z", ("2005-08-14T10:00:00Z", "")),
            ("2005-08-14 10:00:00,123", ("2005-08-14 10:00:00", "")),
            (
                "2005-08-14T10:00:00.123456+02:00",
                ("2005-08-14T10:00:00", "+02:00"),
            ),
            ("2005-08-14T10:00:00.1Z", ("2005-08-14T10:00:00", "Z")),
        ] {
            assert_eq!(without_fraction(date), parts, "{date}");
        }
    }
}
