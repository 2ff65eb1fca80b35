//! Calls of targets of the kind `push`.

use serde::Serialize;
use utoipa::ToSchema;

/// A call was taken.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct CalledDto {
    /// Always true; what was not taken has an error.
    pub ok: bool,
}

/// Where a target's calls go.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PushUrlDto {
    /// Path on this server, its secret token included.
    pub path: String,
}
