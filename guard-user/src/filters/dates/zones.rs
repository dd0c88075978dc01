//! Time zones in log lines: offsets, and abbreviations, which mean fixed offsets.

/// Minutes east of UTC and the abbreviations for it. Where two zones share one, the more usual.
const ABBREVIATIONS: &[(i32, &str)] = &[
    (-720, "Y"),
    (-660, "X SST"),
    (-600, "W HST HAST TAHT"),
    (-570, "MART"),
    (-540, "V AKST HADT GAMT"),
    (-480, "U PST PT AKDT"),
    (-420, "T MST PDT"),
    (-360, "S CST MDT GALT"),
    (-300, "R EST ET CDT COT ECT PET"),
    (-240, "Q AST EDT BOT CLT"),
    (-210, "NST NT"),
    (-180, "P ADT ART BRT CLST GFT PYST SRT UYT"),
    (-150, "NDT"),
    (-120, "O BRST FNT PMDT UYST"),
    (-60, "N AZOT CVT"),
    (0, "Z UTC GMT WET EGST"),
    (60, "A CET WEST"),
    (120, "B CEST EET CAT SAST"),
    (180, "C EEST MSK EAT IDT"),
    (210, "IRST"),
    (240, "D GST AZT SAMT MSD"),
    (270, "IRDT AFT"),
    (300, "E UZT PKT YEKT TMT"),
    (330, "SLT"),
    (345, "NPT"),
    (360, "F NOVT OMST BTT ALMT"),
    (390, "MMT CCT"),
    (420, "G ICT KRAT WIB"),
    (480, "H HKT SGT MYT PHT AWST IRKT"),
    (540, "I JST KST WIT YAKT"),
    (570, "ACST"),
    (600, "K AEST VLAT PGT"),
    (630, "ACDT LHST"),
    (660, "L AEDT MAGT VUT"),
    (690, "NFT"),
    (720, "M NZST FJT PETT TVT"),
    (780, "NZDT"),
];

/// Minutes east of UTC of `Z`, `CEST`, `+0200`, `+02:00`, `-07` or `UTC+0200`.
pub(super) fn minutes(text: &str) -> Option<i32> {
    let at = text.find(['+', '-']).unwrap_or(text.len());
    let (name, offset) = text.split_at(at);
    let base = match name {
        "" => 0,
        _ => {
            let is_it = |names: &str| {
                names
                    .split(' ')
                    .any(|known| known.eq_ignore_ascii_case(name))
            };
            ABBREVIATIONS.iter().find(|(_, names)| is_it(names))?.0
        }
    };
    if offset.is_empty() {
        return Some(base);
    }
    let digits: String = offset[1..].chars().filter(char::is_ascii_digit).collect();
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let rest: i32 = digits
        .get(2..)
        .filter(|rest| !rest.is_empty())
        .map_or(Some(0), |rest| rest.parse().ok())?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    Some(base + sign * (60 * hours + rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_abbreviations_are_minutes_east() {
        for (text, east) in [
            ("Z", Some(0)),
            ("UTC", Some(0)),
            ("+0200", Some(120)),
            ("+02:30", Some(150)),
            ("-07", Some(-420)),
            ("CET+0100", Some(120)),
            ("pdt", Some(-420)),
            ("WHAT", None),
        ] {
            assert_eq!(minutes(text), east, "{text}");
        }
    }
}
