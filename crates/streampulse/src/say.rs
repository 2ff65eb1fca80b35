//! What the commands print. The one place where printing is allowed: everything else logs.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;

/// Writes to standard output; a reader that went away (`| head`) is no error.
pub(crate) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _gone = stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
}

/// Writes to standard error.
pub(crate) fn err(text: &str) {
    let _gone = writeln!(std::io::stderr().lock(), "{text}");
}
