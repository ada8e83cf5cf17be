//! The demo's shop: a page whose visitor sees how each click is scored. Everything it needs is in the binary.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

const PAGE: &str = include_str!("../../../tracker/shop/index.html");
const ASSETS: [(&str, &str, &str); 4] = [
    ("/assets/shop.css", "text/css; charset=utf-8", include_str!("../../../tracker/shop/shop.css")),
    ("/assets/shop.js", "text/javascript; charset=utf-8", include_str!("../../../tracker/shop/shop.js")),
    ("/assets/catalogue.js", "text/javascript; charset=utf-8", include_str!("../../../tracker/shop/catalogue.js")),
    ("/assets/panel.js", "text/javascript; charset=utf-8", include_str!("../../../tracker/shop/panel.js")),
];
/// Nothing from elsewhere, nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page is told.
#[derive(Clone)]
pub struct ShopKeys {
    /// Write key of its site.
    pub write_key: String,
    /// Read token of its site. It stands in the page, so the page belongs on this machine only.
    pub read_token: String,
}

/// The shop at `/shop`, for browsers on this machine only: a request under any other host name than this machine's own is refused,
/// so that no page from elsewhere can pass itself off as ours. Both keys must be made of letters, digits, `-`, `_`, `.` and `~`.
pub fn router(keys: &ShopKeys) -> Router {
    let page = PAGE.replace("{{write_key}}", &keys.write_key).replace("{{read_token}}", &keys.read_token);
    let page: Arc<str> = page.into();
    let mut routes = Router::new()
        .route("/", get(|| async { Redirect::temporary("/shop") }))
        .route("/shop", get(shop))
        .route("/shop/{*address}", get(shop));
    for (path, kind, text) in ASSETS {
        routes = routes.route(path, get(move || async move { answer(kind, text.to_owned()) }));
    }
    routes.with_state(page)
}

async fn shop(State(page): State<Arc<str>>, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_this_machine(host) {
        return (StatusCode::FORBIDDEN, "The demo's shop is for browsers on this machine: http://127.0.0.1:…/shop\n")
            .into_response();
    }
    answer("text/html; charset=utf-8", page.to_string())
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

fn answer(kind: &'static str, text: String) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::{ASSETS, PAGE, is_this_machine};

    #[test]
    fn only_names_of_this_machine_are_taken() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]", "[::1]:8080"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["", "shop.example", "127.0.0.1.example:8080", "localhost.example", "10.0.0.1:8080", "::1"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for text in ASSETS.iter().map(|(_, _, text)| *text).chain([PAGE]) {
            let outside = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!outside.contains("http://") && !outside.contains("https://"), "{outside}");
        }
        for (path, _, _) in
            ASSETS.iter().filter(|(path, _, _)| !path.ends_with("catalogue.js") && !path.ends_with("panel.js"))
        {
            assert!(PAGE.contains(path), "{path} is not on the page");
        }
    }
}
