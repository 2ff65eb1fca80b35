//! The table of all changes of state that there are. What is not in it cannot happen: a test refuses it.

use crate::unit::State;

use State::{BackingOff, Failed, Finished, Running, Starting, Stopped, Stopping};

/// Every change of state, from and to.
pub const TRANSITIONS: &[(State, State)] = &[
    (Stopped, Starting),    // it is wanted
    (Stopped, Running),     // it was found running, with its start checks passed
    (Stopped, Stopping),    // it was found running, and nobody wants it
    (Stopped, BackingOff),  // it had ended while nobody watched
    (Stopped, Failed),      // the same, and it is not started again
    (Stopped, Finished),    // the same, with success
    (Starting, Running),    // its start checks passed
    (Starting, Stopping),   // they did not, or nobody wants it any more
    (Starting, Stopped),    // nobody wants it any more, and nothing was launched
    (Starting, BackingOff), // it could not be launched, or ended before they passed
    (Starting, Failed),     // the same, and it is not started again
    (Starting, Finished),   // it was launched by a StreamPulse before this one, and had ended with success
    (Running, Stopping),    // nobody wants it any more, or it is to be begun anew
    (Running, BackingOff),  // it ended
    (Running, Failed),      // it ended, and is not started again
    (Running, Finished),    // it ended with success
    (Stopping, Stopped),    // it ended, as was wanted
    (Stopping, Starting),   // it ended, and is begun anew
    (Stopping, BackingOff), // it ended after its start checks had not passed
    (Stopping, Failed),     // the same, and it is not started again
    (BackingOff, Starting), // the pause is over, or somebody does not want to wait
    (BackingOff, Stopped),  // nobody wants it any more
    (Failed, Starting),     // somebody wants it anew
    (Failed, Stopped),      // nobody wants it any more
    (Failed, Running),      // it was found running all the same
    (Failed, Stopping),     // the same, and nobody wants it
    (Failed, BackingOff),   // it had ended while nobody watched, after all
    (Finished, Starting),   // somebody wants it anew
    (Finished, Stopped),    // nobody wants it any more
    (Finished, Running),    // it was found running all the same
    (Finished, Stopping),   // the same, and nobody wants it
    (Finished, BackingOff), // it had ended while nobody watched, after all
    (Finished, Failed),     // the same, and it is not started again
    (Failed, Finished),     // the same, with success
];

/// Whether a state may follow another.
#[must_use]
pub fn is_allowed(from: State, to: State) -> bool {
    TRANSITIONS.contains(&(from, to))
}
