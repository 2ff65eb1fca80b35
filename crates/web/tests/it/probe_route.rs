//! `/probe` against a peer of our own: what modules allow is looked at, and nothing else is reached, by whatever way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::rig::{Client, PATIENCE, Reply, Rig, SERVER, TARGETS};

/// A web server on loopback that counts who comes: `/ok` answers, `/away` sends to another address, `/slow` never answers.
struct Peer {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Peer {
    async fn start() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
                tokio::spawn(async move {
                    let mut head = vec![0; 4096];
                    let n = stream.read(&mut head).await.unwrap_or(0);
                    let text = String::from_utf8_lossy(&head[..n]).into_owned();
                    let answer = if text.contains(" /away") {
                        format!(
                            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:{port}/ok\r\nContent-Length: 0\r\n\r\n"
                        )
                    } else if text.contains(" /slow") {
                        tokio::time::sleep(PATIENCE).await;
                        return;
                    } else {
                        "HTTP/1.1 200 OK\r\nServer: hunter2\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
                            .to_owned()
                    };
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn rig(modules: &str) -> (Rig, Client) {
    let rig = Rig::with(&format!("{SERVER}metrics:\n  probe_modules:\n{modules}{TARGETS}"), false).await;
    let admin = rig.admin().await;
    let program = rig.program(&admin, "viewer", true).await;
    (rig, program)
}

async fn probe(who: &Client, module: &str, target: &str, scrape_timeout: Option<&str>) -> Reply {
    let escaped: String = target.bytes().map(|b| format!("%{b:02X}")).collect();
    let headers: Vec<_> =
        scrape_timeout.map(|t| ("X-Prometheus-Scrape-Timeout-Seconds", t.to_owned())).into_iter().collect();
    who.send_with("GET", &format!("/probe?module={module}&target={escaped}"), &headers, None).await
}

#[tokio::test]
async fn a_probe_goes_where_its_module_allows_and_nowhere_else() {
    let peer = Peer::start().await;
    let port = peer.port;
    let modules = format!(
        "    - {{name: web, kind: http, allow: ['http://127.0.0.1:{port}', 'http://*.invalid']}}
    - {{name: names, kind: http, allow: ['http://localhost:*']}}
    - {{name: both, kind: http, allow: ['http://127.0.0.0/29:*']}}
    - {{name: strict, kind: http, allow: ['http://127.0.0.1:*'], target: {{expect_status: 404}}}}
"
    );
    let (rig, program) = rig(&modules).await;
    let ok = format!("http://127.0.0.1:{port}/ok");
    let reply = probe(&program, "web", &ok, None).await;
    let text = reply.text();
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("text/plain; version=0.0.4; charset=utf-8")),
        "{text}"
    );
    for line in ["probe_success 1", "probe_http_status_code 200", "streampulse_probe_degraded 0"] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}\n{text}");
    }
    for name in [
        "probe_duration_seconds ",
        "probe_http_duration_seconds{phase=\"connect\"} ",
        "streampulse_probe_phase_duration_seconds{",
    ] {
        assert!(text.contains(&format!("\n{name}")), "{name}\n{text}");
    }
    assert!(!text.contains("hunter2") && !text.contains("127.0.0.1"), "{text}");
    let failed = probe(&program, "strict", &ok, None).await.text();
    assert!(failed.contains("\nprobe_success 0\n") && failed.contains("streampulse_probe_fault{fault="), "{failed}");

    let before = peer.asked();
    for (module, target, status) in [
        ("web", format!("http://127.0.0.2:{port}/ok"), 403),
        ("web", format!("http://127.0.0.1:{port}@evil.example/"), 403),
        ("web", "http://169.254.169.254/latest/meta-data".to_owned(), 403),
        ("web", "file:///etc/passwd".to_owned(), 403),
        ("web", "exec://anything".to_owned(), 403),
        ("web", format!("http://user:hunter2@127.0.0.1:{port}/ok"), 403),
        ("nothing", ok.clone(), 400),
        ("", ok.clone(), 400),
        ("web", String::new(), 400),
    ] {
        let reply = probe(&program, module, &target, None).await;
        assert_eq!(reply.status, status, "{module} {target}: {}", reply.text());
        assert!(!reply.text().contains("hunter2"), "{}", reply.text());
    }
    // A name that is allowed and leads home is not: loopback is not public, and no network of the module holds it.
    let home = probe(&program, "names", &format!("http://localhost:{port}/ok"), None).await.text();
    assert!(home.contains("\nprobe_success 0\n") && home.contains("fault=\"forbidden\",phase=\"resolve\""), "{home}");
    assert_eq!(peer.asked(), before, "nobody was asked");
    // A redirect leads as far as the module allows.
    let away = format!("http://127.0.0.1:{port}/away");
    let kept = probe(&program, "web", &away, None).await.text();
    assert!(kept.contains("\nprobe_success 0\n") && kept.contains("fault=\"forbidden\""), "{kept}");
    assert_eq!(peer.asked(), before + 1, "only the first address was asked");
    let followed = probe(&program, "both", &away, None).await.text();
    assert!(followed.contains("\nprobe_success 1\n") && followed.contains("\nprobe_http_redirects 1\n"), "{followed}");
    rig.stop().await;
}

#[tokio::test]
async fn a_probe_has_the_time_of_its_scraper_and_many_are_refused_in_time() {
    let peer = Peer::start().await;
    let modules = format!(
        "    - {{name: web, kind: http, allow: ['http://127.0.0.1:{}'], target: {{timeout: 30s}}}}\n",
        peer.port
    );
    let (rig, program) = rig(&modules).await;
    let slow = format!("http://127.0.0.1:{}/slow", peer.port);
    let all = futures_util::future::join_all((0..12).map(|_| probe(&program, "web", &slow, Some("1.5")))).await;
    let (mut looked, mut refused) = (0, 0);
    for reply in all {
        match reply.status {
            200 => {
                looked += 1;
                assert!(reply.text().contains("fault=\"timed_out\""), "{}", reply.text());
            }
            503 => refused += 1,
            other => panic!("{other}: {}", reply.text()),
        }
    }
    assert!(looked >= 4 && looked + refused == 12, "{looked} looked, {refused} refused");
    assert!(peer.asked() <= 12);
    rig.stop().await;
}

#[tokio::test]
async fn there_is_no_probe_unless_the_configuration_has_modules_and_none_for_strangers() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    assert_eq!(admin.get("/probe?target=http://127.0.0.1:9/&module=web").await.status, 404);
    assert_eq!(rig.stranger().get("/probe?target=http://127.0.0.1:9/&module=web").await.status, 401);
    assert_eq!(rig.at_status().get("/probe?target=http://127.0.0.1:9/&module=web").await.status, 404);
    rig.stop().await;
}
