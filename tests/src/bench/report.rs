//! Lines for people, JSON for programs.

use serde_json::json;

use super::{measure::Measurement, series::Series};

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

/// The way out, beside an empty tc program.
#[must_use]
pub fn egress_line(empty: &Series, egress: &Series) -> String {
    format!(
        "outgoing segment of a known flow: {:+.0} ns min {:+.0} ns median over an empty tc program \
         ({:.0} / {:.0} ns)",
        egress.min() - empty.min(),
        egress.median() - empty.median(),
        empty.min(),
        empty.median(),
    )
}

/// All rows.
#[must_use]
pub fn json(rows: &[Measurement], empty: &Series, egress: &Series) -> String {
    let series = |series: &Series| json!({"min": series.min(), "median": series.median(), "max": series.max(), "rounds": series.len()});
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
    let egress = json!({"empty_tc": series(empty), "guard": series(egress)});
    json!({"schema": 1, "unit": "ratio to bare XDP_DROP", "rows": rows, "egress_ns": egress})
        .to_string()
}
