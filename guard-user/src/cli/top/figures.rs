//! Numbers and courses in few columns.

/// Four figures and a letter at most: `7`, `0.4`, `9999`, `12.3k`, `1.2M`.
pub(super) fn compact(number: f64) -> String {
    const LETTERS: [(f64, &str); 3] = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    if !number.is_finite() || number <= 0.0 {
        return "0".to_owned();
    }
    if number < 0.1 {
        return "<0.1".to_owned();
    }
    if number < 9.95 && number.fract() > 0.05 && number.fract() < 0.95 {
        return format!("{number:.1}");
    }
    if number < 9_999.5 {
        return format!("{number:.0}");
    }
    let (by, letter) = LETTERS
        .into_iter()
        .find(|(by, _)| number >= by * 0.9995)
        .unwrap_or((1e3, "k"));
    let number = number / by;
    if number < 99.95 {
        format!("{number:.1}{letter}")
    } else {
        format!("{number:.0}{letter}")
    }
}

/// A length of time in the two largest units: `42s`, `9m12s`, `3h05m`, `12d04h`.
pub(super) fn time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        86_400.. => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glyphs {
    /// Blocks of eight heights.
    Unicode,
    /// ASCII alone.
    Ascii,
}

/// The newest of these values, the peak of `each` in a column; the highest of them is the full height, and what is more
/// than nothing can be seen.
pub(super) fn course(values: &[u64], columns: usize, each: usize, glyphs: Glyphs) -> String {
    let heights: &[char] = match glyphs {
        Glyphs::Unicode => &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
        Glyphs::Ascii => &['.', ':', '-', '=', '+', '*', '#'],
    };
    let peaks = values.rchunks(each.max(1)).take(columns);
    let mut peaks: Vec<u64> = peaks
        .map(|chunk| chunk.iter().copied().max().unwrap_or_default())
        .collect();
    peaks.resize(columns, 0);
    peaks.reverse();
    let highest = peaks.iter().copied().max().unwrap_or_default().max(1);
    let last = heights.len() as u64 - 1;
    let shown = peaks.iter().map(|peak| match peak {
        0 => ' ',
        peak => {
            let height = u128::from(*peak) * u128::from(last) / u128::from(highest);
            heights[height as usize]
        }
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_size() {
        for (number, text) in [
            (0.0, "0"),
            (f64::NAN, "0"),
            (0.01, "<0.1"),
            (0.4, "0.4"),
            (7.0, "7"),
            (9.97, "10"),
            (9999.0, "9999"),
            (12_345.0, "12.3k"),
            (123_456.0, "123k"),
            (999_999.0, "1.0M"),
            (2.5e9, "2.5G"),
            (1e12, "1000G"),
        ] {
            assert_eq!(compact(number), text, "{number}");
        }
    }

    #[test]
    fn times_have_two_units() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m01s"),
            (3600, "1h00m"),
            (90_000, "1d01h"),
        ] {
            assert_eq!(time(seconds), text);
        }
    }

    #[test]
    fn a_course_shows_the_newest_and_never_hides_a_packet() {
        assert_eq!(course(&[1, 0, 8], 4, 1, Glyphs::Unicode), " ▁ █");
        assert_eq!(course(&[9, 9, 1, 1_000_000], 2, 1, Glyphs::Ascii), ".#");
        assert_eq!(course(&[], 3, 1, Glyphs::Ascii), "   ");
        assert_eq!(course(&[u64::MAX, 1], 2, 1, Glyphs::Ascii), "#.");
        // The newest groups are whole, the oldest is what is left.
        assert_eq!(course(&[5, 0, 0, 9, 0, 0, 0], 4, 3, Glyphs::Ascii), " =# ");
    }
}
