//! Receivers of notifications, strict about what the services document: method, path, authentication, media type, required
//! fields and lengths. What is wrong is answered with 400 and its words.

use aws_lc_rs::hmac;
use serde_json::Value;

use crate::http::{Reply, Request};

/// A secret that is planted in every place for one. Of letters that fit everywhere.
pub const PLANTED: &str = "Pl4nted-S3cret-Word";
/// User name where one is wanted beside it.
pub const PLANTED_USER: &str = "watch";
/// A planted token of a bot.
pub const PLANTED_BOT: &str = "123456789:Pl4nted-S3cret-Word";
/// Path of the URLs that are secrets as a whole.
pub const PLANTED_PATH: &str = "/services/T00000000/Pl4nted-S3cret-Word?sig=Pl4nted-S3cret-Word";

/// What a service says to a request.
#[must_use]
pub fn receive(service: &str, request: &Request) -> Reply {
    let mut slips = Slips { words: Vec::new() };
    let good = match service {
        "alertmanager" => alertmanager(request, &mut slips),
        "discord" => discord(request, &mut slips),
        "gotify" => gotify(request, &mut slips),
        "ntfy" => ntfy(request, &mut slips),
        "pagerduty" => pagerduty(request, &mut slips),
        "pushover" => pushover(request, &mut slips),
        "slack" => slack(request, &mut slips),
        "teams" => teams(request, &mut slips),
        "telegram" => telegram(request, &mut slips),
        "webhook" => webhook(request, &mut slips),
        other => return Reply::text(500, format!("there is no receiver {other}")),
    };
    if slips.words.is_empty() { good } else { Reply::text(400, slips.words.join("; ")) }
}

struct Slips {
    words: Vec<String>,
}

impl Slips {
    fn want(&mut self, holds: bool, words: &str) {
        if !holds {
            self.words.push(words.to_owned());
        }
    }

    /// The body as JSON, by POST to a path.
    fn json(&mut self, request: &Request, path: &str) -> Value {
        self.want(request.method == "POST", "POST is wanted");
        self.want(request.target == path, &format!("{} is no path of this service", request.target));
        let media_type = request.header("content-type").unwrap_or_default();
        self.want(media_type == "application/json", &format!("{media_type} is no media type of this service"));
        let parsed = serde_json::from_slice(&request.body);
        self.want(parsed.is_ok(), "the body is no JSON");
        parsed.unwrap_or_default()
    }

    /// A text of at least one and at most `most` letters.
    fn text(&mut self, value: &Value, name: &str, most: usize) -> String {
        let text = value.as_str().unwrap_or_default();
        let count = text.chars().count();
        self.want((1..=most).contains(&count), &format!("{name} has {count} letters of 1 to {most}"));
        text.to_owned()
    }

    fn keys(&mut self, value: &Value, known: &[&str]) {
        let odd: Vec<_> =
            value.as_object().into_iter().flatten().filter(|(key, _)| !known.contains(&key.as_str())).collect();
        self.want(odd.is_empty() && value.is_object(), &format!("unknown keys {odd:?}"));
    }
}

fn slack(request: &Request, slips: &mut Slips) -> Reply {
    let body = slips.json(request, PLANTED_PATH);
    slips.keys(&body, &["text", "attachments"]);
    let mut texts = vec![slips.text(&body["text"], "text", 40_000)];
    for attachment in body["attachments"].as_array().into_iter().flatten() {
        slips.keys(attachment, &["color", "fallback", "blocks"]);
        for block in attachment["blocks"].as_array().into_iter().flatten() {
            slips
                .want(block["type"] == "section" && block["text"]["type"] == "mrkdwn", "a section of mrkdwn is wanted");
            texts.push(slips.text(&block["text"]["text"], "section", 3_000));
        }
    }
    for text in texts {
        // Everything in angle brackets is markup: only our own link may be.
        let markup: Vec<&str> = text.split('<').skip(1).collect();
        slips
            .want(markup.iter().all(|m| m.starts_with("https://watch.example/")), &format!("foreign markup in {text}"));
        let entities = text.split('&').skip(1).all(|e| ["amp;", "lt;", "gt;"].iter().any(|known| e.starts_with(known)));
        slips.want(entities, "a bare ampersand");
    }
    Reply::text(200, "ok")
}

fn discord(request: &Request, slips: &mut Slips) -> Reply {
    let body = slips.json(request, PLANTED_PATH);
    slips.keys(&body, &["username", "embeds", "allowed_mentions"]);
    slips.want(body["allowed_mentions"]["parse"].as_array().is_some_and(Vec::is_empty), "mentions are not forbidden");
    let embeds = body["embeds"].as_array().cloned().unwrap_or_default();
    slips.want((1..=10).contains(&embeds.len()), "1 to 10 embeds are wanted");
    for embed in embeds {
        slips.keys(&embed, &["title", "description", "url", "color", "timestamp"]);
        let title = slips.text(&embed["title"], "title", 256);
        let description = slips.text(&embed["description"], "description", 4_096);
        slips.want(title.chars().count() + description.chars().count() <= 6_000, "more than 6000 letters");
        slips.want(embed["color"].as_u64().is_some_and(|c| c <= 0xff_ff_ff), "no colour");
        let bare = |text: &str| text.replace("\\@", "").contains('@') || text.replace("\\<", "").contains('<');
        slips.want(!bare(&title) && !bare(&description), "a mention");
    }
    Reply::Whole(204, Vec::new(), Vec::new())
}

fn teams(request: &Request, slips: &mut Slips) -> Reply {
    let body = slips.json(request, PLANTED_PATH);
    slips.want(request.body.len() <= 28 * 1024, "more than 28 KB");
    slips.want(body["type"] == "message", "type is message");
    let card = &body["attachments"][0]["content"];
    slips.want(body["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive", "no adaptive card");
    slips.want(card["type"] == "AdaptiveCard" && card["version"].is_string(), "no adaptive card");
    for block in card["body"].as_array().into_iter().flatten() {
        slips
            .want(block["type"] == "RichTextBlock" && block["inlines"][0]["type"] == "TextRun", "text runs are wanted");
        slips.text(&block["inlines"][0]["text"], "text", 28_000);
    }
    for action in card["actions"].as_array().into_iter().flatten() {
        slips.want(action["type"] == "Action.OpenUrl" && action["url"].is_string(), "no link");
    }
    Reply::text(202, "")
}

fn telegram(request: &Request, slips: &mut Slips) -> Reply {
    let body = slips.json(request, &format!("/bot{PLANTED_BOT}/sendMessage"));
    slips.keys(&body, &["chat_id", "text", "link_preview_options", "disable_notification", "message_thread_id"]);
    slips.want(body["chat_id"].is_string(), "chat_id is wanted");
    let text = body["text"].as_str().unwrap_or_default();
    slips.want((1..=4096).contains(&text.encode_utf16().count()), "text has 1 to 4096 letters");
    Reply::Whole(200, vec![("Content-Type".into(), "application/json".into())], br#"{"ok":true,"result":{}}"#.into())
}

fn ntfy(request: &Request, slips: &mut Slips) -> Reply {
    let body = slips.json(request, "/");
    slips.keys(&body, &["topic", "title", "message", "priority", "tags", "click"]);
    slips.want(body["topic"] == PLANTED, "another topic");
    slips.want(request.header("authorization") == Some(&format!("Bearer {PLANTED}")), "no token");
    slips.want(body["message"].as_str().is_some_and(|m| (1..=4096).contains(&m.len())), "more than 4096 bytes");
    slips.text(&body["title"], "title", 250);
    slips.want(body["priority"].as_u64().is_some_and(|p| (1..=5).contains(&p)), "priority is 1 to 5");
    Reply::text(200, "{}")
}

fn gotify(request: &Request, slips: &mut Slips) -> Reply {
    let body = slips.json(request, "/base/message");
    slips.keys(&body, &["title", "message", "priority", "extras"]);
    slips.want(request.header("x-gotify-key") == Some(PLANTED), "no token");
    slips.text(&body["message"], "message", 100_000);
    slips.want(body["priority"].as_u64().is_some_and(|p| p <= 10), "priority is 0 to 10");
    slips.want(body["extras"]["client::display"]["contentType"] == "text/plain", "no plain text");
    Reply::text(200, "{}")
}

fn pushover(request: &Request, slips: &mut Slips) -> Reply {
    slips.want(request.method == "POST" && request.target == "/1/messages.json", "another path");
    slips.want(request.header("content-type") == Some("application/x-www-form-urlencoded"), "no form");
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    let get = |key: &str| pairs.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v.as_str()).to_owned();
    slips.want(get("token") == PLANTED && get("user") == PLANTED, "no token or user");
    for (key, most) in [("message", 1024), ("title", 250), ("url", 512), ("url_title", 100)] {
        let count = get(key).chars().count();
        slips.want(
            count <= most && (count > 0 || key.starts_with("url")),
            &format!("{key} has {count} letters of {most}"),
        );
    }
    slips.want(get("priority").parse::<i8>().is_ok_and(|p| (-2..=1).contains(&p)), "priority 2 needs retry and expire");
    Reply::text(200, r#"{"status":1,"request":"x"}"#)
}

fn pagerduty(request: &Request, slips: &mut Slips) -> Reply {
    let change = request.target == "/v2/change/enqueue";
    let body = slips.json(request, if change { "/v2/change/enqueue" } else { "/v2/enqueue" });
    slips.want(body["routing_key"] == PLANTED, "no routing key");
    let payload = &body["payload"];
    slips.text(&payload["summary"], "summary", 1024);
    slips.text(&payload["source"], "source", 1024);
    slips.want(payload["timestamp"].as_str().is_some_and(|t| t.ends_with('Z')), "no timestamp");
    if !change {
        slips.text(&body["dedup_key"], "dedup_key", 255);
        let action = body["event_action"].as_str().unwrap_or_default();
        slips.want(["trigger", "acknowledge", "resolve"].contains(&action), "no event_action");
        let severity = payload["severity"].as_str().unwrap_or_default();
        slips.want(["critical", "error", "warning", "info"].contains(&severity), "no severity");
    }
    slips.want(request.body.len() <= 512 * 1024, "more than 512 KB");
    for link in body["links"].as_array().into_iter().flatten() {
        slips.want(link["href"].is_string(), "a link without href");
    }
    Reply::text(202, r#"{"status":"success","message":"Event processed","dedup_key":"x"}"#)
}

fn alertmanager(request: &Request, slips: &mut Slips) -> Reply {
    let body = slips.json(request, "/prefix/api/v2/alerts");
    slips.want(request.header("authorization").is_some(), "no token");
    let alerts = body.as_array().cloned().unwrap_or_default();
    slips.want(!alerts.is_empty(), "a list of alerts is wanted");
    for alert in &alerts {
        slips.keys(alert, &["labels", "annotations", "startsAt", "endsAt", "generatorURL"]);
        slips.text(&alert["labels"]["alertname"], "alertname", 1000);
        for set in ["labels", "annotations"] {
            let texts = alert[set].as_object().is_some_and(|set| set.values().all(Value::is_string));
            slips.want(texts, &format!("{set} are texts"));
        }
        let (start, end) =
            (alert["startsAt"].as_str().unwrap_or_default(), alert["endsAt"].as_str().unwrap_or_default());
        slips.want(!start.is_empty() && start < end, &format!("{start} is not before {end}"));
    }
    Reply::text(200, "")
}

fn webhook(request: &Request, slips: &mut Slips) -> Reply {
    let body = slips.json(request, "/hook");
    for key in [
        "version", "key", "alert", "at", "began_at", "stage", "severity", "rule", "title", "text", "subjects",
        "explains", "more", "url", "note",
    ] {
        slips.want(body.get(key).is_some(), &format!("{key} is missing"));
    }
    slips.want(request.header("x-token") == Some(&format!("Bearer {PLANTED}")), "no header of its own");
    slips.want(request.header("idempotency-key").is_some_and(|key| !key.is_empty()), "no key");
    let time = request.header("x-streampulse-timestamp").unwrap_or_default();
    let signed = [time.as_bytes(), b".", &request.body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, PLANTED.as_bytes());
    let hex: String = hmac::sign(&key, &signed).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let given = request.header("x-streampulse-signature").unwrap_or_default();
    slips.want(given == format!("sha256={hex}"), "the signature does not fit");
    Reply::text(200, "")
}
