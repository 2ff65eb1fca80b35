//! An engine of our own, to be restarted and killed without disturbing that of the testbed.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use net::http::Method;
use net::unix::{Request, send};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{IMAGE, until};

/// Runs until dropped.
pub(crate) struct Engine {
    folder: tempfile::TempDir,
    live_restore: bool,
    child: Option<Child>,
}

impl Engine {
    /// Starts one with the testbed's image; `None` where the testbed has no engine either.
    pub(crate) async fn start(live_restore: bool) -> Option<Self> {
        let Some(testbed) = crate::support::socket() else {
            eprintln!("SKIPPED: no container engine in the testbed (testbed/testbed.sh up docker; needs root)");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("engine").tempdir().expect("a folder");
        let mut engine = Self { folder, live_restore, child: None };
        engine.begin().await;
        let tar = testbed.ancestors().nth(2).expect("its folder").join("rootfs.tar");
        let (name, tag) = IMAGE.split_once(':').expect("a tag");
        let url = format!("http://localhost/images/create?fromSrc=-&repo={name}&tag={tag}");
        let socket = engine.socket();
        let made = Command::new("curl")
            .args(["-fsS", "-o", "/dev/null", "-H", "Content-Type: application/x-tar", "--unix-socket"])
            .arg(&socket)
            .args(["--data-binary", &format!("@{}", tar.display()), &url])
            .status();
        assert!(made.expect("curl is there").success(), "the image is imported");
        Some(engine)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// Starts it (again) and waits until it answers.
    pub(crate) async fn begin(&mut self) {
        let at = |name: &str| self.folder.path().join(name);
        let mut command = Command::new("dockerd");
        command.arg("-H").arg(format!("unix://{}", self.socket().display()));
        for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("-p", "pid")] {
            command.arg(option).arg(at(name));
        }
        command.args(["--storage-driver", "vfs", "--bridge=none", "--iptables=false", "--ip6tables=false"]);
        command.args(["--ip-forward=false", "--ip-masq=false", "--userland-proxy=false", "--log-level", "error"]);
        if self.live_restore {
            command.arg("--live-restore");
        }
        let log = std::fs::File::create(at("log")).expect("our folder");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("dockerd is there, as the testbed's runs"));
        until("the engine answers", async || {
            send(&self.socket(), &Request::new(Method::GET, "/_ping"), Duration::from_secs(5)).await.is_ok()
        })
        .await;
    }

    /// Ends it and waits for that. The kernel ends the containerd of an engine that is killed, and its number may still be taken for
    /// it where nobody reaps, so the note of it is removed.
    pub(crate) async fn end(&mut self, signal: Signal) {
        let Some(mut child) = self.child.take() else { return };
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        let waited = tokio::task::spawn_blocking(move || child.wait());
        waited.await.expect("no panic").expect("it ends");
        let _ = std::fs::remove_file(self.folder.path().join("exec/containerd/containerd.pid"));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
            let _ = child.wait();
        }
        self.sweep();
        // What an engine mounts and does not take away when it ends.
        let folder = self.folder.path().to_string_lossy().into_owned();
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|mount| mount.starts_with(&folder))
        {
            let _ = Command::new("umount").args(["-l", mount]).status();
        }
    }
}

impl Engine {
    /// Ends what an engine leaves when it is killed: the shims of its containers, and those with them.
    fn sweep(&self) {
        let exec = self.folder.path().join("exec");
        let mark = exec.to_string_lossy().into_owned();
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        for pid in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if command.contains("containerd-shim") && command.contains(&mark) {
                let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
                let all = children.split_whitespace().filter_map(|child| child.parse().ok()).chain([pid]);
                for pid in all.filter_map(Pid::from_raw) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
        }
    }
}
