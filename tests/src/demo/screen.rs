//! What a person sees: headings, commands and their answers, numbers with separators.

use crate::lab::Ran;

/// Begins a part of the show.
pub fn heading(text: &str) {
    println!(
        "\n── {text} {}",
        "─".repeat(92usize.saturating_sub(text.chars().count()))
    );
}

/// A remark.
pub fn say(text: &str) {
    println!("{text}");
}

/// A command as a person would type it, and what it answered.
pub fn command(prompt: &str, line: &str, ran: &Ran) {
    println!("{prompt}# {line}");
    for line in ran.stdout.lines().chain(ran.stderr.lines()) {
        println!("    {line}");
    }
}

/// `1234567` as `1 234 567`.
#[must_use]
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Microseconds below a millisecond, else milliseconds.
#[must_use]
pub fn time(time: std::time::Duration) -> String {
    let micros = time.as_micros();
    if micros < 1000 {
        format!("{micros} µs")
    } else {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    }
}
