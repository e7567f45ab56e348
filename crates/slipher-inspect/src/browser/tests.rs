use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;
use crate::session::tests::{session, sky};

/// What a server answers to the words of a request.
fn asked(at: SocketAddr, words: &str) -> String {
    let mut s = TcpStream::connect(at).unwrap();
    s.write_all(words.as_bytes()).unwrap();
    let mut out = vec![];
    s.read_to_end(&mut out).unwrap();
    String::from_utf8_lossy(&out).into_owned()
}

fn get(at: SocketAddr, path: &str, heads: &[&str]) -> String {
    let mut words = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n");
    if !heads.iter().any(|h| h.starts_with("Host")) {
        words += &format!("Host: {at}\r\n");
    }
    heads.iter().for_each(|h| words += &format!("{h}\r\n"));
    asked(at, &(words + "\r\n"))
}

/// Only who has the token, asks this machine and comes from its page is answered; values of a
/// catalogue are never markup; what is asked wrongly is said.
#[test]
fn strangers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    sky(dir.path());
    let server = Server::new(session(dir.path(), "ann"), 0).unwrap();
    let (at, token, url) = (server.address, server.shared.token.clone(), server.url());
    assert!(at.ip().is_loopback() && url.ends_with(&token) && token.len() == 32);
    std::thread::spawn(move || server.run());
    let head = format!("X-Slipher-Token: {token}");
    let ok = |answer: &str| answer.starts_with("HTTP/1.1 200");
    assert!(get(at, "/", &[]).starts_with("HTTP/1.1 401"));
    assert!(get(at, "/?token=0123", &[]).starts_with("HTTP/1.1 401"));
    assert!(get(at, "/api/run", &["X-Slipher-Token: "]).starts_with("HTTP/1.1 401"));
    let page = get(at, &format!("/?token={token}"), &[]);
    assert!(
        ok(&page)
            && page
                .to_lowercase()
                .contains("content-security-policy: default-src 'none'")
    );
    for host in [
        "Host: evil.example",
        "Host: 127.0.0.1.evil.example",
        "Host: localhost@evil.example",
        "Host: 0.0.0.0:80",
    ] {
        assert!(
            get(at, "/api/run", &[&head, host]).starts_with("HTTP/1.1 403"),
            "{host}"
        );
    }
    // Through a tunnel the port is another.
    assert!(ok(&get(at, "/api/run", &[&head, "Host: localhost:8765"])));
    assert!(ok(&get(
        at,
        "/api/run",
        &[
            &head,
            "Host: localhost:8765",
            "Origin: http://localhost:8765"
        ]
    )));
    for origin in [
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: http://localhost:1",
        "Sec-Fetch-Site: cross-site",
    ] {
        assert!(
            get(at, "/api/run", &[&head, origin]).starts_with("HTTP/1.1 403"),
            "{origin}"
        );
    }
    // There is no way to a file but by its row.
    for path in [
        "/../../etc/passwd",
        "/etc/passwd",
        "/page.js/../../Cargo.toml",
        "/api/row?row=../../x",
    ] {
        assert!(!ok(&get(at, path, &[&head])), "{path}");
    }
    let row = get(at, "/api/row?row=1", &[&head]);
    assert!(ok(&row) && row.contains("\"solutions\"") && row.contains("application/json"));
    assert!(get(at, "/api/row?row=99", &[&head]).contains("no row 99"));
    assert!(
        get(
            at,
            "/api/rows?q=%7B%22sort%22%3A%22none%22%7D&columns=z",
            &[&head]
        )
        .contains("no column 'none'")
    );
    assert!(get(at, "/api/plot?x=spectype", &[&head]).contains("holds text"));
    assert!(
        get(at, "/api/export?layout=prospect&format=exe", &[&head])
            .contains("expected csv or parquet")
    );
    let body = r#"{"inspector":"ann","decision":{"row":0,"quality":4,"comment":"<script>alert(1)</script>"}}"#;
    let post = |body: &str| {
        let n = body.len();
        asked(
            at,
            &format!(
                "POST /api/decide HTTP/1.1\r\nHost: {at}\r\n{head}\r\nContent-Type: application/json\r\nContent-Length: {n}\r\nConnection: close\r\n\r\n{body}"
            ),
        )
    };
    assert!(post(body).contains("\"mine\":1"));
    assert!(post(&body.replace("quality\":4", "quality\":9")).contains("expected 0 to 4"));
    assert!(post(&body.replace("comment", "remark")).starts_with("HTTP/1.1 4"));
    let file = get(at, "/api/export?layout=prospect&format=csv", &[&head]);
    assert!(ok(&file) && file.contains("VI_comment") && file.contains("attachment"));
}

#[test]
fn a_port_in_use_is_said() {
    let dir = tempfile::tempdir().unwrap();
    sky(dir.path());
    let first = Server::new(session(dir.path(), "ann"), 0).unwrap();
    let why = Server::new(session(dir.path(), "ann"), first.address.port())
        .err()
        .unwrap();
    assert!(why.to_string().contains("--port 0"), "{why}");
}
