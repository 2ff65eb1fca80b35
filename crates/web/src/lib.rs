//! L4: routes, DTOs, sign-in, server-sent events, compat routes, the dashboard.

pub mod masks;
