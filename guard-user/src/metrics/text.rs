//! The two forms of the text: OpenMetrics, as `prometheus-client` writes it, and Prometheus' own older one, which the
//! textfile collector of node_exporter and `promtool` read. They differ in the names of counters' heads and in the end.

use prometheus_client::{encoding::text::encode, registry::Registry};

use super::MetricFacts;

/// Which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Prometheus' own, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Form {
    /// For HTTP.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl MetricFacts {
    /// As text.
    #[must_use]
    pub fn text(self, form: Form) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing into memory does not fail.
        encode(&mut text, &registry).unwrap_or_default();
        match form {
            Form::OpenMetrics => text,
            Form::Prometheus => older(&text),
        }
    }
}

/// In the older form the head of a counter has the name of its samples, and there is no end.
fn older(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| *line != "# EOF").collect();
    let mut older = String::with_capacity(text.len());
    for (at, line) in lines.iter().enumerate() {
        // HELP stands before TYPE.
        let kind = if line.starts_with("# HELP ") {
            lines.get(at + 1)
        } else {
            Some(line)
        };
        let is_of_counter =
            kind.is_some_and(|kind| kind.starts_with("# TYPE ") && kind.ends_with(" counter"));
        let mut words = line.splitn(4, ' ');
        match (
            is_of_counter,
            words.next(),
            words.next(),
            words.next(),
            words.next(),
        ) {
            (true, Some(hash), Some(word), Some(name), Some(rest)) => {
                older += &format!("{hash} {word} {name}_total {rest}");
            }
            _ => older += line,
        }
        older.push('\n');
    }
    older
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_counters_have_the_name_of_their_samples_in_the_older_form() {
        let new = "# HELP a_x Packets seen.\n# TYPE a_x counter\na_x_total{b=\"c\"} 1\n# HELP y Now.\n# TYPE y gauge\ny 2\n# EOF\n";
        assert_eq!(
            older(new),
            "# HELP a_x_total Packets seen.\n# TYPE a_x_total counter\na_x_total{b=\"c\"} 1\n# HELP y Now.\n# TYPE y gauge\ny 2\n"
        );
    }
}
