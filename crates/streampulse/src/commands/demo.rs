//! `streampulse demo`: the real product on sample streams, in a folder of its own that is removed at the end.

use std::process::ExitCode;

use anyhow::Context;
use engine::config::{ConfigFile, Overrides, load};
use net::task::Tasks;

use crate::args::DemoArgs;
use crate::commands::check::environment;
use crate::commands::run::{Served, serve};
use crate::{demo, say};

/// Runs the command until a signal.
pub(crate) async fn demo(args: DemoArgs) -> anyhow::Result<ExitCode> {
    // Without a sign-in, whoever reaches the page may change everything and read what the probes can reach.
    anyhow::ensure!(
        args.listen.ip().is_loopback(),
        "the demo has no sign-in and listens on loopback only, not on {}; for other machines use `streampulse run`",
        args.listen
    );
    let tasks = Tasks::new();
    let samples = demo::servers::start(&tasks).await?;
    let folder = Folder::make()?;
    let file = ConfigFile::new(folder.0.join("streampulse.yaml"));
    file.create(&demo::configuration(&samples, args.listen)).context("the demo configuration was not written")?;
    let overrides = Overrides { demo: true, ..Overrides::default() };
    let (text, _) = file.read().map_err(|p| anyhow::anyhow!("{p}"))?;
    let config =
        load(&text, &environment, &overrides).map_err(|p| anyhow::anyhow!("the demo configuration: {}", p[0]))?;
    let database = folder.0.join("state").join(crate::args::DATABASE);
    let shown = file.path().display().to_string();
    let served = Served { file, overrides, config, database, tasks, demo: true };
    let code = serve(served, |listening| {
        if let Some(address) = listening.addrs.first() {
            say::out(&format!(
                "\n  StreamPulse demo: http://{address}\n  configuration:    {shown} (edit it: changes take effect at once)\n  end with Ctrl-C\n"
            ));
        }
    })
    .await;
    drop(folder);
    code
}

/// A folder that only we can read and that goes away with us.
struct Folder(std::path::PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let unique = format!("streampulse-demo-{}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        // Fails when it exists: nobody can have prepared it for us.
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("{} could not be made", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the demo folder was not removed");
        }
    }
}
