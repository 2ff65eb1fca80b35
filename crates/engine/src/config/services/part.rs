//! A section of the file of services while it is read, with what reading it needs: where relative paths count from, and the
//! lists that problems and warnings go to.

use std::path::{Path, PathBuf};

use model::conf::{Field, Node, Problem, Section};

use super::super::tree::Item;
use super::names::Names;

/// What reading needs besides the text.
pub(super) struct Reader<'a> {
    /// Relative paths count from here: the folder of the file.
    pub(super) base: &'a Path,
    pub(super) names: &'a Names,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl Reader<'_> {
    /// Something is wrong with a key of a section.
    pub(super) fn wrong(&mut self, section: &Section<'_>, key: &str, message: impl Into<String>, remedy: &str) {
        let problem = Problem::new(section.place_of(key), section.path_of(key), message);
        self.problems.push(problem.with_remedy(remedy));
    }

    /// Something should be looked at.
    pub(super) fn warn(&mut self, section: &Section<'_>, key: &str, message: impl Into<String>, remedy: &str) {
        let problem = Problem::new(section.place_of(key), section.path_of(key), message);
        self.warnings.push(problem.with_remedy(remedy));
    }

    /// A path of this machine.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.base.join(text)
    }

    /// The path that a key names.
    pub(super) fn path_at(&mut self, section: &Section<'_>, key: &str) -> Option<PathBuf> {
        let text = section.text(key)?;
        if text.is_empty() || text.contains(char::is_control) {
            self.wrong(section, key, "this is no path", "write the path of a file or folder");
            return None;
        }
        Some(self.path(&text))
    }

    /// Which one of these keys stands in the section; a problem when none or several do.
    pub(super) fn one_of(&mut self, section: &Section<'_>, keys: &'static [&'static str]) -> Option<&'static str> {
        let mut given = keys.iter().copied().filter(|key| section.node(key).is_some());
        let Some(first) = given.next() else {
            let message = format!("one of {} is missing", keys.join(", "));
            self.problems.push(Problem::new(section.place(), section.path_of(keys[0]), message));
            return None;
        };
        if let Some(second) = given.next() {
            self.wrong(section, second, format!("it has {first} and {second}"), "write an item of its own for each");
            return None;
        }
        Some(first)
    }

    /// Reads the section that a key holds, or an empty one that takes all defaults.
    pub(super) fn section<T>(
        &mut self,
        of: &Item,
        path: &str,
        key: &str,
        fields: &'static [Field],
        read: impl FnOnce(&mut Self, &Section<'_>) -> T,
    ) -> T {
        let own = of.get(key).filter(|item| item.is_map());
        let none = Item::empty_map().at(of);
        let node: Node = own.unwrap_or(&none).node_of(fields);
        let section = Section::check(&node, fields, format!("{path}.{key}"), &mut self.problems);
        read(self, &section)
    }

    /// Reads every item of a list of sections; those that cannot be used are left out.
    pub(super) fn sections<T>(
        &mut self,
        of: &Item,
        path: &str,
        key: &str,
        fields: &'static [Field],
        read: impl Fn(&mut Self, &Section<'_>) -> Option<T>,
    ) -> Vec<T> {
        let mut found = Vec::new();
        for (i, item) in of.get(key).map(Item::items).unwrap_or_default().iter().enumerate() {
            let node = item.node_of(fields);
            let section = Section::check(&node, fields, format!("{path}.{key}[{i}]"), &mut self.problems);
            found.extend(read(self, &section));
        }
        found
    }
}
