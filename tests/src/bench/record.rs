//! All results as JSON, for programs.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    beside::Compared,
    end_to_end::{Mitigation, Service},
    fleet::Fleet,
    logs::Logs,
    matrix::{Row, honest, honest_table, table},
    measure::Measurement,
    series::Series,
    unwatched::Unwatched,
    watched::Watched,
    worst::Worst,
};

/// What a run came to; parts that were not asked for are empty.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// Rows of test runs with their subjects.
    pub rows: Vec<(&'static str, Measurement)>,
    /// An empty tc program, and guard's.
    pub egress: Option<[Series; 2]>,
    /// The generator, and with a read of memory behind it.
    pub read: Option<[Series; 2]>,
    /// A source of a thousand that are banned: bare XDP_DROP, the hand-written minimum, guard.
    pub floor: Option<[Series; 3]>,
    /// The most expensive packets that a search found.
    pub worst: Vec<Worst>,
    /// guard beside xdp-filter.
    pub beside: Vec<Compared>,
    /// Floods at full speed.
    pub floods: Vec<Mitigation>,
    /// A flood at full speed to one port: dropped, or limited per source.
    pub limited: Vec<Mitigation>,
    /// The honest client.
    pub services: Vec<Service>,
    /// Floods of every kind, of closed and of open ports.
    pub matrix: Vec<Row>,
    /// What honest clients noticed of them.
    pub honest: Vec<honest::Row>,
    /// With and without the question whether somebody watches.
    pub unwatched: Vec<Unwatched>,
    /// While nobody watches, and while somebody does.
    pub watched: Vec<Watched>,
    /// Lines of logs, and bans that follow from them.
    pub logs: Option<Logs>,
    /// Bans between hosts.
    pub fleet: Option<Fleet>,
    /// Peers that were left out because a program is not installed.
    pub missing: Vec<&'static str>,
}

impl Results {
    /// The document.
    ///
    /// # Errors
    /// When something that was measured is no number.
    pub fn json(&self) -> Result<Value> {
        let rows = self.rows.iter().map(|(subject, row)| of_row(subject, row));
        let egress = self
            .egress
            .as_ref()
            .map(|[empty, guard]| json!({"empty_tc": of_series(empty), "guard": of_series(guard)}));
        let read = self.read.as_ref().map(
            |[generator, read]| json!({"generator": of_series(generator), "read": of_series(read)}),
        );
        let floor = self.floor.as_ref().map(|[bare, floor, guard]| {
            json!({"bare_drop": of_series(bare), "minimum": of_series(floor), "guard": of_series(guard)})
        });
        let document = json!({
            "schema": 5,
            "rows": rows.collect::<Vec<_>>(),
            "egress_ns": egress,
            "memory_read_ns": read,
            "banned_floor_ns": floor,
            "beside_xdp_filter": self.beside.iter().map(of_compared).collect::<Vec<_>>(),
            "worst": self.worst.iter().map(of_worst).collect::<Vec<_>>(),
            "floods": self.floods.iter().map(of_flood).collect::<Vec<_>>(),
            "limited_port": self.limited.iter().map(of_flood).collect::<Vec<_>>(),
            "services": self.services.iter().map(of_service).collect::<Vec<_>>(),
            "flood_matrix": self.matrix.iter().map(table::of_row).collect::<Vec<_>>(),
            "honest_clients": self.honest.iter().map(honest_table::of_row).collect::<Vec<_>>(),
            "unwatched": self.unwatched.iter().map(Unwatched::json).collect::<Vec<_>>(),
            "watched": self.watched.iter().map(Watched::json).collect::<Vec<_>>(),
            "logs": self.logs.as_ref().map_or_else(|| json!({}), Logs::json),
            "fleet": self.fleet.as_ref().map_or_else(|| json!({}), Fleet::json),
            "missing": self.missing,
        });
        // JSON has no word for what is not finite: it becomes null.
        let measured = document.as_object().into_iter().flatten();
        for (part, value) in measured.filter(|(part, _)| !part.ends_with("_ns")) {
            ensure!(
                !has_null(value),
                "{part}: a measurement is no number: {value}"
            );
        }
        Ok(document)
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn of_series(series: &Series) -> Value {
    series.json()
}

fn of_worst(found: &Worst) -> Value {
    json!({
        "policy": found.size.name(),
        "reason": found.reason.label(),
        "ratio_min": found.ratio(),
        "ns": {"guard": of_series(&found.guard), "bare_drop": of_series(&found.bare)},
        "frame": found.hex(),
    })
}

fn of_row(subject: &str, row: &Measurement) -> Value {
    json!({
        "subject": subject,
        "row": row.name,
        "packets": row.packets,
        "rules": row.rules,
        "policy_words": row.image_words,
        "ratio_min": row.guard.min() / row.bare.min(),
        "ratio_median": row.guard.median() / row.bare.median(),
        "ns": {
            "guard": of_series(&row.guard),
            "generator": of_series(&row.generator),
            "bare_drop": of_series(&row.bare),
        },
    })
}

fn of_compared(row: &Compared) -> Value {
    let guard = &row.measured.guard;
    let theirs = row.features.iter().zip(&row.measured.peers);
    let theirs: Vec<_> = theirs
        .map(|(features, peer)| {
            json!({"features": features, "ns": of_series(peer), "guard_over_it": of_series(&guard.over(peer))})
        })
        .collect();
    json!({"guard": of_row("beside", &row.measured), "xdp_filter": theirs})
}

fn of_flood(row: &Mitigation) -> Value {
    json!({
        "filter": row.filter.name(),
        "flood": row.kind.name(),
        "packets_per_second": of_series(&row.per_second),
        "cpu_ns_per_packet": of_series(&row.cpu),
        "share_let_in": of_series(&row.leaked),
    })
}

fn of_service(row: &Service) -> Value {
    json!({
        "filter": row.filter.name(),
        "requests_per_second": {"calm": of_series(&row.calm), "flooded": of_series(&row.flooded)},
        "p99_ms": {"calm": of_series(&row.calm_p99), "flooded": of_series(&row.flooded_p99)},
        "share_unanswered": of_series(&row.failed),
        "flood_frames_per_second": of_series(&row.sent),
        "share_lost_in_queue": of_series(&row.lost),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{filters::Filter, flood::Kind};

    fn flood(cpu: Series) -> Results {
        let ones = || [1.0].into_iter().collect::<Series>();
        Results {
            floods: vec![Mitigation {
                filter: Filter::Ufw,
                kind: Kind::Udp,
                per_second: ones(),
                cpu,
                leaked: ones(),
            }],
            ..Results::default()
        }
    }

    #[test]
    fn a_part_that_was_not_asked_for_is_empty_and_no_error() {
        let document = flood([3.0, 1.0, 2.0].into_iter().collect())
            .json()
            .expect("numbers");

        let cpu = &document["floods"][0]["cpu_ns_per_packet"];
        assert_eq!((&cpu["median"], &cpu["rounds"]), (&json!(2.0), &json!(3)));
        assert_eq!(document["services"], json!([]));
    }

    #[test]
    fn a_measurement_that_is_no_number_is_an_error() {
        for bad in [f64::NAN, f64::INFINITY] {
            let error = flood([bad].into_iter().collect())
                .json()
                .expect_err("no number");
            assert!(error.to_string().starts_with("floods: "), "{error}");
        }
    }
}
