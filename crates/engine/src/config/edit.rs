//! Edits of the text of a configuration that keep comments, order, line ends and every byte they do not mean. Owns what an
//! edit means; where the bytes are is the business of `splice`.

mod items;

use model::conf::{Node, Problem, Value};
use model::target::{Target, TargetId};

use super::splice::{Refusal, Sheet};
use super::tree::Item;
use super::{Config, Env, Form, Overrides, legacy, load, mask, parse};

/// One edit. Paths are keys joined by dots (`expect.audio`). A value in which a mask (`***`) stands in place of a secret is
/// refused: whoever masked the secret puts it back first.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// A new target at the end of the list.
    AddTarget {
        /// Its keys, in the order in which they are written.
        fields: Vec<(String, Value)>,
    },
    /// Other values for keys of a target.
    SetTarget {
        /// Which target.
        id: TargetId,
        /// Key paths with the new value; `None` removes the key.
        fields: Vec<(String, Option<Value>)>,
    },
    /// A target goes, with the comment directly above it.
    RemoveTarget {
        /// Which target.
        id: TargetId,
    },
    /// Other values for keys of a section (`influxdb`, `alerts`), all at once: they may only make sense together. The section
    /// is made where it is missing.
    SetSection {
        /// Which section.
        path: String,
        /// Key paths with the new value; `None` removes the key.
        fields: Vec<(String, Option<Value>)>,
    },
    /// A new item at the end of a list whose items have names (`channels`, `alerts.rules`).
    AddItem {
        /// Which list.
        list: String,
        /// Its keys, in the order in which they are written.
        fields: Vec<(String, Value)>,
    },
    /// Other values for keys of such an item.
    SetItem {
        /// Which list.
        list: String,
        /// Which item.
        name: String,
        /// Key paths with the new value; `None` removes the key.
        fields: Vec<(String, Option<Value>)>,
    },
    /// Such an item goes, with the comment directly above it.
    RemoveItem {
        /// Which list.
        list: String,
        /// Which item.
        name: String,
    },
    /// Another value for a key outside the targets (`timezone`, `server.session`); `None` removes the key.
    Set {
        /// Key path from the top.
        path: String,
        /// The new value.
        value: Option<Value>,
    },
}

/// Keys that a stream of a 2.x file can hold.
const LEGACY_KEYS: [&str; 2] = ["name", "url"];

/// Applies `edits` in order. The result is loaded again and accepted only when it differs from the original in what the
/// edits mean and in nothing else.
///
/// # Errors
/// The problems of the original text, of the edits, or of the result.
pub fn edit(text: &str, edits: &[Edit], env: Env<'_>) -> Result<String, Vec<Problem>> {
    let mut text = text.to_owned();
    let mut before = Loaded::new(&text, env)?;
    for edit in edits {
        let next = before.apply(&text, edit)?;
        let after = Loaded::new(&next, env)?;
        before.compare(&after, edit)?;
        (text, before) = (next, after);
    }
    Ok(text)
}

/// The target that a set of keys would make, without changing anything: of an existing target with other values where
/// `id` is given, else of a new one, which needs no name. For "test before saving".
///
/// # Errors
/// As [`edit`].
pub fn target_of(
    text: &str,
    id: Option<&TargetId>,
    fields: &[(String, Option<Value>)],
    env: Env<'_>,
) -> Result<Target, Vec<Problem>> {
    const UNNAMED: &str = "unnamed";
    let change = match id {
        Some(id) => Edit::SetTarget { id: id.clone(), fields: fields.to_vec() },
        None => {
            let mut fields: Vec<_> = fields.iter().filter_map(|(k, v)| Some((k.clone(), v.clone()?))).collect();
            if !fields.iter().any(|(key, _)| key == "name" || key == "id") {
                fields.push(("name".to_owned(), Value::Str(UNNAMED.to_owned())));
            }
            Edit::AddTarget { fields }
        }
    };
    // A new target is tried on its own: neither a name in use nor a problem elsewhere in the file matters to it, but
    // what it inherits does.
    let edited = edit(text, &[change], env)?;
    let config = load(&edited, env, &Overrides { demo: true, ..Overrides::default() })?;
    let found = match id {
        Some(id) => config.targets.iter().position(|t| t.id == *id),
        None => config.targets.len().checked_sub(1),
    };
    found
        .and_then(|i| config.targets.into_iter().nth(i))
        .ok_or_else(|| vec![Problem::new(None, "", "the target is not there after the edit")])
}

/// A text with what it means.
struct Loaded {
    config: Config,
    root: Option<Item>,
    /// For each target its place in the list of the file.
    indexes: Vec<usize>,
}

fn refuse(path: &str, (message, remedy): Refusal) -> Vec<Problem> {
    vec![Problem::new(None, path, message).with_remedy(remedy)]
}

impl Loaded {
    fn new(text: &str, env: Env<'_>) -> Result<Self, Vec<Problem>> {
        // The real addresses to listen on may come from the command line; an edit of a target is not the place to judge.
        let overrides = Overrides { demo: true, ..Overrides::default() };
        let config = load(text, env, &overrides)?;
        let root = parse::parse(text)?;
        let indexes = match (&root, config.form) {
            (Some(root), Form::Legacy2x) => legacy::load_indexed(root, &overrides)?.1,
            _ => (0..config.targets.len()).collect(),
        };
        Ok(Self { config, root, indexes })
    }

    fn list(&self) -> &'static str {
        match self.config.form {
            Form::Current => "targets",
            Form::Legacy2x => "streams",
        }
    }

    /// Number of a target among the targets, and its section.
    fn find(&self, id: &TargetId) -> Result<(usize, &Item), Vec<Problem>> {
        let at = self.config.targets.iter().position(|t| t.id == *id);
        let item = at.and_then(|at| {
            let items = self.root.as_ref()?.get(self.list())?.items();
            Some((at, items.get(*self.indexes.get(at)?)?))
        });
        item.ok_or_else(|| vec![Problem::new(None, self.list(), format!("there is no target {id}"))])
    }

    fn apply(&self, text: &str, edit: &Edit) -> Result<String, Vec<Problem>> {
        match edit {
            Edit::AddTarget { fields } => self.add(text, fields),
            Edit::SetTarget { id, fields } => self.set(text, id, fields),
            Edit::RemoveTarget { id } => {
                let (at, _) = self.find(id)?;
                let root = self.root.as_ref().ok_or_else(Vec::new)?;
                Sheet::new(text).take(root, self.list(), self.indexes[at]).map_err(|e| refuse(self.list(), e))
            }
            Edit::Set { path, value } => self.set_top(text, path, value.as_ref()),
            Edit::SetSection { path, fields } => self.set_section(text, path, fields),
            Edit::AddItem { list, fields } => self.add_item(text, list, fields),
            Edit::SetItem { list, name, fields } => self.set_item(text, list, name, fields),
            Edit::RemoveItem { list, name } => self.remove_item(text, list, name),
        }
    }

    /// Whether this form of file can hold the key of a target.
    fn can_hold(&self, key: &str) -> Result<(), Vec<Problem>> {
        if self.config.form == Form::Current || LEGACY_KEYS.contains(&key) {
            return Ok(());
        }
        Err(refuse(key, needs_import(&format!("a StreamPulse 2.x file cannot hold {key}"))))
    }

    fn add(&self, text: &str, fields: &[(String, Value)]) -> Result<String, Vec<Problem>> {
        let mut pairs = Vec::new();
        for (key, value) in fields {
            self.can_hold(key)?;
            mask::refuse(key, value)?;
            // A path such as `expect.audio` joins the section that the fields before it began.
            insert_at(&mut pairs, &key.split('.').collect::<Vec<_>>(), value);
        }
        Sheet::new(text).push(self.root.as_ref(), self.list(), &pairs).map_err(|e| refuse(self.list(), e))
    }

    fn set(&self, text: &str, id: &TargetId, fields: &[(String, Option<Value>)]) -> Result<String, Vec<Problem>> {
        let (at, item) = self.find(id)?;
        let path = format!("{}[{}]", self.list(), self.indexes[at]);
        if !item.is_map() || item.alias {
            return Err(refuse(&path, ("the target is an alias (*name)".to_owned(), "write its keys out in the file")));
        }
        let mut fields = fields.to_vec();
        let renamed = fields.iter().any(|(key, value)| key == "name" && value.is_some());
        if renamed && self.config.form == Form::Current && item.get("id").is_none() {
            // The history hangs on the id, which would otherwise follow the name.
            if TargetId::from_name(&new_name(&fields)) != *id && !fields.iter().any(|(key, _)| key == "id") {
                fields.push(("id".to_owned(), Some(Value::Str(id.to_string()))));
            }
        }
        fields.iter().try_for_each(|(key, _)| self.can_hold(key))?;
        let (list, at) = (self.list(), self.indexes[at]);
        set_fields(text, &path, &fields, |root| root.get(list)?.items().get(at))
    }

    fn set_top(&self, text: &str, path: &str, value: Option<&Value>) -> Result<String, Vec<Problem>> {
        let keys: Vec<&str> = path.split('.').collect();
        if keys[0] == "targets" || keys[0] == "streams" {
            return Err(refuse(path, ("targets are edited one by one".to_owned(), "name the target")));
        }
        let held = ["timezone", "heartbeat_seconds"].contains(&path) || legacy::mqtt::holds(path);
        if self.config.form == Form::Legacy2x && !held {
            return Err(refuse(path, needs_import(&format!("a StreamPulse 2.x file cannot hold {path}"))));
        }
        if let Some(value) = value {
            mask::refuse(path, value)?;
        }
        let empty = Item::empty_map();
        let root = self.root.as_ref().unwrap_or(&empty);
        let sheet = Sheet::new(text);
        match value {
            Some(value) if self.root.is_none() => Ok(sheet.append(path, value)),
            Some(value) => sheet.set(root, &keys, value).map_err(|e| refuse(path, e)),
            None => Ok(sheet.remove(root, &keys).map_err(|e| refuse(path, e))?.unwrap_or_else(|| text.to_owned())),
        }
    }

    /// Refuses a result that means more than the edit.
    fn compare(&self, after: &Self, edit: &Edit) -> Result<(), Vec<Problem>> {
        let (old, new) = (&self.config, &after.config);
        let mut expected = old.targets.clone();
        let mut got = new.targets.clone();
        match edit {
            Edit::AddTarget { .. } => {
                got.pop();
            }
            Edit::SetTarget { id, .. } => {
                if let Some(at) = expected.iter().position(|t| t.id == *id).filter(|at| *at < got.len()) {
                    expected.remove(at);
                    got.remove(at);
                }
            }
            Edit::RemoveTarget { id } => expected.retain(|t| t.id != *id),
            Edit::Set { path, .. } if ["defaults", "templates", "heartbeat_seconds"].contains(&first_key(path)) => {
                (expected, got) = (Vec::new(), Vec::new());
            }
            _ => {}
        }
        let touched = match edit {
            Edit::AddTarget { .. } | Edit::SetTarget { .. } | Edit::RemoveTarget { .. } => "",
            Edit::Set { path, .. } | Edit::SetSection { path, .. } => first_key(path),
            Edit::AddItem { list, .. } | Edit::SetItem { list, .. } | Edit::RemoveItem { list, .. } => first_key(list),
        };
        // Everything but the targets, which were compared above, and what the edit means.
        let rest = |config: &Config| Config { targets: Vec::new(), warnings: Vec::new(), ..config.clone() };
        let (old, mut new) = (rest(old), rest(new));
        // Rules and windows name targets and channels and stand in the zone of the file, so that they follow those.
        let followed = ["", "timezone", "defaults", "templates", "channels", "alerts", "maintenance", "connectivity"];
        if followed.contains(&touched) {
            new.alerts.clone_from(&old.alerts);
        }
        match touched {
            "timezone" => new.timezone.clone_from(&old.timezone),
            "server" => new.server.clone_from(&old.server),
            "store" => new.store.clone_from(&old.store),
            "probing" => new.limits = old.limits,
            "score" => new.score = old.score,
            "influxdb" => new.influxdb.clone_from(&old.influxdb),
            "channels" => new.channels.clone_from(&old.channels),
            "base_url" => new.base_url.clone_from(&old.base_url),
            "metrics" => new.metrics.clone_from(&old.metrics),
            "mqtt" => new.mqtt.clone_from(&old.mqtt),
            _ => {}
        }
        if old == new && expected == got {
            return Ok(());
        }
        Err(refuse("", ("the edit would change more than it should".to_owned(), "edit the file by hand")))
    }
}

/// Other values for keys of the section that `find` finds. What the file says already is left as it is.
fn set_fields(
    text: &str,
    path: &str,
    fields: &[(String, Option<Value>)],
    find: impl Fn(&Item) -> Option<&Item>,
) -> Result<String, Vec<Problem>> {
    let mut out = text.to_owned();
    for (key, value) in fields {
        let root = parse::parse(&out)?;
        let Some(section) = root.as_ref().and_then(&find) else {
            return Err(refuse(path, ("it is gone".to_owned(), "")));
        };
        let keys: Vec<&str> = key.split('.').collect();
        let at = format!("{path}.{key}");
        let sheet = Sheet::new(&out);
        let old = keys.iter().try_fold(section, |at, key| at.get(key));
        let changed = match value {
            None => sheet.remove(section, &keys).map_err(|e| refuse(&at, e))?,
            Some(value) => {
                mask::refuse(&at, value)?;
                if old.is_some_and(|old| says(old, value)) {
                    None
                } else {
                    Some(sheet.set(section, &keys, value).map_err(|e| refuse(&at, e))?)
                }
            }
        };
        out = changed.unwrap_or(out);
    }
    Ok(out)
}

fn needs_import(message: &str) -> Refusal {
    (message.to_owned(), "run `streampulse import` to turn the file into the current form first")
}

fn first_key(path: &str) -> &str {
    path.split('.').next().unwrap_or_default()
}

fn new_name(fields: &[(String, Option<Value>)]) -> String {
    let name = fields.iter().find(|(key, _)| key == "name").and_then(|(_, value)| value.as_ref());
    name.and_then(model::conf::section::scalar).unwrap_or_default().trim().to_owned()
}

fn insert_at(pairs: &mut Vec<(String, Node)>, path: &[&str], value: &Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        pairs.push(((*first).to_owned(), Node::bare(value.clone())));
        return;
    }
    if !pairs.iter().any(|(key, _)| key == first) {
        pairs.push(((*first).to_owned(), Node::bare(Value::Map(Vec::new()))));
    }
    for (_, node) in pairs.iter_mut().filter(|(key, _)| key == first) {
        if let Value::Map(inner) = &mut node.value {
            insert_at(inner, rest, value);
        }
    }
}

/// Whether the file says this already: an edit that changes nothing touches nothing.
fn says(old: &Item, value: &Value) -> bool {
    !old.alias && bare(old.node(None).value) == bare(value.clone())
}

fn bare(value: Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.into_iter().map(|n| Node::bare(bare(n.value))).collect()),
        Value::Map(pairs) => Value::Map(pairs.into_iter().map(|(k, n)| (k, Node::bare(bare(n.value)))).collect()),
        scalar => scalar,
    }
}
