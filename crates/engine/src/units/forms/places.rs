//! Whether the folders that a form names are there, with the rights that the service needs. Asks the kernel where the service
//! runs as this process does, and judges by owner, group and mode where it runs as another user (access lists are not seen
//! then). Touches nothing.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use model::conf::Problem;
use model::unit::form::{Form, KeyType, Must, Value};
use model::unit::spec::{Owner, Process};
use rustix::fs::{Access, StatVfsMountFlags};

use super::patch::Values;

/// Permission to read a folder's names.
const READ: u32 = 4;
/// Permission to make and remove names in a folder.
const WRITE: u32 = 2;
/// Permission to go through a folder.
const SEARCH: u32 = 1;

/// Checks the paths among the values: those of these keys, or of all. What runs in a container sees other folders than we
/// do, so without a process there is nothing to check. Blocks for as long as the file systems do.
pub(crate) fn check(form: &Form, values: &Values, process: Option<&Process>, only: Option<&[String]>) -> Vec<Problem> {
    let Some(process) = process else { return Vec::new() };
    let mut problems = Vec::new();
    for key in form.keys.iter().filter(|key| only.is_none_or(|only| only.contains(&key.name))) {
        let (KeyType::Path { must }, Some(Value::Text(text))) = (&key.ty, values.get(&key.name)) else { continue };
        let path = process.cwd.join(text);
        if let Err((why, remedy)) = judge(&path, *must, process.user.as_ref()) {
            problems.push(Problem::new(None, &key.name, why).with_remedy(remedy));
        }
    }
    problems
}

fn judge(path: &Path, must: Must, user: Option<&Owner>) -> Result<(), (String, String)> {
    let shown = path.display();
    match must {
        Must::Nothing => Ok(()),
        Must::ReadFolder => folder(path).and_then(|()| may(path, READ | SEARCH, "read", user)),
        Must::WriteFolder => folder(path).and_then(|()| may(path, READ | WRITE | SEARCH, "write to", user)),
        Must::FileInFolder => {
            if path.is_dir() {
                return Err((format!("{shown} is a folder"), "name a file".to_owned()));
            }
            let parent = path.parent().unwrap_or(Path::new("/"));
            folder(parent)?;
            let wanted = if path.exists() { READ | SEARCH } else { READ | WRITE | SEARCH };
            may(parent, wanted, if path.exists() { "read" } else { "write to" }, user)
        }
    }
}

fn folder(path: &Path) -> Result<(), (String, String)> {
    let remedy = "make it, or name another";
    match fs::metadata(path) {
        Ok(data) if data.is_dir() => Ok(()),
        Ok(_) => Err((format!("{} is no folder", path.display()), "name a folder".to_owned())),
        Err(error) => Err((format!("there is no folder {}: {error}", path.display()), remedy.to_owned())),
    }
}

/// Whether the user may do this with a folder.
fn may(path: &Path, wanted: u32, words: &str, user: Option<&Owner>) -> Result<(), (String, String)> {
    let shown = path.display();
    let ours = rustix::process::geteuid().as_raw();
    let who = match user {
        Some(owner) if owner.uid != ours => format!("user {}", owner.uid),
        _ => "the user of StreamPulse".to_owned(),
    };
    let refused = |at: &Path| {
        let remedy = format!("`ls -ld {}` shows who may; give the right to {who}", at.display());
        Err((format!("{who} may not {words} {shown}"), remedy))
    };
    if wanted & WRITE != 0 && is_read_only(path) {
        return Err((
            format!("{shown} is on a file system that is mounted read-only"),
            "name another folder".to_owned(),
        ));
    }
    match user {
        Some(owner) if owner.uid != ours => match first_closed(path, wanted, owner) {
            Some(at) => refused(&at),
            None => Ok(()),
        },
        _ => {
            let mut access = Access::empty();
            for (bit, flag) in [(READ, Access::READ_OK), (WRITE, Access::WRITE_OK), (SEARCH, Access::EXEC_OK)] {
                if wanted & bit != 0 {
                    access |= flag;
                }
            }
            match rustix::fs::access(path, access) {
                Ok(()) => Ok(()),
                Err(_) => refused(path),
            }
        }
    }
}

fn is_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|data| data.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// The first folder on the way that this user may not go through, or the last one where it lacks a right.
fn first_closed(path: &Path, wanted: u32, owner: &Owner) -> Option<PathBuf> {
    if owner.uid == 0 {
        return None;
    }
    // The real way, since a link stands for another one.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mut way: Vec<&Path> = real.ancestors().collect();
    way.reverse();
    let last = way.len().saturating_sub(1);
    let open = |at: &Path, wanted: u32| fs::metadata(at).is_ok_and(|data| grants(&data, owner, wanted));
    way.iter()
        .enumerate()
        .find(|(i, at)| !open(at, if *i == last { wanted } else { SEARCH }))
        .map(|(_, at)| at.to_path_buf())
}

/// What mode, owner and group grant (path_resolution(7)): the first class that fits decides.
fn grants(data: &fs::Metadata, owner: &Owner, wanted: u32) -> bool {
    let shift = if data.uid() == owner.uid {
        6
    } else if data.gid() == owner.gid || owner.groups.contains(&data.gid()) {
        3
    } else {
        0
    };
    (data.mode() >> shift) & wanted == wanted
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_first_class_that_fits_decides() {
        let folder = tempfile::tempdir().expect("a folder");
        let set = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("mode");
        let data = || fs::metadata(folder.path()).expect("there");
        let (uid, gid) = (data().uid(), data().gid());
        let own = Owner { uid, gid, groups: vec![] };
        let group = Owner { uid: uid + 1, gid: gid + 1, groups: vec![gid] };
        let other = Owner { uid: uid + 1, gid: gid + 1, groups: vec![] };
        for (mode, who, wanted, granted) in [
            (0o700, &own, READ | WRITE | SEARCH, true),
            (0o077, &own, READ, false),
            (0o750, &group, READ | SEARCH, true),
            (0o750, &group, WRITE, false),
            (0o707, &group, READ, false),
            (0o705, &other, READ | SEARCH, true),
            (0o750, &other, READ, false),
        ] {
            set(mode);
            assert_eq!(grants(&data(), who, wanted), granted, "{mode:o} {who:?} {wanted}");
        }
        set(0o700);
    }

    #[test]
    fn another_user_needs_the_whole_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let (a, b) = (folder.path().join("a"), folder.path().join("a/b"));
        fs::create_dir_all(&b).expect("made");
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
        set(folder.path(), 0o755);
        set(&a, 0o700);
        set(&b, 0o777);
        let stranger = Owner { uid: 54_321, gid: 54_321, groups: vec![] };
        let real = |path: &Path| fs::canonicalize(path).expect("there");
        assert_eq!(first_closed(&b, READ | SEARCH, &stranger), Some(real(&a)));
        set(&a, 0o711);
        assert_eq!(first_closed(&b, READ | WRITE | SEARCH, &stranger), None);
        set(&b, 0o755);
        let told = judge(&b, Must::WriteFolder, Some(&stranger)).expect_err("refused");
        assert!(told.0.contains("user 54321 may not write to") && told.1.contains("ls -ld"), "{told:?}");
        assert_eq!(judge(&b, Must::ReadFolder, Some(&stranger)), Ok(()));
    }

    #[test]
    fn what_must_be_so_of_a_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("f");
        fs::write(&file, "").expect("written");
        let told = |path: &Path, must| judge(path, must, None).err().map(|(why, _)| why).unwrap_or_default();
        assert_eq!(told(folder.path(), Must::WriteFolder), "");
        assert_eq!(told(&file, Must::FileInFolder), "");
        assert_eq!(told(&folder.path().join("new"), Must::FileInFolder), "");
        assert_eq!(told(&folder.path().join("x/y"), Must::Nothing), "");
        assert!(told(&folder.path().join("x/y"), Must::FileInFolder).contains("there is no folder"));
        assert!(told(&file, Must::ReadFolder).contains("is no folder"));
        assert!(told(folder.path(), Must::FileInFolder).contains("is a folder"));
        assert!(told(Path::new("/no/such"), Must::ReadFolder).contains("No such file"));
        assert!(told(Path::new("/proc/self/fd"), Must::Nothing).is_empty());
        // Nobody writes to this one, root included.
        assert!(!told(Path::new("/proc/self"), Must::WriteFolder).is_empty() || rustix::process::geteuid().is_root());
    }
}
