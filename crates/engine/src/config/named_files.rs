//! The files that a configuration names (certificates and keys): whether they are there and can be read. Loading is pure and
//! never asks; this does, and opens each file without reading it. Judges no content.

use std::fs::File;
use std::path::Path;

use model::conf::{Problem, Value};
use net::trust::TlsOptions;

use super::{Config, Form};

/// Keys of targets that hold the path of a file, as `net::trust::TLS_FIELDS` declares them.
pub(super) const FILE_KEYS: [&str; 3] = ["ca_file", "client_cert", "client_key"];

/// Files that the configuration names and this process cannot read, each key and file once. Warnings and no problems: a
/// file may come later (a mounted secret), and who checks a configuration need not be who runs it. Blocks for as long as
/// the file system does.
#[must_use]
pub fn check_files(config: &Config) -> Vec<Problem> {
    let mut named: Vec<Named<'_>> = Vec::new();
    if let Some(tls) = &config.server.tls {
        for (key, file) in [("tls_cert", &tls.cert), ("tls_key", &tls.key)] {
            named.push(Named { path: format!("server.{key}"), key, file, more: 0 });
        }
    }
    for (key, file) in config.mqtt.iter().filter_map(|mqtt| mqtt.tls.as_ref()).flat_map(TlsOptions::named_files) {
        named.push(Named { path: format!("mqtt.{key}"), key, file, more: 0 });
    }
    let list = match config.form {
        Form::Current => "targets",
        Form::Legacy2x => "streams",
    };
    for (i, target) in config.targets.iter().enumerate() {
        for key in FILE_KEYS {
            let Some(Value::Str(file)) = target.options.0.get(key) else { continue };
            let file = Path::new(file);
            // Mostly a template or the defaults bring it: one file, one warning.
            match named.iter_mut().find(|n| n.key == key && n.file == file) {
                Some(known) => known.more += 1,
                None => named.push(Named { path: format!("{list}[{i}].{key}"), key, file, more: 0 }),
            }
        }
    }
    named.into_iter().filter_map(Named::judge).collect()
}

/// A file with where it is named.
struct Named<'a> {
    /// Path of the key that names it first.
    path: String,
    key: &'static str,
    file: &'a Path,
    /// How many further targets name it.
    more: usize,
}

impl Named<'_> {
    fn judge(self) -> Option<Problem> {
        let why = unreadable(self.file)?;
        let also = match self.more {
            0 => String::new(),
            1 => "; one more target names it".to_owned(),
            more => format!("; {more} more targets name it"),
        };
        let file = self.file.display().to_string();
        if file.contains(char::is_control) {
            // Most likely the content of the file, which may be a key: never shown.
            let message = format!("{} holds several lines and no path", self.key);
            return Some(Problem::new(None, self.path, message).with_remedy("write the path of a PEM file"));
        }
        let message = format!("the file {file} cannot be read: {why}{also}");
        let remedy = match self.file.is_relative() {
            true => {
                "put it there, readable for the user that runs StreamPulse, or write the whole path: this one counts from the folder in which StreamPulse is started"
            }
            false => "put it there, readable for the user that runs StreamPulse",
        };
        Some(Problem::new(None, self.path, message).with_remedy(remedy))
    }
}

/// Why a file cannot be read. Opens regular files only: opening a pipe would wait for a writer.
fn unreadable(file: &Path) -> Option<String> {
    match std::fs::metadata(file) {
        Err(error) => Some(error.to_string()),
        Ok(found) if found.is_dir() => Some("it is a folder".to_owned()),
        Ok(found) if found.is_file() => File::open(file).err().map(|error| error.to_string()),
        Ok(_) => None,
    }
}
