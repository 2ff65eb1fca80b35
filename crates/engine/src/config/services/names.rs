//! Users and groups by name, as `/etc/passwd` and `/etc/group` say. Asks no directory service: who is known only there is
//! named by number.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use model::unit::spec::Owner;

/// Most that is read of one of the two files.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The two files.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    passwd: String,
    group: String,
}

impl Names {
    /// Those of this machine. What cannot be read is empty: then names are unknown, and numbers still serve. Blocks on the disk.
    pub(super) fn of_machine() -> Self {
        Self { passwd: text(Path::new("/etc/passwd")), group: text(Path::new("/etc/group")) }
    }

    #[cfg(test)]
    pub(super) fn new(passwd: &str, group: &str) -> Self {
        Self { passwd: passwd.to_owned(), group: group.to_owned() }
    }

    /// Number of the user and, where it is listed, its name and group.
    fn user(&self, text: &str) -> Result<(u32, Option<&str>, Option<u32>), String> {
        let number = text.parse::<u32>().ok();
        let found = self.passwd.lines().find_map(|line| {
            let mut parts = line.split(':');
            let (name, uid, gid) = (parts.next()?, parts.nth(1)?.parse().ok()?, parts.next()?.parse().ok()?);
            (name == text || number == Some(uid)).then_some((uid, Some(name), Some(gid)))
        });
        found.or_else(|| number.map(|uid| (uid, None, None))).ok_or_else(|| format!("there is no user {text:?}"))
    }

    /// Number of the group.
    fn group(&self, text: &str) -> Result<u32, String> {
        if let Ok(gid) = text.parse() {
            return Ok(gid);
        }
        self.groups()
            .find(|(name, _, _)| *name == text)
            .map(|(_, gid, _)| gid)
            .ok_or_else(|| format!("there is no group {text:?}"))
    }

    /// Name, number and members of every group.
    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.group.lines().filter_map(|line| {
            let mut parts = line.split(':');
            Some((parts.next()?, parts.nth(1)?.parse().ok()?, parts.next().unwrap_or_default()))
        })
    }

    /// User, group and further groups as a file names them. Errors come with the key that they belong to.
    pub(super) fn owner(
        &self,
        user: &str,
        group: Option<&str>,
        more: Option<&[String]>,
    ) -> Result<Owner, (&'static str, String)> {
        let (uid, name, own) = self.user(user).map_err(|e| ("user", e))?;
        let gid = match (group, own) {
            (Some(group), _) => self.group(group).map_err(|e| ("run_group", e))?,
            (None, Some(gid)) => gid,
            (None, None) => {
                return Err((
                    "user",
                    format!("no user has the number {uid}, so its group is not known: give run_group too"),
                ));
            }
        };
        let mut groups = match more {
            Some(more) => more
                .iter()
                .map(|text| self.group(text))
                .collect::<Result<Vec<u32>, _>>()
                .map_err(|e| ("more_groups", e))?,
            None => self
                .groups()
                .filter(|(_, _, members)| members.split(',').any(|m| Some(m.trim()) == name))
                .map(|(_, gid, _)| gid)
                .collect(),
        };
        groups.retain(|other| *other != gid);
        groups.sort_unstable();
        groups.dedup();
        Ok(Owner { uid, gid, groups })
    }
}

fn text(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(MAX_BYTES).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_by_name_and_number() {
        let names = Names::new(
            "root:x:0:0:root:/root:/bin/sh\nbroken\nobs:x:1001:100:Observer:/home/obs:/bin/sh\n",
            "users:x:100:\nvideo:x:44:obs,other\ndata:x:2000:obs\nempty:x:9\n",
        );
        let owner = |user: &str, group: Option<&str>, more: Option<&[String]>| names.owner(user, group, more);
        let is = |uid, gid, groups: &[u32]| Ok(Owner { uid, gid, groups: groups.to_vec() });
        assert_eq!(owner("obs", None, None), is(1001, 100, &[44, 2000]));
        assert_eq!(owner("1001", None, None), is(1001, 100, &[44, 2000]));
        assert_eq!(owner("obs", Some("video"), None), is(1001, 44, &[2000]));
        assert_eq!(owner("obs", None, Some(&["7".to_owned()])), is(1001, 100, &[7]));
        assert_eq!(owner("obs", None, Some(&[])), is(1001, 100, &[]));
        assert_eq!(owner("4321", Some("4321"), None), is(4321, 4321, &[]));
        assert_eq!(owner("nobody-here", None, None), Err(("user", "there is no user \"nobody-here\"".to_owned())));
        assert!(matches!(owner("4321", None, None), Err(("user", words)) if words.contains("run_group")));
        assert!(matches!(owner("obs", Some("gone"), None), Err(("run_group", _))));
        assert!(matches!(owner("obs", None, Some(&["gone".to_owned()])), Err(("more_groups", _))));
    }
}
