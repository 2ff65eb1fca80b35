//! The OpenAPI document, made from the table of routes and the shapes it names. Pinned as a golden file by a test.

use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ComponentsBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Ref, RefOr, Required, ResponseBuilder,
};

use crate::auth::csrf;
use crate::auth::roles::Access;
use crate::error::ErrorBody;
use crate::health::VERSION;
use crate::routes::table::ROUTES;
use crate::routes::{Answer, Method, Param, Route, Shape, shape};

/// The document as JSON text.
#[must_use]
pub fn text() -> String {
    let mut text = document().to_pretty_json().expect("the document has text keys and finite numbers");
    text.push('\n');
    text
}

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    let mut components = ComponentsBuilder::new();
    let mut paths = PathsBuilder::new();
    let add = |s: &Shape| {
        let mut found = vec![((s.name)(), (s.schema)())];
        (s.uses)(&mut found);
        found
    };
    let mut schemas = add(&shape::<ErrorBody>());
    for route in ROUTES {
        for s in route.body.iter().chain(answer_shape(&route.answer)) {
            schemas.extend(add(s));
        }
        paths = paths.path(route.path, PathItem::new(http_method(route.method), operation(route)));
    }
    schemas.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, schema) in schemas {
        components = components.schema(name, schema);
    }
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
        "streampulse_session",
        "Session cookie; requests that change something also need the header X-CSRF-Token. Over TLS its name begins with __Host-.",
    )));
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    components = components.security_scheme("cookie", cookie).security_scheme("bearer", bearer);
    let about = "Times are UTC milliseconds, what is unknown is null. Errors have one form and stable codes. \
                 Parameters of a query that /api/v1 does not know are refused.";
    let info = InfoBuilder::new().title("StreamPulse").version(VERSION).description(Some(about)).build();
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build()
}

fn answer_shape(answer: &Answer) -> Option<&Shape> {
    match answer {
        Answer::Json(_, shape) => Some(shape),
        Answer::Nothing | Answer::Other(_) => None,
    }
}

fn http_method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Put => HttpMethod::Put,
        Method::Patch => HttpMethod::Patch,
        Method::Delete => HttpMethod::Delete,
    }
}

fn operation(route: &Route) -> Operation {
    let mut op = OperationBuilder::new().summary(Some(route.summary)).operation_id(Some(operation_id(route)));
    let (who, signed_in) = match route.access {
        Access::Public => ("Anybody.".to_owned(), false),
        Access::Role(least) => (format!("Needs the role {} or a greater one.", least.as_str()), true),
    };
    let status = if route.on_status { " Also on the status listener, without login." } else { "" };
    op = op.description(Some(format!("{who}{status}")));
    if signed_in {
        let none: [String; 0] = [];
        op = op.security(SecurityRequirement::new("cookie", none.clone()));
        op = op.security(SecurityRequirement::new("bearer", none));
    }
    for name in open_segments(route.path) {
        op = op.parameter(parameter(name, ParameterIn::Path, Param::Text, "", true));
    }
    for (name, ty, doc) in route.query {
        op = op.parameter(parameter(name, ParameterIn::Query, *ty, doc, false));
    }
    if signed_in && route.method != Method::Get {
        let doc = "Needed with a session cookie; the value of csrf in GET /api/v1/session";
        op = op.parameter(parameter(csrf::HEADER, ParameterIn::Header, Param::Text, doc, false));
    }
    if let Some(body) = &route.body {
        let content = ContentBuilder::new().schema(Some(reference(body))).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        op = op.request_body(Some(body.build()));
    }
    let (code, fine) = match &route.answer {
        Answer::Json(code, shape) => {
            let content = ContentBuilder::new().schema(Some(reference(shape))).build();
            (*code, ResponseBuilder::new().description("Done").content("application/json", content).build())
        }
        Answer::Nothing => (204, ResponseBuilder::new().description("Done").build()),
        Answer::Other(kind) => {
            let content = ContentBuilder::new().build();
            (200, ResponseBuilder::new().description("Done").content(*kind, content).build())
        }
    };
    let error = ContentBuilder::new().schema(Some(reference(&shape::<ErrorBody>()))).build();
    let error = ResponseBuilder::new().description("Anything else").content("application/json", error).build();
    if signed_in && route.is_compat() {
        let nothing = ResponseBuilder::new().description("Not signed in; as in StreamPulse 2.x the body is empty");
        op = op.response("401", nothing.build());
    }
    op.response(code.to_string(), fine).response("default", error).build()
}

fn reference(shape: &Shape) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name((shape.name)()))
}

fn parameter(name: &str, place: ParameterIn, ty: Param, doc: &str, required: bool) -> Parameter {
    let schema = ObjectBuilder::new();
    let schema = match ty {
        Param::Time => {
            let forms = [Type::Integer, Type::String];
            let rfc3339 = SchemaFormat::KnownFormat(KnownFormat::DateTime);
            let schema = schema.schema_type(SchemaType::from_iter(forms)).format(Some(rfc3339));
            schema.description(Some("UTC milliseconds, or RFC 3339"))
        }
        Param::Integer => schema.schema_type(Type::Integer),
        Param::Range(least, most) => schema.schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most)),
        Param::Word(words) => schema.schema_type(Type::String).enum_values(Some(words.iter().copied())),
        Param::Text => schema.schema_type(Type::String),
        Param::Bool => schema.schema_type(Type::Boolean),
    }
    .build();
    let required = if required { Required::True } else { Required::False };
    let doc = (!doc.is_empty()).then_some(doc);
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(doc)
        .schema(Some(schema))
        .build()
}

/// Names of the open segments of a path.
pub(crate) fn open_segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'))
}

fn operation_id(route: &Route) -> String {
    let path = route.path.trim_start_matches("/api/v1/").trim_start_matches('/');
    let words: Vec<_> = path.split(['/', '.']).map(|w| w.trim_matches(['{', '}'])).collect();
    format!("{}_{}", route.method.as_str().to_ascii_lowercase(), words.join("_"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_document_is_the_golden_file() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().expect("has a folder")).expect("writable");
            std::fs::write(&path, text()).expect("writable");
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(golden == text(), "docs/reference/openapi.json is out of date: run the tests once with UPDATE=1");
    }

    #[test]
    fn every_route_is_in_it_and_every_reference_leads_somewhere() {
        let json: serde_json::Value = serde_json::from_str(&text()).expect("json");
        let mut ids = std::collections::BTreeSet::new();
        for route in ROUTES {
            let op = &json["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
            let id = op["operationId"].as_str().unwrap_or_else(|| panic!("{} is missing", route.path)).to_owned();
            assert!(ids.insert(id), "{}: the operation id is there twice", route.path);
        }
        let all = text();
        for part in all.split("\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().expect("quoted");
            assert!(json["components"]["schemas"][name].is_object(), "{name} is referred to and not there");
        }
    }
}
