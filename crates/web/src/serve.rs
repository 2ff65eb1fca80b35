//! Putting the server together and starting it, in order. Owns the layers around the router: headers that every answer
//! carries, and the check of the `Host` header.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use engine::config::Config;
use engine::handle::Handle;
use model::secret::Secret;
use net::task::Tasks;
use sink::registry::Registry;
use tokio::sync::{Semaphore, watch};

use crate::auth::accounts::Users;
use crate::auth::crew::Crew;
use crate::auth::local::LocalKey;
use crate::auth::password::Passwords;
use crate::auth::random;
use crate::auth::rate::{CallLimiter, Limiter};
use crate::auth::session::Sessions;
use crate::availability::Availability;
use crate::error::{ApiError, ApiResult, Code};
use crate::hub::Hub;
use crate::limits::{EVENT_CLIENTS, EXPORTS, LOG_FOLLOWERS, LOG_READS, PEOPLE_EVERY, PROBE_CALLS, SINK_TESTS};
use crate::listen::{Crowd, Listener, bind};
use crate::metrics::legacy::Window;
use crate::metrics::serve::Press;
use crate::peer::{Peer, check_host};
use crate::pulse::Pulse;
use crate::routes;
use crate::state::{App, Parts};
use crate::tls::Certificate;

/// What the program says beside the configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether this is the demonstration: the page says so, and login may be off on any address.
    pub demo: bool,
    /// How sinks and channels are.
    pub sinks: Registry,
    /// Where the key of the command line is written; without it the command line needs a token.
    pub local_key: Option<PathBuf>,
}

/// The server is up.
#[derive(Clone, Debug)]
pub struct Listening {
    /// Addresses of the dashboard and the API.
    pub addrs: Vec<SocketAddr>,
    /// Address of the read-only status.
    pub status: Option<SocketAddr>,
    /// The token that makes the first administrator, for the program to print. There is none while there is a user, and
    /// none before the users could be read: then it comes later.
    pub setup: watch::Receiver<Option<Secret>>,
    /// `http` or `https`.
    pub scheme: &'static str,
}

impl Listening {
    /// The token that makes the first administrator, when there is one now.
    #[must_use]
    pub fn setup_token(&self) -> Option<String> {
        self.setup.borrow().as_ref().map(|token| token.expose().to_owned())
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address could not be bound.
    #[error("cannot listen: {0}")]
    Bind(String),
    /// The certificate could not be used.
    #[error("cannot use the server's certificate: {0}")]
    Tls(String),
    /// Login is off where others could come in.
    #[error(
        "server.login is false, which is only allowed while every address of server.listen is a loopback address; {0} is not"
    )]
    OpenDoor(SocketAddr),
    /// A mistake of ours, or no randomness.
    #[error("cannot start the server")]
    Internal(#[from] ApiError),
}

/// Starts the server. Everything it runs belongs to `tasks` and ends when they are asked to stop.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(handle: Handle, config: &Config, tasks: &Tasks, options: Options) -> Result<Listening, ServeError> {
    let server = &config.server;
    if !server.login
        && !options.demo
        && let Some(open) = server.listen.iter().find(|a| !a.ip().to_canonical().is_loopback())
    {
        return Err(ServeError::OpenDoor(*open));
    }
    let certificate = match &server.tls {
        Some(files) => {
            let files = files.clone();
            let loaded = tokio::task::spawn_blocking(move || Certificate::load(files)).await.map_err(ApiError::from)?;
            Some(Arc::new(loaded.map_err(ServeError::Tls)?))
        }
        None => None,
    };
    // Ports first: a second instance finds out before it changes anything.
    let mut sockets = Vec::new();
    for address in &server.listen {
        sockets.push(bind(*address).await.map_err(ServeError::Bind)?);
    }
    let status = match server.status_listen {
        Some(address) => Some(bind(address).await.map_err(ServeError::Bind)?),
        None => None,
    };
    let app = parts(handle, config, tasks, &options).await?;
    if let Err(error) = app.crew.refresh().await {
        let why = app.handle.store().health().reason.unwrap_or_else(|| error.to_string());
        let then = if app.login { "nobody can sign in until they can" } else { "login is off, so all else works" };
        tracing::warn!("users, sessions and tokens cannot be read now ({why}); {then}; it is tried again every second");
    }
    keep_people_fresh(&app, tasks);
    let setup = app.crew.setup.watch();
    let local = |s: &tokio::net::TcpListener| s.local_addr().map_err(|e| ServeError::Bind(e.to_string()));
    let addrs = sockets.iter().map(local).collect::<Result<_, _>>()?;
    let status_addr = status.as_ref().map(local).transpose()?;
    let crowd = Crowd::default();
    let router = main_router(&app);
    for socket in sockets {
        let certificate = certificate.clone();
        Listener { socket, router: router.clone(), certificate, crowd: crowd.clone() }.start(tasks);
    }
    if let Some(socket) = status {
        // Status is asked for by machines in the local network: it never holds a secret and speaks plain HTTP.
        let router = routes::status(app.clone()).layer(middleware::from_fn_with_state(app, around));
        Listener { socket, router, certificate: None, crowd: Crowd::default() }.start(tasks);
    }
    let scheme = if certificate.is_some() { "https" } else { "http" };
    Ok(Listening { addrs, status: status_addr, setup, scheme })
}

async fn parts(handle: Handle, config: &Config, tasks: &Tasks, options: &Options) -> ApiResult<App> {
    let store = handle.store().clone();
    let passwords = tokio::task::spawn_blocking(Passwords::new).await??;
    let users = Users::unread(store.clone(), passwords);
    let sessions = Sessions::unread(store.clone(), config.server.session);
    let crew = Crew::unread(store.clone(), users, sessions, config.server.login);
    let pulse = Pulse::start(handle.clone(), tasks);
    let availability = Availability::start(store.clone(), Arc::clone(handle.clock()), tasks);
    let window = Window::start(store, Arc::clone(handle.clock()), handle.settings(), tasks);
    let hub = Hub::start(handle.clone(), availability.clone(), pulse.clone(), tasks);
    Ok(App::new(Parts {
        handle,
        crew,
        local_key: local_key(options).await?,
        limiter: Limiter::default(),
        calls: CallLimiter::default(),
        hub,
        pulse,
        availability,
        window,
        press: Press::default(),
        probe_calls: Semaphore::new(PROBE_CALLS),
        sinks: options.sinks.clone(),
        login: config.server.login,
        demo: options.demo,
        open_csrf: random::secret(),
        sink_tests: Semaphore::new(SINK_TESTS),
        event_clients: Arc::new(Semaphore::new(EVENT_CLIENTS)),
        exports: Arc::new(Semaphore::new(EXPORTS)),
        log_reads: Arc::new(Semaphore::new(LOG_READS)),
        log_followers: Arc::new(Semaphore::new(LOG_FOLLOWERS)),
        stopping: tasks.cancelled(),
    }))
}

/// The key of the command line. Without one the command line needs a token, which is no reason not to serve.
async fn local_key(options: &Options) -> ApiResult<Option<LocalKey>> {
    let Some(file) = options.local_key.clone() else { return Ok(None) };
    let written = tokio::task::spawn_blocking(move || LocalKey::write(&file)).await?;
    let told = written.inspect_err(|error| tracing::warn!("the key of the command line could not be written: {error}"));
    Ok(told.ok())
}

/// Reads users and tokens again now and then: the command line may change them beside us, and at the start the store may
/// have been unreadable.
fn keep_people_fresh(app: &App, tasks: &Tasks) {
    let app = app.clone();
    tasks.spawn("people", async move {
        let mut every = tokio::time::interval(PEOPLE_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = app.stopping.cancelled() => return,
                _ = every.tick() => {}
            }
            if let Err(error) = app.crew.refresh().await {
                tracing::debug!("users and tokens could not be read again: {error}");
            }
        }
    });
}

fn main_router(app: &App) -> Router {
    routes::main(app.clone()).layer(middleware::from_fn_with_state(app.clone(), around))
}

/// What scripts, styles, pictures and requests of the page may come from: this server alone. Pictures of previews are
/// made by the page (`blob:`), icons may stand in styles (`data:`).
const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// Around every request: was it meant for us, and the headers that every answer carries.
async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let (tls, refused) = match Peer::of(&request) {
        Some(peer) => {
            let host = check_host(&peer, request.headers(), request.uri().host(), app.login);
            (peer.tls, host.err())
        }
        None => (false, Some(ApiError::new(Code::Internal, "a request without a connection"))),
    };
    let mut response = match refused {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CONTENT_SECURITY_POLICY, fixed(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, fixed("DENY"));
    headers.insert(header::REFERRER_POLICY, fixed("same-origin"));
    headers.insert("cross-origin-resource-policy", fixed("same-origin"));
    headers.insert("cross-origin-opener-policy", fixed("same-origin"));
    headers.insert("permissions-policy", fixed("camera=(), microphone=(), geolocation=()"));
    if tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, fixed("max-age=31536000"));
    }
    response
}
