//! The encoder's REST API (`/control/api/v1/`, firmware 3.4 and later). Owns its paths.
//!
//! Only reads: no request of this file changes anything on a device.

use model::address::Address;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::Reading;
use net::attempt::Attempt;
use net::http::Method;
use net::trust::TlsOptions;
use serde_json::Value;

use super::told::{Details, Secrets, Told};
use crate::api;
use crate::kinds::http::fetch::Ask;

/// Redirects followed: from http to https.
const MAX_REDIRECTS: usize = 2;

const STATE: &str = "/control/api/v1/livestreams/0";
const PLATFORM: &str = "/control/api/v1/livestreams/0/activePlatform";
const PRODUCT: &str = "/control/api/v1/system/product";

/// What the encoder is doing.
///
/// # Errors
/// Those of the request; not_found where the device has no such API; protocol where the answer is no state.
pub(super) async fn state(
    at: &mut Attempt<'_>,
    address: &Address,
    tls: &TlsOptions,
    reading: &mut Reading,
) -> Result<Told, Fault> {
    let value = get(at, address, tls, STATE, reading).await.map_err(|mut fault| {
        if fault.kind == FaultKind::NotFound {
            fault.detail.push_str(": this device has no livestream API (firmware before 3.4, or no streaming encoder)");
        }
        fault
    })?;
    let words = "the answer has no status, so it does not come from a streaming encoder";
    Told::of_json(&value).ok_or_else(|| Fault::protocol(Phase::Check, words))
}

/// Who the device is and where it streams to, and the keys that were told with it. What it does not tell is absent: some
/// models answer 501.
pub(super) async fn details(at: &mut Attempt<'_>, address: &Address, tls: &TlsOptions) -> (Details, Secrets) {
    let (mut details, mut secrets) = (Details::default(), Secrets::default());
    // What their headers say is not the state's.
    let mut aside = Reading::default();
    if let Ok(value) = get(at, address, tls, PRODUCT, &mut aside).await {
        details.product(&value);
    }
    if let Ok(value) = get(at, address, tls, PLATFORM, &mut aside).await {
        details.platform(&value);
        secrets.of_json(&value);
    }
    (details, secrets)
}

async fn get(
    at: &mut Attempt<'_>,
    address: &Address,
    tls: &TlsOptions,
    path: &str,
    reading: &mut Reading,
) -> Result<Value, Fault> {
    let address = address.join(path).map_err(|words| Fault::new(FaultKind::Internal, Phase::FirstByte, words))?;
    let ask = Ask {
        method: Method::GET,
        address: &address,
        headers: &[],
        body: None,
        tls,
        redirects: MAX_REDIRECTS,
        accepts: &|_| false,
    };
    api::ask(at, &ask, reading).await?.into_value()
}
