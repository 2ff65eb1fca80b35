//! `streampulse user` and `streampulse token`: who may sign in, also while StreamPulse runs and also when nobody can.

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use net::clock::SystemClock;
use store::Store;
use web::people;

use crate::args::{DATABASE, StateArgs, TokenCommand, UserCommand};
use crate::say;

/// More than any password may have; keeps a wrong redirection from filling the memory.
const MAX_INPUT_BYTES: u64 = 4096;

/// Runs `streampulse user`.
pub(crate) fn user(command: UserCommand) -> anyhow::Result<ExitCode> {
    match command {
        UserCommand::List(state) => {
            for (name, role, since) in people::users(&open(&state)?)? {
                say::out(&format!("{name}\t{role}\tsince {}", day(since.0)));
            }
        }
        UserCommand::Add { name, role, state } => {
            let store = open(&state)?;
            people::add_user(&store, &name, &role, &password()?)?;
            say::out(&format!("{name} may sign in as {role}"));
        }
        UserCommand::Password { name, state } => {
            let store = open(&state)?;
            people::set_password(&store, &name, &password()?)?;
            say::out(&format!("the password of {name} is changed; open sessions have ended"));
        }
        UserCommand::Role { name, role, state } => {
            people::set_role(&open(&state)?, &name, &role)?;
            say::out(&format!("{name} is {role} now"));
        }
        UserCommand::Remove { name, state } => {
            people::remove_user(&open(&state)?, &name)?;
            say::out(&format!("{name} may no longer sign in"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `streampulse token`.
pub(crate) fn token(command: TokenCommand) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::List(state) => {
            for token in people::tokens(&open(&state)?)? {
                let used = token.last_used_at.map_or("never used".to_owned(), |t| format!("last used {}", day(t.0)));
                say::out(&format!(
                    "{}\t{}\t{}\tmade {}\t{used}",
                    token.id,
                    token.name,
                    token.role,
                    day(token.created_at.0)
                ));
            }
        }
        TokenCommand::Create { name, role, state } => say::out(&people::create_token(&open(&state)?, &name, &role)?),
        TokenCommand::Revoke { id, state } => {
            people::revoke_token(&open(&state)?, &id)?;
            say::out(&format!("{id} is revoked"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn open(state: &StateArgs) -> anyhow::Result<Store> {
    let path: &Path = &state.state.join(DATABASE);
    Store::open_beside(path, Arc::new(SystemClock::new()))
        .with_context(|| format!("{} could not be opened", path.display()))
}

/// The first line of standard input: a password on the command line would stand in the process list.
fn password() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        say::err("password (it is shown as you type; pipe it in to avoid that):");
    }
    let mut text = String::new();
    if stdin.is_terminal() {
        stdin.read_line(&mut text)?;
    } else {
        stdin.lock().take(MAX_INPUT_BYTES).read_to_string(&mut text)?;
    }
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn day(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |t| t.to_string())
}
