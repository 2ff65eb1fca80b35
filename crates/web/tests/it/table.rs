//! The table of routes against the gate: every row, every role, and nobody.

use crate::rig::Rig;
use web::auth::roles::{Access, Role};
use web::routes::table::ROUTES;

/// A path of the row with things that do not exist in its open segments, so that nothing is changed.
fn path(route: &web::routes::Route) -> String {
    route
        .path
        .replace("{id}", "no-such")
        .replace("{name}", "no-such")
        .replace("{section}", "no-such")
        .replace("{token}", "no-such")
        .replace("{what}", "1")
}

#[tokio::test]
async fn every_route_asks_for_its_role() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let mut by_role = Vec::new();
    for role in Role::ALL {
        by_role.push((role, rig.program(&admin, role.as_str(), false).await));
    }
    let nobody = rig.stranger();
    let mut public = Vec::new();
    for route in ROUTES {
        let (method, path) = (route.method.as_str(), path(route));
        let body = (method != "GET").then(|| serde_json::json!({}));
        let Access::Role(least) = route.access else {
            public.push((method, route.path));
            continue;
        };
        let reply = nobody.send(method, &path, body.clone()).await;
        assert_eq!(reply.status, 401, "{method} {path} without credentials");
        if route.is_compat() {
            assert!(reply.body.is_empty(), "{path}: the old routes answer 401 with an empty body");
        }
        for (role, client) in &by_role {
            if *role < least {
                let reply = client.send(method, &path, body.clone()).await;
                assert_eq!(reply.status, 403, "{method} {path} as {}", role.as_str());
            } else if route.path != "/api/v1/events" {
                let reply = client.send(method, &path, body.clone()).await;
                let own = path.starts_with("/api/v1/users/") && reply.status == 403;
                // These are kept for people who signed in.
                let makes = matches!(path.as_str(), "/api/v1/tokens" | "/api/v1/users") && method == "POST";
                let refused = matches!(reply.status, 401 | 403) && !own && !makes;
                assert!(!refused, "{method} {path} as {}: {}", role.as_str(), reply.text());
                assert!(
                    reply.status < 500 || reply.status == 503,
                    "{method} {path}: {} {}",
                    reply.status,
                    reply.text()
                );
            }
        }
    }
    let wanted = [
        ("GET", "/api/v1/session"),
        ("POST", "/api/v1/session"),
        ("POST", "/api/v1/setup"),
        ("GET", "/api/push/{token}"),
        ("POST", "/api/push/{token}"),
        ("GET", "/api/push/{token}/{what}"),
        ("POST", "/api/push/{token}/{what}"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
    ];
    assert_eq!(public, wanted, "what is open to everybody is listed here on purpose");
    rig.stop().await;
}

#[tokio::test]
async fn a_token_for_reading_changes_nothing() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let reader = rig.program(&admin, "administrator", true).await;
    for route in ROUTES.iter().filter(|r| r.access != Access::Public) {
        let (method, path) = (route.method.as_str(), path(route));
        if method == "GET" {
            continue;
        }
        let reply = reader.send(method, &path, Some(serde_json::json!({}))).await;
        assert_eq!(reply.status, 403, "{method} {path}");
    }
    assert_eq!(reader.get("/api/v1/users").await.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_in_the_one_form() {
    let rig = Rig::new().await;
    let nobody = rig.stranger();
    for (method, path, status, code) in [
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/api/v2/targets", 404, "not_found"),
        ("PUT", "/api/v1/targets", 405, "method_not_allowed"),
        ("POST", "/", 405, "method_not_allowed"),
    ] {
        let reply = nobody.send(method, path, None).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{method} {path}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn the_status_listener_needs_no_login_and_offers_nothing_else() {
    let rig = Rig::new().await;
    rig.looked().await;
    let anybody = rig.at_status();
    for path in ["/api/status", "/api/v1/health", "/healthz", "/readyz"] {
        let reply = anybody.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert!(!reply.text().contains("127.0.0.1") && !reply.text().contains("://"), "{path}: {}", reply.text());
    }
    for route in ROUTES.iter().filter(|r| !r.on_status) {
        let reply = anybody.send(route.method.as_str(), &path(route), None).await;
        assert!(matches!(reply.status, 404 | 405), "{} {}: {}", route.method.as_str(), route.path, reply.status);
    }
    assert_eq!(anybody.get("/").await.status, 404);
    rig.stop().await;
}
