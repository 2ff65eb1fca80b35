//! What the commands print. The one place where printing is allowed: everything else logs.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;

/// Writes to standard output; a reader that went away (`| head`) is no error.
pub(crate) fn out(text: &str) {
    let _gone = line(text);
}

/// The same; answers whether there is still a reader.
pub(crate) fn line(text: &str) -> bool {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush()).is_ok()
}

/// Writes to standard error.
pub(crate) fn err(text: &str) {
    let _gone = writeln!(std::io::stderr().lock(), "{text}");
}
