//! Lines for people, JSON for programs.

use serde_json::json;

use super::measure::{Measurement, Series};

/// What the numbers are.
pub const EXPLANATION: &str = "Ratios to a bare XDP_DROP program in the same rounds (minimum of all \
     rounds, then median). The kernel reports whole nanoseconds per packet. Random rows include \
     the price of drawing the packet, shown as \"generator\".";

/// One row.
#[must_use]
pub fn line(row: &Measurement) -> String {
    format!(
        "{:>6} rules  {:<26} {:<38} {:>5.2}x min {:>5.2}x median   ({:.0} / {:.0} ns; generator \
         {:.0}, bare drop {:.0})",
        row.rules,
        row.name,
        row.packets,
        row.guard.min() / row.bare.min(),
        row.guard.median() / row.bare.median(),
        row.guard.min(),
        row.guard.median(),
        row.generator.median(),
        row.bare.median(),
    )
}

/// All rows.
#[must_use]
pub fn json(rows: &[Measurement]) -> String {
    let series = |series: &Series| json!({"min": series.min(), "median": series.median()});
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "row": row.name,
                "packets": row.packets,
                "rules": row.rules,
                "policy_words": row.image_words,
                "ratio_min": row.guard.min() / row.bare.min(),
                "ratio_median": row.guard.median() / row.bare.median(),
                "ns": {
                    "guard": series(&row.guard),
                    "generator": series(&row.generator),
                    "bare_drop": series(&row.bare),
                },
            })
        })
        .collect();
    json!({"schema": 1, "unit": "ratio to bare XDP_DROP", "rows": rows}).to_string()
}
