//! Edits of sections and of lists whose items have names: channels, rules, windows of planned work. Targets are edited above.

use model::conf::{Node, Problem, Value};

use super::{Loaded, insert_at, mask, needs_import, refuse, set_fields};
use crate::config::splice::Sheet;
use crate::config::tree::Item;
use crate::config::{Form, legacy};

impl Loaded {
    fn is_current(&self, path: &str) -> Result<(), Vec<Problem>> {
        match self.config.form {
            Form::Current => Ok(()),
            Form::Legacy2x => Err(refuse(path, needs_import(&format!("a StreamPulse 2.x file cannot hold {path}")))),
        }
    }

    /// A 2.x file holds one section, with the keys of its time.
    fn can_hold_section(&self, path: &str, fields: &[(String, Option<Value>)]) -> Result<(), Vec<Problem>> {
        if self.config.form == Form::Current || path != "mqtt" {
            return self.is_current(path);
        }
        let given = fields.iter().filter(|(_, value)| value.is_some()).map(|(key, _)| format!("{path}.{key}"));
        given.filter(|key| !legacy::mqtt::holds(key)).try_for_each(|key| self.is_current(&key))
    }

    pub(super) fn set_section(
        &self,
        text: &str,
        path: &str,
        fields: &[(String, Option<Value>)],
    ) -> Result<String, Vec<Problem>> {
        self.can_hold_section(path, fields)?;
        if self.root.as_ref().and_then(|root| at(root, path)).is_some_and(Item::is_map) {
            return set_fields(text, path, fields, |root| at(root, path));
        }
        let given = fields.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
        let pairs = pairs(path, given)?;
        if pairs.is_empty() { Ok(text.to_owned()) } else { self.set_top(text, path, Some(&Value::Map(pairs))) }
    }

    pub(super) fn add_item(&self, text: &str, list: &str, fields: &[(String, Value)]) -> Result<String, Vec<Problem>> {
        self.is_current(list)?;
        let pairs = pairs(list, fields.iter().cloned())?;
        let (parent, key) = list.rsplit_once('.').map_or((None, list), |(parent, key)| (Some(parent), key));
        let section = match (parent, &self.root) {
            (Some(parent), Some(root)) => at(root, parent).filter(|item| item.is_map()),
            (None, root) => root.as_ref(),
            (Some(_), None) => None,
        };
        if section.is_none() && parent.is_some() {
            let item = Value::List(vec![Node::bare(Value::Map(pairs))]);
            return self.set_top(text, list, Some(&item));
        }
        Sheet::new(text).push(section, key, &pairs).map_err(|e| refuse(list, e))
    }

    pub(super) fn set_item(
        &self,
        text: &str,
        list: &str,
        name: &str,
        fields: &[(String, Option<Value>)],
    ) -> Result<String, Vec<Problem>> {
        let (index, item) = self.item(list, name)?;
        let path = format!("{list}[{index}]");
        if !item.is_map() || item.alias {
            return Err(refuse(&path, ("the item is an alias (*name)".to_owned(), "write its keys out in the file")));
        }
        set_fields(text, &path, fields, |root| at(root, list)?.items().get(index))
    }

    pub(super) fn remove_item(&self, text: &str, list: &str, name: &str) -> Result<String, Vec<Problem>> {
        let (index, _) = self.item(list, name)?;
        let (parent, key) = list.rsplit_once('.').unwrap_or(("", list));
        let root = self.root.as_ref().ok_or_else(Vec::new)?;
        let section = at(root, parent).ok_or_else(Vec::new)?;
        Sheet::new(text).take(section, key, index).map_err(|e| refuse(list, e))
    }

    fn item(&self, list: &str, name: &str) -> Result<(usize, &Item), Vec<Problem>> {
        self.is_current(list)?;
        let items = self.root.as_ref().and_then(|root| at(root, list)).map(Item::items).unwrap_or_default();
        let named = |item: &&Item| item.get("name").and_then(Item::text).is_some_and(|text| text.trim() == name);
        let found = items.iter().position(|item| named(&item));
        found.map(|index| (index, &items[index])).ok_or_else(|| {
            let message = format!("there is no {name:?} in {list}");
            vec![Problem::new(None, list, message)]
        })
    }
}

/// The item at a path of keys; the root for an empty path.
fn at<'a>(root: &'a Item, path: &str) -> Option<&'a Item> {
    path.split('.').filter(|key| !key.is_empty()).try_fold(root, |item, key| item.get(key))
}

fn pairs(path: &str, fields: impl Iterator<Item = (String, Value)>) -> Result<Vec<(String, Node)>, Vec<Problem>> {
    let mut pairs = Vec::new();
    for (key, value) in fields {
        mask::refuse(&format!("{path}.{key}"), &value)?;
        insert_at(&mut pairs, &key.split('.').collect::<Vec<_>>(), &value);
    }
    Ok(pairs)
}
