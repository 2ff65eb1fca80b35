//! How long the program takes from its start to its first look: `bench_start BINARY TARGETS TIMES`. Starts the real program
//! on a folder of its own with so many targets, all of them a listener in here, and stops the time from the start of the
//! process until the first connection arrives. The first start has no history, the others find that of those before them.
//! Prints `targets=N times=N median_ms=M worst_ms=M`.

#![allow(clippy::print_stdout, reason = "the figures are its result")]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::fmt::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: bench_start BINARY TARGETS TIMES";
/// A start that has not looked at anything by then has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two questions whether somebody connected: small against what is measured.
const STEP: Duration = Duration::from_micros(200);

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [binary, targets, times] = args.as_slice() else { return Err(USAGE.into()) };
    let (targets, times): (usize, usize) = (targets.parse()?, times.parse()?);
    let binary = std::fs::canonicalize(binary)?; // it runs in another folder
    let folder = tempfile::tempdir()?;
    let mut took = Vec::new();
    for _ in 0..times.max(1) {
        // A listener each: connections that a former run left behind must not be counted.
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let mut text = "server: {listen: ['127.0.0.1:0'], login: false}\ntargets:\n".to_owned();
        for i in 0..targets {
            writeln!(text, "  - {{name: T{i}, url: 'http://127.0.0.1:{port}/{i}', interval: 10s}}")?;
        }
        std::fs::write(folder.path().join("streampulse.yaml"), text)?;
        let began = Instant::now();
        let mut child = Command::new(&binary)
            .args(["run", "--config", "streampulse.yaml", "--state", "state", "--log", "error"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let arrived = first_connection(&listener, began);
        stop(&mut child)?;
        took.push(arrived?.as_secs_f64() * 1000.0);
    }
    took.sort_by(f64::total_cmp);
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!("targets={targets} times={} median_ms={median:.1} worst_ms={worst:.1}", took.len());
    Ok(())
}

fn first_connection(listener: &TcpListener, began: Instant) -> Result<Duration> {
    loop {
        match listener.accept() {
            Ok(_) => return Ok(began.elapsed()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if began.elapsed() > PATIENCE {
            return Err("nobody came".into());
        }
        std::thread::park_timeout(STEP);
    }
}

/// Ends it as a service manager would, so that its history is closed and the next start finds it whole.
fn stop(child: &mut Child) -> Result<()> {
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
    if !killed.success() {
        child.kill()?;
    }
    child.wait()?;
    Ok(())
}
