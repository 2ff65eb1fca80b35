//! The section `influxdb` of the configuration: its keys, and what they mean together. Opens nothing.

use std::time::Duration;

use model::address::{Address, MAX_URL_BYTES};
use model::conf::{Field, Problem, Section, Type};
use model::secret::{MASK, Secret};
use net::trust::{TLS_FIELDS, TlsOptions};

/// Longest name of a database, bucket, organisation or user, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// Longest prefix of measurements and longest value of a tag, in bytes.
const MAX_WORD_BYTES: usize = 64;
/// Most tags of one's own: each multiplies what a server keeps in memory.
const MAX_TAGS: usize = 16;
/// Least room for what waits: a batch or two.
const MIN_BUFFER: u64 = 64 * 1024;
/// Most room: a day of a thousand streams.
const MAX_BUFFER: u64 = 4 * 1024 * 1024 * 1024;

const NAME: Type = Type::Text { max: MAX_NAME_BYTES };
const WORD: Type = Type::Text { max: MAX_WORD_BYTES };

/// Keys of `influxdb`.
pub static FIELDS: &[Field] = &[
    Field::new("url", Type::Text { max: MAX_URL_BYTES }, "Where the server is, as in http://influx:8086. What stands in front of /write or /api/v2/write goes along, as in http://victoria:8428/influx.").required(),
    Field::new("version", Type::Choice(&["1", "2", "3"]), "How the server is spoken to: 1 by database, user and password; 2 and 3 by bucket and token. Told by the other keys when absent."),
    Field::new("database", NAME, "Database of version 1. With version 3, the database in place of a bucket."),
    Field::new("retention_policy", NAME, "Retention policy of version 1; the database's default when absent."),
    Field::new("username", NAME, "User of version 1."),
    Field::new("password", Type::Secret, "Password of version 1."),
    Field::new("org", NAME, "Organisation of version 2, by name or id. Version 3 has none."),
    Field::new("bucket", NAME, "Bucket of version 2 or 3."),
    Field::new("token", Type::Secret, "Token of version 2 or 3. It needs the right to write to the bucket and no other."),
    Field::new("interval", Type::Duration { min: Duration::from_secs(1), max: Duration::from_secs(3600) }, "How long points are collected before they are written together. A full batch does not wait.").default("10s"),
    Field::new("timeout", Type::Duration { min: Duration::from_millis(100), max: Duration::from_secs(300) }, "Deadline of one write.").default("10s"),
    Field::new("prefix", WORD, "What the names of measurements begin with: letters, digits, underscore, hyphen, dot.").default("streampulse_"),
    Field::new("tags", Type::MapOf(&WORD), "Tags of your own on every point, as in `site: north`."),
    Field::new("facts", Type::Bool, "Whether every number that a look measured is written, each as a field of its name, or only the common ones.").default("true"),
    Field::new("gzip", Type::Bool, "Whether what is written is compressed.").default("true"),
    Field::new("buffer", Type::Size { min: MIN_BUFFER, max: MAX_BUFFER }, "Most memory for points that wait while the server does not take them. Then the oldest are given up and counted.").default("32MiB"),
    TLS_FIELDS[0],
    TLS_FIELDS[1],
    TLS_FIELDS[2],
    TLS_FIELDS[3],
    TLS_FIELDS[4],
];

/// Tags that points have by themselves, and words that servers keep for themselves.
const TAKEN: [&str; 9] = ["target", "name", "kind", "group", "time", "_time", "_field", "_measurement", "_value"];

/// Where points are written to, and how the server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Version 1: `/write`.
    Database {
        /// Database.
        database: String,
        /// Retention policy, where it is not the default.
        retention_policy: Option<String>,
        /// User and password.
        login: Option<(String, Secret)>,
    },
    /// Versions 2 and 3: `/api/v2/write`.
    Bucket {
        /// Organisation.
        org: Option<String>,
        /// Bucket, or database of version 3.
        bucket: String,
        /// Token.
        token: Option<Secret>,
    },
}

/// The section, checked. `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Base of the server's addresses, without credentials and query.
    pub url: Address,
    /// Where points go.
    pub place: Place,
    /// How long points are collected.
    pub interval: Duration,
    /// Deadline of one write.
    pub timeout: Duration,
    /// What measurements begin with.
    pub prefix: String,
    /// Tags on every point.
    pub tags: Vec<(String, String)>,
    /// Whether every fact that is a number is written.
    pub facts: bool,
    /// Whether bodies are compressed.
    pub gzip: bool,
    /// Most bytes that wait.
    pub buffer: usize,
    /// How to speak TLS.
    pub tls: TlsOptions,
}

impl Settings {
    /// Reads a section that was checked against [`FIELDS`]; `None` when it cannot be used (the problems say why).
    #[must_use]
    pub fn read(section: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let mut wrong = |key: &str, message: String, remedy: &str| {
            problems.push(Problem::new(section.place_of(key), section.path_of(key), message).with_remedy(remedy));
        };
        let url = url(section, &mut wrong);
        let place = place(section, &mut wrong);
        let prefix = section.text("prefix").unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if !prefix.chars().all(fits) {
            wrong("prefix", format!("{prefix:?} has other letters"), "use letters, digits, underscore, hyphen and dot");
        }
        let tags = section.pairs("tags");
        if tags.len() > MAX_TAGS {
            wrong(
                "tags",
                format!("{} tags, at most {MAX_TAGS} are accepted", tags.len()),
                "every tag costs the server memory",
            );
        }
        for (key, _) in &tags {
            if TAKEN.contains(&key.as_str()) {
                wrong("tags", format!("the tag {key} is taken"), "give it another name");
            }
        }
        let tls = TlsOptions::read(section, problems);
        let settings = Self {
            url: url?,
            place: place?,
            interval: section.duration("interval")?,
            timeout: section.duration("timeout")?,
            prefix,
            tags,
            facts: section.bool("facts")?,
            gzip: section.bool("gzip")?,
            buffer: usize::try_from(section.size("buffer")?).unwrap_or(usize::MAX),
            tls,
        };
        (problems.len() == before).then_some(settings)
    }

    /// `text` without the secrets of these settings: what a server echoes is not to be trusted.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let secret = match &self.place {
            Place::Database { login, .. } => login.as_ref().map(|(_, password)| password),
            Place::Bucket { token, .. } => token.as_ref(),
        };
        match secret.filter(|secret| !secret.is_empty()) {
            Some(secret) => text.replace(secret.expose(), MASK),
            None => text.to_owned(),
        }
    }
}

type Wrong<'a> = dyn FnMut(&str, String, &str) + 'a;

fn url(section: &Section<'_>, wrong: &mut Wrong<'_>) -> Option<Address> {
    let text = section.text("url")?;
    let address = match Address::parse(&text) {
        Ok(address) => address,
        Err(why) => {
            wrong("url", why, "write it as http://host:8086");
            return None;
        }
    };
    if !["http", "https"].contains(&address.scheme()) {
        let message = format!("the server is spoken to by http or https, not by {}", address.scheme());
        wrong("url", message, "write it as http://host:8086");
        return None;
    }
    if address.credentials().is_some() {
        wrong(
            "url",
            "the URL holds a user name or password".to_owned(),
            "use the keys username and password, or token",
        );
        return None;
    }
    if address.expose_url().query().is_some() {
        wrong("url", "the URL has a query".to_owned(), "use the keys database, retention_policy, org and bucket");
        return None;
    }
    Some(address)
}

/// Which version is meant, and what belongs to it.
fn place(section: &Section<'_>, wrong: &mut Wrong<'_>) -> Option<Place> {
    let text = |key| section.text(key).filter(|text| !text.is_empty());
    let version = text("version");
    let of_one = ["username", "password", "retention_policy"];
    let of_two = ["org", "bucket", "token"];
    let first = |keys: &[&'static str]| keys.iter().copied().find(|key| section.node(key).is_some());
    let one = match version.as_deref() {
        Some(version) => version == "1",
        None => first(&of_two).is_none(),
    };
    if let Some(stray) = if one { first(&of_two) } else { first(&of_one) } {
        let (mine, theirs) = if one { ("1", "2 and 3") } else { ("2 and 3", "1") };
        let message = format!("{stray} belongs to version {theirs}, and version {mine} is meant");
        wrong(stray, message, "remove one of the two, or say which version the server has");
        return None;
    }
    if one {
        let Some(database) = text("database") else {
            wrong(
                "database",
                "neither a database nor a bucket is named".to_owned(),
                "give database for version 1, bucket and token for 2 and 3",
            );
            return None;
        };
        let login = match (text("username"), section.secret("password")) {
            (Some(user), password) => Some((user, password.unwrap_or_else(|| Secret::new("")))),
            (None, Some(_)) => {
                wrong("password", "a password without a username".to_owned(), "add username");
                return None;
            }
            (None, None) => None,
        };
        return Some(Place::Database { database, retention_policy: text("retention_policy"), login });
    }
    let bucket = match (text("bucket"), text("database")) {
        (Some(_), Some(_)) => {
            wrong("database", "database and bucket are both given".to_owned(), "remove one: they name the same thing");
            return None;
        }
        (Some(bucket), None) | (None, Some(bucket)) => bucket,
        (None, None) => {
            wrong("bucket", "no bucket is named".to_owned(), "add bucket");
            return None;
        }
    };
    Some(Place::Bucket { org: text("org"), bucket, token: section.secret("token") })
}

#[cfg(test)]
#[path = "settings_tests.rs"]
pub(crate) mod tests;
