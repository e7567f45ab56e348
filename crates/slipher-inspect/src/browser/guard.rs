//! Who may ask.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use rand::Rng;

/// A request that is not answered, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub StatusCode, pub &'static str);

/// 128 random bits in hexadecimal. The one number here that no seed gives.
pub fn token() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

/// Whether a host is this machine, whatever the port: a tunnel has another.
fn is_local(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|h| host.eq_ignore_ascii_case(h))
}

fn same(a: &str, b: &str) -> bool {
    // In a time that does not tell how much of it is right.
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |n, (a, b)| n | (a ^ b)) == 0
}

/// Lets a request pass that has the token, asks this machine, and comes from its own page.
///
/// # Errors
/// It does not.
pub fn allowed(token: &str, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    if !is_local(host) {
        return Err(Refused(StatusCode::FORBIDDEN, "another host"));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        if origin.strip_prefix("http://") != Some(host) {
            return Err(Refused(StatusCode::FORBIDDEN, "another origin"));
        }
    }
    if text(header::HeaderName::from_static("sec-fetch-site")).is_some_and(|s| s == "cross-site") {
        return Err(Refused(StatusCode::FORBIDDEN, "another site"));
    }
    let in_query = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .find_map(|p| p.strip_prefix("token="));
    let given = text(header::HeaderName::from_static("x-slipher-token")).or(in_query);
    if !given.is_some_and(|g| same(g, token)) {
        return Err(Refused(
            StatusCode::UNAUTHORIZED,
            "the address of the page with its token is needed",
        ));
    }
    Ok(())
}
