//! How services look in a terminal.

use serde_json::Value;

const HEADS: [&str; 8] = ["ID", "STATE", "HEALTH", "PID", "UPTIME", "CPU", "MEMORY", "RESTARTS"];
/// What stands for nothing.
const NONE: &str = "-";

/// All services as a table. What is wrong with one stands at the end of its line.
pub(super) fn table(all: &Value) -> Vec<String> {
    let services = all["services"].as_array().map(Vec::as_slice).unwrap_or_default();
    if services.is_empty() {
        return vec!["no service is declared".to_owned()];
    }
    let mut rows = vec![HEADS.map(str::to_owned)];
    rows.extend(services.iter().map(row));
    let widths: [usize; HEADS.len()] =
        std::array::from_fn(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or_default());
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect();
    for (line, service) in lines.iter_mut().skip(1).zip(services) {
        if let Some(why) = trouble(service) {
            line.push_str("  ");
            line.push_str(&why);
        }
    }
    lines
}

fn row(s: &Value) -> [String; HEADS.len()] {
    [
        text(s, "id"),
        state(s),
        text(s, "health"),
        s["pid"].as_u64().map_or_else(|| NONE.to_owned(), |pid| pid.to_string()),
        s["uptime_seconds"].as_f64().map_or_else(|| NONE.to_owned(), time),
        s["usage"]["cpu_percent"].as_f64().map_or_else(|| NONE.to_owned(), |cpu| format!("{cpu:.1} %")),
        s["usage"]["memory_bytes"].as_f64().map_or_else(|| NONE.to_owned(), bytes),
        s["restarts"].to_string(),
    ]
}

fn state(s: &Value) -> String {
    let state = text(s, "state").replace('_', " ");
    if s["enabled"] == Value::Bool(false) { format!("{state} (disabled)") } else { state }
}

/// Why something is not as it should be.
fn trouble(s: &Value) -> Option<String> {
    match s["state"].as_str() {
        Some("failed" | "backing_off") => Some(text(s, "reason")),
        _ if s["health"] == "unhealthy" => Some(text(s, "health_reason")),
        _ if s["waits_for"].as_array().is_some_and(|waits| !waits.is_empty()) => Some(text(s, "reason")),
        _ => None,
    }
}

/// One service, key by key.
pub(super) fn one(s: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |key: &str, value: String| {
        if !value.is_empty() && value != NONE {
            lines.push(format!("{key:<14}{value}"));
        }
    };
    say("Service", format!("{} ({})", text(s, "name"), text(s, "id")));
    say("About", text(s, "description"));
    say("State", format!("{}, wanted {}", state(s), text(s, "wanted")));
    say("Since", moment(&s["since"]));
    say("Because", text(s, "reason"));
    say("Health", text(s, "health"));
    say("", text(s, "health_reason"));
    let [_, _, _, pid, uptime, cpu, memory, restarts] = row(s);
    say("Process", pid);
    say("Container", text(s, "container"));
    say("Up for", uptime);
    say("CPU", cpu);
    say("Memory", memory);
    say("Restarts", restarts);
    say("Next start", moment(&s["next_start"]));
    let counts = s["queue"]["counts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let counts = counts.iter().map(|c| format!("{} {}", text(c, "state"), c["count"]));
    say("Queue", counts.collect::<Vec<_>>().join(", "));
    say("", s["queue"]["rate_per_hour"].as_f64().map(|rate| format!("{rate:.0} an hour")).unwrap_or_default());
    say("", text(&s["queue"], "error"));
    let end = &s["last_end"];
    if end.is_object() {
        let ran = end["ran_ms"].as_f64().map(|ms| time(ms / 1000.0)).unwrap_or_default();
        say("Last end", format!("{} at {}, after {ran}", text(end, "words"), moment(&end["at"])));
        let last = end["last_lines"].as_array().map(Vec::as_slice).unwrap_or_default();
        last.iter().filter_map(Value::as_str).for_each(|line| say("", format!("| {}", plain(line))));
    }
    lines
}

/// One service in a few words.
pub(super) fn in_a_line(s: &Value) -> String {
    let pid = s["pid"].as_u64().map(|pid| format!(", process {pid}")).unwrap_or_default();
    format!("{}{pid} ({})", state(s), text(s, "reason"))
}

fn text(s: &Value, key: &str) -> String {
    plain(s[key].as_str().unwrap_or_default())
}

/// Without what would command the terminal: names and output come from elsewhere.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// A time of the API.
pub(super) fn moment(at: &Value) -> String {
    let at = at.as_i64().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// A duration in its two greatest units.
fn time(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a float is cut to the range
    let s = seconds.max(0.0) as u64;
    match s {
        0..=59 => format!("{s}s"),
        60..=3599 => format!("{}m {}s", s / 60, s % 60),
        3600..=86_399 => format!("{}h {}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d {}h", s / 86_400, s % 86_400 / 3600),
    }
}

fn bytes(n: f64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut n, mut unit) = (n / 1024.0, 0);
    while n >= 1024.0 && unit + 1 < UNITS.len() {
        (n, unit) = (n / 1024.0, unit + 1);
    }
    format!("{n:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_stands_in_columns_and_says_what_is_wrong() {
        let all = json!({ "services": [
            { "id": "a", "state": "running", "health": "healthy", "pid": 7, "uptime_seconds": 3700.0, "restarts": 0,
              "enabled": true, "usage": { "cpu_percent": 12.34, "memory_bytes": 5_242_880 } },
            { "id": "longer", "state": "backing_off", "health": "unknown", "pid": null, "restarts": 12, "enabled": true,
              "reason": "exit code 3\u{1b}[31m", "usage": null },
        ] });
        assert_eq!(
            table(&all),
            [
                "ID      STATE        HEALTH   PID  UPTIME  CPU     MEMORY   RESTARTS",
                "a       running      healthy  7    1h 1m   12.3 %  5.0 MiB  0",
                "longer  backing off  unknown  -    -       -       -        12  exit code 3\u{fffd}[31m",
            ]
        );
        assert_eq!(table(&json!({ "services": [] })), ["no service is declared"]);
    }

    #[test]
    fn durations_and_sizes_are_short() {
        for (seconds, words) in [(0.4, "0s"), (61.0, "1m 1s"), (90_000.0, "1d 1h"), (-1.0, "0s")] {
            assert_eq!(time(seconds), words);
        }
        for (n, words) in [(512.0, "0.5 KiB"), (1_073_741_824.0, "1.0 GiB"), (1e18, "909494.7 TiB")] {
            assert_eq!(bytes(n), words);
        }
    }
}
