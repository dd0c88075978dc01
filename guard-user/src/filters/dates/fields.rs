//! The `%` fields of a date: what matches each, and the time that they mean together.

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, DateTime, Weekday},
    tz::TimeZone,
};

use super::{error::DateError, zones};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// A field that has a group of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Year,
    ShortYear,
    Month,
    MonthName,
    Day,
    Hour,
    HalfHour,
    Noon,
    Minute,
    Second,
    DayOfYear,
    WeekFromSunday,
    WeekFromMonday,
    Weekday,
    WeekdayName,
    Zone,
}

impl Field {
    /// The name of the field's group.
    pub(super) fn of_group(name: &str) -> Option<Self> {
        Some(match name {
            "Y" => Self::Year,
            "y" => Self::ShortYear,
            "m" => Self::Month,
            "b" | "B" => Self::MonthName,
            "d" => Self::Day,
            "H" => Self::Hour,
            "I" => Self::HalfHour,
            "p" => Self::Noon,
            "M" => Self::Minute,
            "S" => Self::Second,
            "j" => Self::DayOfYear,
            "U" => Self::WeekFromSunday,
            "W" => Self::WeekFromMonday,
            "w" => Self::Weekday,
            "a" | "A" => Self::WeekdayName,
            "z" | "Z" => Self::Zone,
            _ => return None,
        })
    }

    /// The pattern with groups for its fields, and whether it has names of months or days.
    ///
    /// # Errors
    /// A `%` that is no field.
    pub(super) fn expand(pattern: &str) -> Result<(String, bool), DateError> {
        let unknown = |field: &str| DateError::UnknownField {
            field: field.to_owned(),
            pattern: pattern.to_owned(),
        };
        let mut text = String::with_capacity(2 * pattern.len());
        let mut has_names = false;
        let mut rest = pattern;
        while let Some(at) = rest.find('%') {
            text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let length = if rest.starts_with("Ex") { 3 } else { 1 };
            let Some(field) = rest.get(..length) else {
                return Err(unknown(rest));
            };
            let Some(matched) = expression(field) else {
                return Err(unknown(field));
            };
            has_names |= matches!(field, "a" | "A" | "b" | "B" | "p");
            text.push_str(&matched);
            rest = &rest[length..];
        }
        text.push_str(rest);
        Ok((text, has_names))
    }
}

fn expression(field: &str) -> Option<String> {
    let short = |names: &[&str]| {
        let short: Vec<&str> = names.iter().map(|name| &name[..3]).collect();
        short.join("|")
    };
    let (name, matched) = match field {
        "%" => return Some("%".to_owned()),
        "Y" => ("Y", "[0-9]{4}".to_owned()),
        "ExY" => ("Y", "20[0-9]{2}".to_owned()),
        "y" | "Exy" => ("y", "[0-9]{2}".to_owned()),
        "m" => ("m", "0?[1-9]|1[0-2]".to_owned()),
        "Exm" => ("m", "0[1-9]|1[0-2]".to_owned()),
        "b" => ("b", short(&MONTHS)),
        "B" => ("B", MONTHS.join("|")),
        "d" => ("d", "[12][0-9]|[0 ]?[1-9]|3[01]".to_owned()),
        "Exd" => ("d", "[12][0-9]|0[1-9]|3[01]".to_owned()),
        "H" => ("H", "[01]?[0-9]|2[0-3]".to_owned()),
        "ExH" => ("H", "[01][0-9]|2[0-3]".to_owned()),
        "k" => return Some(" ?(?P<H>[0-2]?[0-9])".to_owned()),
        "Exk" => return Some(" ?(?P<H>[01]?[0-9]|2[0-3])".to_owned()),
        "I" => ("I", "1[0-2]|0[1-9]|[1-9]".to_owned()),
        "l" => return Some(" ?(?P<I>1?[0-9])".to_owned()),
        "Exl" => return Some(" ?(?P<I>1[0-2]|[0-9])".to_owned()),
        "p" => ("p", "am|pm".to_owned()),
        "M" => ("M", "[0-5]?[0-9]".to_owned()),
        "ExM" => ("M", "[0-5][0-9]".to_owned()),
        "S" => ("S", "[0-5]?[0-9]|6[01]".to_owned()),
        "ExS" => ("S", "[0-5][0-9]|6[01]".to_owned()),
        "f" => ("f", "[0-9]{1,6}".to_owned()),
        "j" => (
            "j",
            "36[0-6]|3[0-5][0-9]|[12][0-9][0-9]|0?[1-9][0-9]|0{0,2}[1-9]".to_owned(),
        ),
        "U" => ("U", "5[0-3]|[0-4][0-9]|[0-9]".to_owned()),
        "W" => ("W", "5[0-3]|[0-4][0-9]|[0-9]".to_owned()),
        "w" => ("w", "[0-6]".to_owned()),
        "a" => ("a", short(&DAYS)),
        "A" => ("A", DAYS.join("|")),
        "Z" => ("Z", "Z|[A-Z]{3,5}".to_owned()),
        "ExZ" => ("Z", "[A-Z](?:[A-Z]{2,4})?".to_owned()),
        "z" => ("z", "Z|UTC|GMT|[+-][01][0-9](?::?[0-9]{2})?".to_owned()),
        "Exz" => (
            "z",
            "(?:[A-Z](?:[A-Z]{2,4})?)?[+-][01][0-9](?::?[0-9]{2})?|[A-Z](?:[A-Z]{2,4})?".to_owned(),
        ),
        _ => return None,
    };
    Some(format!("(?P<{name}>{matched})"))
}

/// What a line's date says; what it leaves out is taken from today.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DateFields<'t> {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    hour: i8,
    half_hour: Option<i8>,
    is_afternoon: bool,
    minute: i8,
    second: i8,
    day_of_year: Option<i16>,
    week: Option<(i16, Weekday)>,
    weekday: Option<i8>,
    zone: Option<&'t str>,
}

impl<'t> DateFields<'t> {
    /// Notes one field. `None` if its text is no value, which no template lets happen.
    pub(super) fn note(&mut self, field: Field, text: &'t str) -> Option<()> {
        let number = || text.trim_start().parse::<i16>().ok();
        let small = || number().and_then(|number| i8::try_from(number).ok());
        let name = |names: &[&str]| {
            let text = text.to_ascii_lowercase();
            let at = names.iter().position(|name| name.starts_with(&text))?;
            i8::try_from(at).ok()
        };
        match field {
            Field::Year => self.year = Some(number()?),
            Field::ShortYear => self.year = Some(2000 + number()?),
            Field::Month => self.month = Some(small()?),
            Field::MonthName => self.month = Some(1 + name(&MONTHS)?),
            Field::Day => self.day = Some(small()?),
            Field::Hour => self.hour = small()?,
            Field::HalfHour => self.half_hour = Some(small()?),
            Field::Noon => self.is_afternoon = text.eq_ignore_ascii_case("pm"),
            Field::Minute => self.minute = small()?,
            Field::Second => self.second = small()?,
            Field::DayOfYear => self.day_of_year = Some(number()?),
            Field::WeekFromSunday => self.week = Some((number()?, Weekday::Sunday)),
            Field::WeekFromMonday => self.week = Some((number()?, Weekday::Monday)),
            // Counted from Monday, while the field counts from Sunday.
            Field::Weekday => self.weekday = Some((small()? + 6) % 7),
            Field::WeekdayName => self.weekday = Some(name(&DAYS)?),
            Field::Zone => self.zone = Some(text),
        }
        Some(())
    }

    /// The time in milliseconds since 1970. `None` for a day that does not exist, and for a zone that
    /// nobody knows.
    pub(super) fn time(&self, now_ms: i64, zone: &TimeZone) -> Option<i64> {
        let now = Timestamp::from_millisecond(now_ms).ok()?;
        let now = now.to_zoned(zone.clone()).datetime();
        let year = self.year.unwrap_or(now.year());
        let mut date = (self.month, self.day);
        if (date.0.is_none() || date.1.is_none())
            && let Some(found) = self.day_of_year(year)
        {
            date = (Some(found.month()), Some(found.day()));
        }
        let is_today = date == (None, None);
        let (month, day) = if is_today {
            (now.month(), now.day())
        } else {
            (date.0?, date.1?)
        };
        let hour = match self.half_hour {
            None => self.hour,
            Some(hour) => hour % 12 + if self.is_afternoon { 12 } else { 0 },
        };
        // A leap second is the last one that every clock has.
        let second = self.second.min(59);
        let mut date = DateTime::new(year, month, day, hour, self.minute, second, 0).ok()?;
        let offset = match self.zone {
            None => None,
            Some(zone) => Some(zones::minutes(zone)?),
        };
        if let Some(offset) = offset {
            date = date.checked_sub(i64::from(offset).minutes()).ok()?;
        }
        if is_today && date > now {
            date = date.checked_sub(1.day()).ok()?;
        }
        if self.year.is_none() && date > now.checked_add(1.day()).ok()? {
            date =
                DateTime::new(year - 1, month, day, date.hour(), date.minute(), second, 0).ok()?;
        }
        let zone = if offset.is_some() {
            &TimeZone::UTC
        } else {
            zone
        };
        let zoned = date.to_zoned(zone.clone()).ok()?;
        Some(zoned.timestamp().as_millisecond())
    }

    fn day_of_year(&self, year: i16) -> Option<Date> {
        let first = Date::new(year, 1, 1).ok()?;
        if let Some(day) = self.day_of_year {
            return first.checked_add(i64::from(day - 1).days()).ok();
        }
        let ((week, begins), weekday) = (self.week?, self.weekday?);
        // Week 1 begins with the first day of its kind; what is before it is week 0.
        let first_day = first.weekday().since(begins);
        let weekday = Weekday::from_monday_zero_offset(weekday)
            .ok()?
            .since(begins);
        let days = 7 * i64::from(week) + i64::from(weekday) - i64::from(first_day);
        let days = if first_day == 0 { days - 7 } else { days };
        first.checked_add(days.days()).ok()
    }
}
