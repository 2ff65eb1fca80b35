//! Every route, one row each. See [`super`] for what is made of it.

use axum::routing::{delete, get, patch, post, put};

use super::{Answer, Method, Param, Route, Shape, shape};
use super::{
    alerts, config, events, export, health, history, kinds, outbox, preview, push, sections, service_logs,
    service_past, services, session, sinks, targets, tokens, users,
};
use crate::auth::roles::{Access, Role};
use crate::compat::{self, CompatStatus, CompatZone, streaming};
use crate::dto::alert;
use crate::dto::config as dto_config;
use crate::dto::health as dto_health;
use crate::dto::history as dto_history;
use crate::dto::incident::IncidentsDto;
use crate::dto::kinds::KindsDto;
use crate::dto::live::LiveDto;
use crate::dto::observation::{ObservationDto, ObservationsDto};
use crate::dto::outbox::{ChannelsDto, OutboxDto};
use crate::dto::people;
use crate::dto::push::{CalledDto, PushUrlDto};
use crate::dto::section::{SectionDto, SectionValues, SectionsDto};
use crate::dto::service::form::{FormDto, FormPatch};
use crate::dto::service::past::{LogDto, SamplesDto, TimelineDto};
use crate::dto::service::spec::SpecDto;
use crate::dto::service::{ServiceDto, ServicesDto, TakenDto};
use crate::dto::session as dto_session;
use crate::dto::sink::{SinksDto, TestSink, TestedDto};
use crate::dto::target::{TargetDto, TargetsDto};
use crate::limits::{MAX_CHANGES, MAX_LOG_LINES, MAX_PICTURE_AGE, MAX_ROWS};

const PUBLIC: Access = Access::Public;
const VIEWER: Access = Access::Role(Role::Viewer);
const OPERATOR: Access = Access::Role(Role::Operator);
const ADMIN: Access = Access::Role(Role::Administrator);

const WINDOW: &[(&str, Param, &str)] = &[
    ("from", Param::Time, "Beginning; a day before the end when absent"),
    ("to", Param::Time, "End; now when absent"),
];
const ROWS: &[(&str, Param, &str)] = &[
    WINDOW[0],
    WINDOW[1],
    ("limit", Param::Range(1, MAX_ROWS as i64), "Most rows; 100 when absent"),
    ("before", Param::Integer, "Cursor: the value of next in the answer before"),
    ("order", Param::Word(&["desc", "asc"]), "desc (newest first) when absent"),
];
const INCIDENTS: &[(&str, Param, &str)] = &[
    ("target", Param::Text, "Id of one target; all when absent"),
    ("open", Param::Bool, "Only open ones, or only closed ones"),
    ("from", Param::Time, "Beginning; all of the history when absent"),
    WINDOW[1],
    ROWS[2],
    ROWS[3],
];
const ALERTS: &[(&str, Param, &str)] = &[INCIDENTS[0], INCIDENTS[2], WINDOW[1], ROWS[2], ROWS[3]];
const CALENDAR: &[(&str, Param, &str)] = &[
    ("from", Param::Time, "Beginning; now when absent"),
    ("to", Param::Time, "End, at most 100 days later; 31 days when absent"),
];
const MESSAGES: &[(&str, Param, &str)] =
    &[("state", Param::Word(&["waiting", "sent", "dead"]), "Only those of this state"), ROWS[2], ROWS[3]];
const ROLLUPS: &[(&str, Param, &str)] =
    &[("resolution", Param::Word(&["minute", "hour", "day"]), "minute when absent"), WINDOW[0], WINDOW[1]];
const CHANGES: &[(&str, Param, &str)] =
    &[WINDOW[0], WINDOW[1], ("limit", Param::Range(1, MAX_CHANGES as i64), "Most rows; 5000 when absent")];
const TIMELINE: &[(&str, Param, &str)] =
    &[("from", Param::Time, "Beginning; all of the history when absent"), WINDOW[1], ROWS[2]];
const SAMPLES: &[(&str, Param, &str)] = &[
    ("from", Param::Time, "Beginning; an hour before the end when absent"),
    WINDOW[1],
    ("step", Param::Range(60_000, 31 * 86_400_000), "Length of a step in milliseconds; every measurement when absent"),
];
const LOG_STREAM: &[(&str, Param, &str)] = &[
    ("cursor", Param::Text, "Where to go on; what comes from now on when absent"),
    ("search", Param::Text, "Only lines that hold this text, letter case aside"),
    ("stream", Param::Word(&["stdout", "stderr"]), "Only this output"),
];
const LOGS: &[(&str, Param, &str)] =
    &[("lines", Param::Range(1, MAX_LOG_LINES as i64), "How many; 200 when absent"), LOG_STREAM[1], LOG_STREAM[2]];
const EXPORT: &[(&str, Param, &str)] =
    &[("from", Param::Time, "Beginning; all of the history when absent"), ("to", Param::Time, "End; now when absent")];
const PROBE: &[(&str, Param, &str)] =
    &[("target", Param::Text, "URL to look at"), ("module", Param::Text, "Name of the module")];
const AUDIT: &[(&str, Param, &str)] = &[ROWS[2], ROWS[3]];
const AGE: &[(&str, Param, &str)] = &[(
    "max_age_ms",
    Param::Range(0, MAX_PICTURE_AGE.as_millis() as i64),
    "How old the picture may be; 5000 when absent",
)];

const WHAT: &str = "Calls a push target: start, fail, or the exit code of what ran (0 is well)";
const CALL: &[(&str, Param, &str)] =
    &[("status", Param::Word(&["up", "warn", "down"]), "up when absent"), CALL_MORE[0], CALL_MORE[1]];
const CALL_MORE: &[(&str, Param, &str)] = &[
    ("msg", Param::Text, "Words for the page; the first 200 bytes are kept"),
    ("ping", Param::Text, "Milliseconds that the caller measured"),
];

/// A route that reads and has no parameters; the others are made from it.
const fn route(
    method: Method,
    path: &'static str,
    access: Access,
    summary: &'static str,
    answer: Answer,
    handler: fn() -> axum::routing::MethodRouter<crate::state::App>,
) -> Route {
    Route { method, path, access, on_status: false, summary, query: &[], body: None, answer, handler }
}

impl Route {
    const fn with(mut self, query: &'static [(&'static str, Param, &'static str)]) -> Self {
        self.query = query;
        self
    }

    const fn takes(mut self, body: Shape) -> Self {
        self.body = Some(body);
        self
    }

    const fn on_status(mut self) -> Self {
        self.on_status = true;
        self
    }
}

const fn json<T: utoipa::ToSchema>() -> Answer {
    Answer::Json(200, shape::<T>())
}

const fn created<T: utoipa::ToSchema>() -> Answer {
    Answer::Json(201, shape::<T>())
}

/// What was asked for is under way.
const fn accepted<T: utoipa::ToSchema>() -> Answer {
    Answer::Json(202, shape::<T>())
}

use Answer::{Nothing, Other};
use Method::{Delete, Get, Patch, Post, Put};

/// The table.
pub static ROUTES: &[Route] = &[
    // Signing in
    route(Get, "/api/v1/session", PUBLIC, "Who is signed in", json::<dto_session::SessionDto>(), || get(session::show)),
    route(Post, "/api/v1/session", PUBLIC, "Signs in", json::<dto_session::SessionDto>(), || post(session::sign_in))
        .takes(shape::<dto_session::SignIn>()),
    route(Delete, "/api/v1/session", VIEWER, "Signs out", Nothing, || delete(session::sign_out)),
    route(Post, "/api/v1/setup", PUBLIC, "Makes the first administrator", json::<dto_session::SessionDto>(), || {
        post(session::set_up)
    })
    .takes(shape::<dto_session::SetUp>()),
    // Targets
    route(Get, "/api/v1/targets", VIEWER, "All targets as they are now", json::<TargetsDto>(), || get(targets::list)),
    route(Post, "/api/v1/targets", ADMIN, "Adds a target", created::<TargetDto>(), || post(targets::add))
        .takes(shape::<dto_config::TargetFields>()),
    route(Get, "/api/v1/targets/{id}", VIEWER, "One target, with its keys in the file", json::<TargetDto>(), || {
        get(targets::show)
    }),
    route(
        Get,
        "/api/v1/targets/{id}/live",
        VIEWER,
        "The session that is held, second by second",
        json::<LiveDto>(),
        || get(targets::live),
    ),
    route(Patch, "/api/v1/targets/{id}", ADMIN, "Changes keys of a target", json::<TargetDto>(), || {
        patch(targets::change)
    })
    .takes(shape::<dto_config::TargetFields>()),
    route(Delete, "/api/v1/targets/{id}", ADMIN, "Removes a target; its history stays", Nothing, || {
        delete(targets::remove)
    }),
    route(Post, "/api/v1/targets/{id}/test", OPERATOR, "Looks at a target now", json::<ObservationDto>(), || {
        post(targets::test)
    }),
    route(Post, "/api/v1/targets/{id}/pause", OPERATOR, "Stops watching a target", Nothing, || post(targets::pause)),
    route(Post, "/api/v1/targets/{id}/resume", OPERATOR, "Watches a target again", Nothing, || post(targets::resume)),
    route(Post, "/api/v1/try", ADMIN, "Looks once at a target that is not saved", json::<ObservationDto>(), || {
        post(targets::try_out)
    })
    .takes(shape::<dto_config::TargetFields>()),
    // Calls of push targets
    route(Get, "/api/v1/targets/{id}/push", ADMIN, "Where a push target is called", json::<PushUrlDto>(), || {
        get(push::url)
    }),
    route(Get, "/api/push/{token}", PUBLIC, "Calls a push target: all is well, or status", json::<CalledDto>(), || {
        get(push::call)
    })
    .with(CALL),
    route(
        Post,
        "/api/push/{token}",
        PUBLIC,
        "Calls a push target: all is well, or status",
        json::<CalledDto>(),
        || post(push::call),
    )
    .with(CALL),
    route(Get, "/api/push/{token}/{what}", PUBLIC, WHAT, json::<CalledDto>(), || get(push::call_with)).with(CALL_MORE),
    route(Post, "/api/push/{token}/{what}", PUBLIC, WHAT, json::<CalledDto>(), || post(push::call_with))
        .with(CALL_MORE),
    // History
    route(Get, "/api/v1/targets/{id}/observations", VIEWER, "Stored looks", json::<ObservationsDto>(), || {
        get(history::observations)
    })
    .with(ROWS),
    route(Get, "/api/v1/targets/{id}/rollups", VIEWER, "Roll-ups", json::<dto_history::RollupsDto>(), || {
        get(history::rollups)
    })
    .with(ROLLUPS),
    route(
        Get,
        "/api/v1/targets/{id}/availability",
        VIEWER,
        "How a window was spent",
        json::<dto_history::AvailabilityDto>(),
        || get(history::availability),
    )
    .with(WINDOW),
    route(Get, "/api/v1/targets/{id}/changes", VIEWER, "Status changes", json::<dto_history::ChangesDto>(), || {
        get(history::changes)
    })
    .with(CHANGES),
    route(Get, "/api/v1/targets/{id}/export.csv", VIEWER, "Stored looks as CSV", Other("text/csv"), || {
        get(export::target)
    })
    .with(EXPORT),
    route(Get, "/api/v1/targets/{id}/snapshot.jpg", VIEWER, "The newest picture", Other("image/jpeg"), || {
        get(preview::snapshot)
    })
    .with(AGE),
    route(Get, "/api/v1/incidents", VIEWER, "Incidents, newest first", json::<IncidentsDto>(), || {
        get(history::incidents)
    })
    .with(INCIDENTS),
    // Configuration
    route(
        Get,
        "/api/v1/config",
        VIEWER,
        "The configuration file, secrets hidden",
        json::<dto_config::ConfigDto>(),
        || get(config::show),
    ),
    route(Put, "/api/v1/config", ADMIN, "Replaces the configuration file", json::<dto_config::AppliedDto>(), || {
        put(config::put)
    })
    .takes(shape::<dto_config::PutConfig>()),
    route(
        Post,
        "/api/v1/config/validate",
        ADMIN,
        "Says what would be wrong with a text",
        json::<dto_config::ValidatedDto>(),
        || post(config::validate),
    )
    .takes(shape::<dto_config::ValidateConfig>()),
    route(Get, "/api/v1/config/schema", VIEWER, "JSON Schema of the file", Other("application/json"), || {
        get(kinds::schema)
    }),
    route(Get, "/api/v1/kinds", VIEWER, "What a form for targets needs to know", json::<KindsDto>(), || {
        get(kinds::show)
    }),
    route(Patch, "/api/v1/settings", ADMIN, "Sets keys of the file", json::<dto_config::AppliedDto>(), || {
        patch(config::settings)
    })
    .takes(shape::<dto_config::PatchSettings>()),
    route(Get, "/api/v1/sections", VIEWER, "Sections that forms edit, with their keys", json::<SectionsDto>(), || {
        get(sections::list)
    }),
    route(Get, "/api/v1/sections/{section}", VIEWER, "One section as the file has it", json::<SectionDto>(), || {
        get(sections::show)
    }),
    route(Put, "/api/v1/sections/{section}", ADMIN, "Writes a section", json::<dto_config::AppliedDto>(), || {
        put(sections::write)
    })
    .takes(shape::<SectionValues>()),
    route(Delete, "/api/v1/sections/{section}", ADMIN, "Takes a section out", json::<dto_config::AppliedDto>(), || {
        delete(sections::remove)
    }),
    route(Post, "/api/v1/sections/{section}/items", ADMIN, "Adds an item", json::<dto_config::AppliedDto>(), || {
        post(sections::add_item)
    })
    .takes(shape::<SectionValues>()),
    route(
        Put,
        "/api/v1/sections/{section}/items/{name}",
        ADMIN,
        "Writes an item",
        json::<dto_config::AppliedDto>(),
        || put(sections::write_item),
    )
    .takes(shape::<SectionValues>()),
    route(
        Delete,
        "/api/v1/sections/{section}/items/{name}",
        ADMIN,
        "Takes an item out",
        json::<dto_config::AppliedDto>(),
        || delete(sections::remove_item),
    ),
    // Sinks and channels
    route(Get, "/api/v1/sinks", VIEWER, "How sinks and channels are", json::<SinksDto>(), || get(sinks::list)),
    route(
        Post,
        "/api/v1/sinks/test",
        ADMIN,
        "Tries a sink or channel that need not be saved",
        json::<TestedDto>(),
        || post(sinks::test),
    )
    .takes(shape::<TestSink>()),
    route(Get, "/api/v1/channels", VIEWER, "Channels as they are now", json::<ChannelsDto>(), || get(outbox::channels)),
    route(Post, "/api/v1/channels/{name}/test", OPERATOR, "Sends a test message", json::<TestedDto>(), || {
        post(outbox::test)
    }),
    route(Get, "/api/v1/outbox", VIEWER, "Messages to channels, newest first", json::<OutboxDto>(), || {
        get(outbox::messages)
    })
    .with(MESSAGES),
    route(Post, "/api/v1/outbox/{id}/retry", OPERATOR, "Tries a message again that was given up", Nothing, || {
        post(outbox::retry)
    }),
    route(Delete, "/api/v1/outbox/{id}", OPERATOR, "Forgets a message that was given up", Nothing, || {
        delete(outbox::forget)
    }),
    // Alerts
    route(Get, "/api/v1/alerts", VIEWER, "Alerts that are not over", json::<alert::AlertsDto>(), || get(alerts::list)),
    route(Get, "/api/v1/alerts/history", VIEWER, "Alerts, newest first", json::<alert::AlertHistoryDto>(), || {
        get(alerts::history)
    })
    .with(ALERTS),
    route(Post, "/api/v1/alerts/acknowledge", OPERATOR, "Somebody knows of an alert", Nothing, || {
        post(alerts::acknowledge)
    })
    .takes(shape::<alert::Acknowledge>()),
    route(Post, "/api/v1/alerts/unacknowledge", OPERATOR, "Takes that back", Nothing, || post(alerts::unacknowledge))
        .takes(shape::<alert::Unacknowledge>()),
    route(Post, "/api/v1/alerts/mute", OPERATOR, "Tells nobody of a target or rule", Nothing, || post(alerts::mute))
        .takes(shape::<alert::MuteAlerts>()),
    route(Post, "/api/v1/alerts/unmute", OPERATOR, "Ends a mute", Nothing, || post(alerts::unmute))
        .takes(shape::<alert::UnmuteAlerts>()),
    route(Get, "/api/v1/maintenance", VIEWER, "Planned work and its times", json::<alert::MaintenanceDto>(), || {
        get(alerts::maintenance)
    })
    .with(CALENDAR),
    route(Post, "/api/v1/maintenance", OPERATOR, "Begins planned work by hand", Nothing, || {
        post(alerts::begin_maintenance)
    })
    .takes(shape::<alert::BeginMaintenance>()),
    route(Delete, "/api/v1/maintenance/{name}", OPERATOR, "Ends planned work that began by hand", Nothing, || {
        delete(alerts::end_maintenance)
    }),
    // Services
    route(Get, "/api/v1/services", VIEWER, "All services as they are now", json::<ServicesDto>(), || {
        get(services::list)
    }),
    route(Get, "/api/v1/services/{id}", VIEWER, "One service", json::<ServiceDto>(), || get(services::show)),
    route(Get, "/api/v1/services/{id}/spec", OPERATOR, "What a service is", json::<SpecDto>(), || get(services::spec)),
    route(Post, "/api/v1/services/{id}/start", OPERATOR, "Starts a service", accepted::<TakenDto>(), || {
        post(services::start)
    }),
    route(Post, "/api/v1/services/{id}/stop", OPERATOR, "Ends a service", accepted::<TakenDto>(), || {
        post(services::stop)
    }),
    route(Post, "/api/v1/services/{id}/restart", OPERATOR, "Begins a service anew", accepted::<TakenDto>(), || {
        post(services::restart)
    }),
    route(Get, "/api/v1/services/{id}/form", VIEWER, "What may be set of a service", json::<FormDto>(), || {
        get(services::form)
    }),
    route(Patch, "/api/v1/services/{id}/form", ADMIN, "Sets keys of a service's form", json::<FormDto>(), || {
        patch(services::set_form)
    })
    .takes(shape::<FormPatch>()),
    route(Get, "/api/v1/services/{id}/timeline", VIEWER, "What happened to a service", json::<TimelineDto>(), || {
        get(service_past::timeline)
    })
    .with(TIMELINE),
    route(Get, "/api/v1/services/{id}/samples", VIEWER, "What a service used", json::<SamplesDto>(), || {
        get(service_past::samples)
    })
    .with(SAMPLES),
    route(Get, "/api/v1/services/{id}/logs", VIEWER, "The newest output of a service", json::<LogDto>(), || {
        get(service_logs::newest)
    })
    .with(LOGS),
    route(
        Get,
        "/api/v1/services/{id}/logs/stream",
        VIEWER,
        "The output of a service as it comes",
        Other("text/event-stream"),
        || get(service_logs::follow),
    )
    .with(LOG_STREAM),
    route(Get, "/api/v1/services/{id}/logs/download", VIEWER, "All output that is kept", Other("text/plain"), || {
        get(service_logs::download)
    }),
    // Now
    route(Get, "/api/v1/events", VIEWER, "Everything as it happens", Other("text/event-stream"), || {
        get(events::stream)
    }),
    route(Get, "/api/v1/health", VIEWER, "How StreamPulse itself is", json::<dto_health::HealthDto>(), || {
        get(health::show)
    })
    .on_status(),
    route(Get, "/healthz", PUBLIC, "Whether the loop turns", Other("text/plain"), || get(health::alive)).on_status(),
    route(Get, "/readyz", PUBLIC, "Whether its parts are well", json::<dto_health::ReadyDto>(), || get(health::ready))
        .on_status(),
    // People
    route(Get, "/api/v1/users", ADMIN, "All users", json::<people::UsersDto>(), || get(users::list)),
    route(Post, "/api/v1/users", ADMIN, "Makes a user", created::<people::UserDto>(), || post(users::create))
        .takes(shape::<people::CreateUser>()),
    route(
        Patch,
        "/api/v1/users/{name}",
        VIEWER,
        "Changes a user, or one's own password",
        json::<people::UserDto>(),
        || patch(users::change),
    )
    .takes(shape::<people::PatchUser>()),
    route(Delete, "/api/v1/users/{name}", ADMIN, "Removes a user", Nothing, || delete(users::remove)),
    route(Get, "/api/v1/tokens", ADMIN, "All API tokens", json::<people::TokensDto>(), || get(tokens::list)),
    route(Post, "/api/v1/tokens", ADMIN, "Makes an API token", created::<people::NewTokenDto>(), || {
        post(tokens::create)
    })
    .takes(shape::<people::CreateToken>()),
    route(Delete, "/api/v1/tokens/{id}", ADMIN, "Revokes an API token", Nothing, || delete(tokens::revoke)),
    route(Get, "/api/v1/audit", ADMIN, "Who changed what", json::<people::AuditDto>(), || get(users::audit))
        .with(AUDIT),
    route(Get, "/api/v1/openapi.json", VIEWER, "This document", Other("application/json"), || get(kinds::openapi)),
    // StreamPulse 2.x
    // Metrics
    route(Get, "/metrics", VIEWER, "Metrics, as Prometheus text or OpenMetrics", Other("text/plain"), || {
        get(crate::metrics::serve::show)
    })
    .on_status(),
    route(
        Get,
        "/probe",
        VIEWER,
        "Looks once at what a module of metrics.probe_modules allows",
        Other("text/plain"),
        || get(crate::metrics::probe::show),
    )
    .with(PROBE),
    route(Get, "/api/status", VIEWER, "StreamPulse 2.x: every stream by name", json::<CompatStatuses>(), || {
        get(compat::status)
    })
    .on_status(),
    route(Get, "/api/cfg", VIEWER, "StreamPulse 2.x: the time zone", json::<CompatZone>(), || get(compat::zone)),
    route(Get, "/history/{name}", VIEWER, "StreamPulse 2.x: the newest 50 looks", Other("text/html"), || {
        get(compat::history)
    }),
    route(Get, "/preview/{name}", VIEWER, "Five seconds of motion", Other("multipart/x-mixed-replace"), || {
        get(compat::moving)
    }),
    route(Get, "/export/all.csv", VIEWER, "StreamPulse 2.x: all stored looks as CSV", Other("text/csv"), || {
        get(compat::export_all)
    }),
    // Streaming control of the DSA-110 pipeline
    route(Get, "/api/streaming/status", VIEWER, "Streaming control: how it is", json::<streaming::Status>(), || {
        get(streaming::status)
    }),
    route(Get, "/api/streaming/health", VIEWER, "Streaming control: is it well", json::<streaming::Health>(), || {
        get(streaming::health)
    }),
    route(Get, "/api/streaming/metrics", VIEWER, "Streaming control: figures", json::<streaming::Metrics>(), || {
        get(streaming::metrics)
    }),
    route(
        Get,
        "/api/streaming/mosaic-queue",
        VIEWER,
        "Streaming control: the queue",
        json::<streaming::MosaicQueue>(),
        || get(streaming::mosaic_queue),
    ),
    route(Get, "/api/streaming/config", VIEWER, "Streaming control: the values", json::<FormPatch>(), || {
        get(streaming::config)
    }),
    route(Post, "/api/streaming/config", ADMIN, "Streaming control: sets values", json::<streaming::Control>(), || {
        post(streaming::set_config)
    })
    .takes(shape::<FormPatch>()),
    route(Post, "/api/streaming/start", OPERATOR, "Streaming control: starts it", json::<streaming::Control>(), || {
        post(streaming::start)
    })
    .takes(shape::<FormPatch>()),
    route(Post, "/api/streaming/stop", OPERATOR, "Streaming control: ends it", json::<streaming::Control>(), || {
        post(streaming::stop)
    }),
    route(
        Post,
        "/api/streaming/restart",
        OPERATOR,
        "Streaming control: begins it anew",
        json::<streaming::Control>(),
        || post(streaming::restart),
    )
    .takes(shape::<FormPatch>()),
];

/// Streams by name.
#[derive(utoipa::ToSchema)]
#[schema(value_type = std::collections::BTreeMap<String, CompatStatus>)]
struct CompatStatuses(
    #[expect(dead_code, reason = "a shape for the document alone")] std::collections::BTreeMap<String, CompatStatus>,
);
