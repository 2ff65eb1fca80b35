//! The output of a service in a shell: its newest lines, and those that come.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use net::http::Method;
use serde_json::Value;

use super::{path, show};
use crate::args::{LogArgs, Output};
use crate::commands::caller::{Caller, Done, Failed, UNKNOWN};
use crate::say;

/// A stream that tells nothing for this long is dead: the instance gives a sign of life every ten seconds.
const SILENCE: Duration = Duration::from_secs(30);
/// Pause before a stream that ended is opened again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often in a row that may fail.
const ATTEMPTS: u32 = 60;

/// Prints lines, and with `--follow` those that come.
pub(super) async fn logs(args: &LogArgs) -> Done<ExitCode> {
    let caller = Caller::new(&args.reach)?;
    let filter = filter(args);
    let first =
        caller.call(Method::GET, &path(&args.id, &format!("/logs?lines={}{filter}", args.lines))?, None).await?;
    if !print(&first, args) || !args.follow {
        return Ok(ExitCode::SUCCESS);
    }
    let mut cursor = first["cursor"].as_str().unwrap_or_default().to_owned();
    let mut failures = 0;
    loop {
        match follow(&caller, args, &filter, &mut cursor).await {
            Ok(true) => failures = 0,
            // Nobody reads any more.
            Ok(false) => return Ok(ExitCode::SUCCESS),
            Err(failed) if failures >= ATTEMPTS || failed.code == UNKNOWN => return Err(failed),
            Err(_) => failures += 1,
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Follows until the stream ends; answers whether anybody still reads.
async fn follow(caller: &Caller, args: &LogArgs, filter: &str, cursor: &mut String) -> Done<bool> {
    let path = path(&args.id, &format!("/logs/stream?cursor={}{filter}", escaped(cursor)))?;
    let mut body = caller.follow(&path).await?;
    let mut events = Events::default();
    loop {
        let chunk = match tokio::time::timeout(SILENCE, body.next_chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) | Ok(Err(_)) | Err(_) => return Ok(true),
        };
        for (name, data) in events.push(&chunk)? {
            if name != "lines" {
                continue;
            }
            if let Some(at) = data["cursor"].as_str() {
                at.clone_into(cursor);
            }
            if !print(&data, args) {
                return Ok(false);
            }
        }
    }
}

/// The parts of a query that choose lines.
fn filter(args: &LogArgs) -> String {
    let mut out = String::new();
    if let Some(text) = &args.search {
        // Writing to a String cannot fail.
        let _ = write!(out, "&search={}", escaped(text));
    }
    match args.stream {
        Some(Output::Stdout) => out.push_str("&stream=stdout"),
        Some(Output::Stderr) => out.push_str("&stream=stderr"),
        None => {}
    }
    out
}

/// Percent-escapes everything but letters and digits.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b == b'-' || b == b'.' {
            out.push(b as char);
        } else {
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

/// Prints lines; answers whether anybody still reads.
fn print(answer: &Value, args: &LogArgs) -> bool {
    let lines = answer["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.iter().all(|line| {
        if args.reach.json {
            return say::line(&line.to_string());
        }
        let text = show::plain(line["text"].as_str().unwrap_or_default());
        match args.plain {
            true => say::line(&text),
            false => {
                let mark = if line["stream"] == "stderr" { "!" } else { " " };
                say::line(&format!("{} {mark} {text}", show::moment(&line["at"])))
            }
        }
    })
}

/// Server-sent events out of pieces of bytes.
#[derive(Default)]
struct Events {
    rest: Vec<u8>,
    name: String,
}

/// Longest line of an event stream: a batch of long lines of output.
const MAX_EVENT_BYTES: usize = 32 * 1024 * 1024;

impl Events {
    fn push(&mut self, bytes: &[u8]) -> Done<Vec<(String, Value)>> {
        self.rest.extend_from_slice(bytes);
        let mut found = Vec::new();
        while let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if let Some(name) = line.strip_prefix("event: ") {
                name.trim_end().clone_into(&mut self.name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                found.push((self.name.clone(), serde_json::from_str(data).unwrap_or_default()));
            }
        }
        if self.rest.len() > MAX_EVENT_BYTES {
            return Err(Failed::new(crate::commands::caller::FAILED, "the event stream has a line without an end"));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_of_any_pieces() {
        let text = "retry: 2000\n\nevent: lines\nid: 1\ndata: {\"cursor\":\"x\"}\n\nevent: ping\ndata: {}\n\n";
        for size in [1, 3, 1000] {
            let mut events = Events::default();
            let found: Vec<_> = text.as_bytes().chunks(size).flat_map(|c| events.push(c).expect("bounded")).collect();
            assert_eq!(found.len(), 2, "{size}");
            assert_eq!((found[0].0.as_str(), &found[0].1["cursor"]), ("lines", &Value::from("x")));
        }
    }

    #[test]
    fn words_that_are_searched_are_escaped() {
        assert_eq!(escaped("a b&c=ä-1.2"), "a%20b%26c%3D%C3%A4-1.2");
    }
}
