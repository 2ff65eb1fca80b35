//! Values into what is launched: options, places in arguments, variables. A secret goes into secret variables alone. Pure.

use model::secret::Secret;
use model::unit::form::{Form, Goes, KeyType, Value};
use model::unit::spec::Program;

use super::arguments::{Piece, pieces};
use super::patch::Values;
use super::values::to_text;

/// Puts the values in effect where the form says. Answers the texts that must be masked in the output.
///
/// # Errors
/// A sentence that names the key: a place in an argument without a value, or a brace without its partner.
pub(super) fn apply(form: &Form, values: &Values, program: &mut Program) -> Result<Vec<Secret>, String> {
    let secret = |name: &str| form.keys.iter().any(|key| key.name == name && key.ty == KeyType::Secret);
    let masks = values.iter().filter(|(name, _)| secret(name)).map(|(_, value)| Secret::new(to_text(value))).collect();
    let (argv, env, secret_env) = match program {
        Program::Process(process) => (&mut process.argv, &mut process.env, &mut process.secret_env),
        Program::Container(container) => match &mut container.create {
            Some(create) => (&mut create.argv, &mut create.env, &mut create.secret_env),
            None => return Ok(masks), // made by others: what it is started with is theirs
        },
    };
    if form.keys.iter().any(|key| key.to.contains(&Goes::Placeholder)) {
        for argument in argv.iter_mut() {
            *argument = fill(argument, form, values)?;
        }
    }
    for key in &form.keys {
        let Some(value) = values.get(&key.name) else { continue };
        for goes in &key.to {
            match goes {
                // The file refuses a secret that goes here; so does this.
                Goes::Option(_) | Goes::Placeholder if key.ty == KeyType::Secret => {
                    return Err(format!("{} is a secret and cannot be an argument", key.name));
                }
                Goes::Option(option) => match value {
                    Value::Bool(false) => {}
                    Value::Bool(true) => argv.push(option.clone()),
                    value => argv.extend([option.clone(), to_text(value)]),
                },
                Goes::Placeholder => {}
                Goes::Env(name) => {
                    env.retain(|(other, _)| other != name);
                    secret_env.retain(|(other, _)| other != name);
                    if key.ty == KeyType::Secret {
                        secret_env.push((name.clone(), Secret::new(to_text(value))));
                    } else {
                        env.push((name.clone(), to_text(value)));
                    }
                }
            }
        }
    }
    Ok(masks)
}

fn fill(argument: &str, form: &Form, values: &Values) -> Result<String, String> {
    let mut filled = String::new();
    for piece in pieces(argument)? {
        match piece {
            Piece::Literal(text) => filled.push_str(&text),
            Piece::Key(name) => {
                let known = form.keys.iter().any(|key| key.name == name && key.ty != KeyType::Secret);
                let value = values.get(&name).filter(|_| known);
                filled.push_str(
                    &value.map(to_text).ok_or_else(|| format!("{name} has no value, and {argument:?} needs it"))?,
                );
            }
        }
    }
    Ok(filled)
}
