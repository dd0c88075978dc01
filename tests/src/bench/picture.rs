//! The results as a picture: bars with their spread, one panel per part.

use std::fmt::Write as _;

use super::{
    filters::Filter,
    flood::Kind,
    matrix::{
        Row,
        host::Subject,
        kind::{Family, Origin},
        target::Target,
    },
    record::Results,
    series::Series,
    tables,
};

const WIDTH: f64 = 900.0;
const LABEL: f64 = 250.0;
const BAR: f64 = 520.0;
const LINE: f64 = 24.0;
const HEAD: f64 = 54.0;
const OURS: &str = "#1f6f8b";
const OTHERS: &str = "#b8b8b8";

/// A bar: its label, its values, and whether it is guard's.
struct Bar {
    label: String,
    values: Series,
    is_ours: bool,
}

/// Bars on one scale.
struct Panel {
    title: &'static str,
    bars: Vec<Bar>,
}

/// The picture of all parts that were measured.
#[must_use]
pub fn svg(results: &Results) -> String {
    drawn(&[per_cpu(results), goodput(results), beside(results)])
}

/// Those panels that have something to show.
fn drawn(panels: &[Panel]) -> String {
    let panels: Vec<&Panel> = panels
        .iter()
        .filter(|panel| !panel.bars.is_empty())
        .collect();
    let height: f64 = panels.iter().map(|panel| panel.height()).sum();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let mut top = 0.0;
    for panel in panels {
        panel.draw(top, &mut text);
        top += panel.height();
    }
    text + "</svg>\n"
}

/// The picture of the floods of open ports: how much of each is let through.
#[must_use]
pub fn floods(rows: &[Row]) -> String {
    let of = |family, target| {
        rows.iter()
            .filter(move |row| (row.family, row.target) == (family, target))
    };
    let panel = |title, family, target| Panel {
        title,
        bars: of(family, target)
            .filter(|row| row.origin == Origin::Random)
            .flat_map(|row| {
                [Subject::Guard, Subject::Nftables]
                    .into_iter()
                    .filter_map(|subject| {
                        let reached = 100.0 * row.cell(subject)?.share_reached();
                        Some(Bar {
                            label: format!("{}: {}", row.kind.name(), subject.name()),
                            values: [reached].into_iter().collect(),
                            is_ours: subject == Subject::Guard,
                        })
                    })
            })
            .collect(),
    };
    drawn(&[
        panel(
            "Open port of this host, IPv4: per cent of a flood from random sources that the filter lets through",
            Family::V4,
            Target::Host,
        ),
        panel(
            "Published port, IPv6: per cent of a flood from random sources that the filter lets through",
            Family::V6,
            Target::Published,
        ),
    ])
}

fn per_cpu(results: &Results) -> Panel {
    let all = &results.floods;
    let syns = all.iter().filter(|row| row.kind == Kind::Syn);
    let bar = |values: Series, filter: Filter| Bar {
        label: filter.name().to_owned(),
        values,
        is_ours: is_ours(filter),
    };
    Panel {
        title: "SYN flood: packets dropped per CPU second, multiples of nftables input",
        bars: syns
            .filter_map(|row| {
                Some(bar(
                    tables::per_cpu(all, row, Filter::NftInput)?,
                    row.filter,
                ))
            })
            .collect(),
    }
}

fn goodput(results: &Results) -> Panel {
    let all = &results.services;
    let bar = |values: Series, filter: Filter| Bar {
        label: filter.name().to_owned(),
        values,
        is_ours: is_ours(filter),
    };
    Panel {
        title: "Honest requests per second during the flood, share of bare XDP_DROP's",
        bars: all
            .iter()
            .filter_map(|row| {
                Some(bar(
                    tables::goodput(all, row, Filter::BareDrop)?,
                    row.filter,
                ))
            })
            .collect(),
    }
}

fn beside(results: &Results) -> Panel {
    let mut bars = Vec::new();
    for row in &results.beside {
        let name = row.measured.name;
        let mut bar = |who: String, values: &Series, is_ours| {
            bars.push(Bar {
                label: format!("{name}: {who}"),
                values: values.over(&row.measured.bare),
                is_ours,
            });
        };
        bar("guard".to_owned(), &row.measured.guard, true);
        for (features, peer) in row.features.iter().zip(&row.measured.peers) {
            bar(format!("xdp-filter {features}"), peer, false);
        }
    }
    Panel {
        title: "Test run: time per packet, multiples of bare XDP_DROP (shorter is better)",
        bars,
    }
}

fn is_ours(filter: Filter) -> bool {
    filter == Filter::GuardNative || filter == Filter::GuardGeneric
}

impl Panel {
    fn height(&self) -> f64 {
        HEAD + LINE * self.bars.len() as f64
    }

    fn draw(&self, top: f64, text: &mut String) {
        let widest = self.bars.iter().map(|bar| bar.values.max());
        let widest = widest.fold(f64::MIN_POSITIVE, f64::max);
        let across = |value: f64| BAR * value / widest;
        // Writing to a String does not fail.
        let mut put =
            |element: std::fmt::Arguments<'_>| text.write_fmt(element).unwrap_or_default();
        put(format_args!(
            "<text x=\"12\" y=\"{:.0}\" font-weight=\"bold\" font-size=\"15\">{}</text>\n",
            top + 32.0,
            escaped(self.title)
        ));
        for (number, bar) in self.bars.iter().enumerate() {
            let y = top + HEAD + LINE * number as f64;
            let (middle, color) = (y + 8.0, if bar.is_ours { OURS } else { OTHERS });
            let (low, median, high) = (bar.values.min(), bar.values.median(), bar.values.max());
            put(format_args!(
                "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
                 <rect x=\"{LABEL}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"16\" fill=\"{color}\"/>\n\
                 <line x1=\"{:.1}\" y1=\"{middle:.1}\" x2=\"{:.1}\" y2=\"{middle:.1}\" stroke=\"#333333\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\">{median:.2}</text>\n",
                LABEL - 8.0,
                y + 13.0,
                escaped(&bar.label),
                across(median),
                LABEL + across(low),
                LABEL + across(high),
                LABEL + across(high) + 8.0,
                y + 13.0,
            ));
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::end_to_end::Mitigation;

    #[test]
    fn the_longest_bar_is_the_highest_multiple_and_only_measured_parts_are_drawn() {
        let row = |filter, cpu: f64| Mitigation {
            filter,
            kind: Kind::Syn,
            per_second: [1.0].into_iter().collect(),
            cpu: [cpu].into_iter().collect(),
            leaked: [0.0].into_iter().collect(),
        };
        let results = Results {
            floods: vec![
                row(Filter::GuardNative, 100.0),
                row(Filter::NftInput, 800.0),
            ],
            ..Results::default()
        };

        let svg = svg(&results);

        assert!(
            svg.contains(&format!("width=\"{BAR:.1}\" height=\"16\" fill=\"{OURS}\"")),
            "{svg}"
        );
        assert!(svg.contains(&format!(
            "width=\"{:.1}\" height=\"16\" fill=\"{OTHERS}\"",
            BAR / 8.0
        )));
        assert!(!svg.contains("Honest"));
        assert!(svg.ends_with("</svg>\n"));
    }
}
