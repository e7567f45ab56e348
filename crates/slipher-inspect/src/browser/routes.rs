//! What the page asks for.

use std::io::Cursor;
use std::sync::Arc;

use arrow_ipc::writer::StreamWriter;
use axum::extract::{Query as Asked, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use slipher_sim::lines::{LINES, Look as Shape};

use super::Shared;
use super::guard::{Refused, allowed};
use crate::decisions::{self, Layout};
use crate::session::Said;
use crate::view::{ORDERS, Query};
use crate::{InspectError, bins};

const HTML: &str = include_str!("../../page/dist/page.html");
const SCRIPT: &str = include_str!("../../page/dist/page.js");
const STYLE: &str = include_str!("../../page/dist/page.css");
/// Rows of a page of the table, at most.
const PAGE: usize = 2000;

/// What goes wrong, as the page shows it.
struct Failed(StatusCode, String);

impl From<InspectError> for Failed {
    fn from(e: InspectError) -> Failed {
        let status = match e {
            InspectError::Asked(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failed(status, e.to_string())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

type Answer<T> = Result<T, Failed>;

/// Work that takes a while, off the threads that listen.
async fn blocking<T: Send + 'static>(
    shared: Arc<Shared>,
    f: impl FnOnce(&Shared) -> Answer<T> + Send + 'static,
) -> Answer<T> {
    let lost = |_| {
        Failed(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Slipher failed; please report it".into(),
        )
    };
    tokio::task::spawn_blocking(move || f(&shared))
        .await
        .unwrap_or_else(|e| Err(lost(e)))
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let guarded = middleware::from_fn_with_state(shared.clone(), guard);
    Router::new()
        .route("/", get(page))
        .route(
            "/page.js",
            get(|| file("text/javascript; charset=utf-8", SCRIPT)),
        )
        .route("/page.css", get(|| file("text/css; charset=utf-8", STYLE)))
        .route("/api/run", get(run))
        .route("/api/rows", get(rows))
        .route("/api/plot", get(plot))
        .route("/api/row", get(row))
        .route("/api/place", get(place))
        .route("/api/template", get(template))
        .route("/api/map", get(map))
        .route("/api/decide", post(decide))
        .route("/api/progress", get(progress))
        .route("/api/export", get(export))
        .layer(guarded)
        .with_state(shared)
}

async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut answer = match allowed(&shared.token, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(Refused(status, why)) => (status, why).into_response(),
    };
    let said = [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
          img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ];
    for (name, value) in said {
        let name = HeaderName::from_static(name);
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn page(State(shared): State<Arc<Shared>>) -> Response {
    let text = HTML.replace("TOKEN", &shared.token);
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

#[derive(Serialize)]
struct ColumnShown<'a> {
    name: &'a str,
    number: bool,
    unit: &'a str,
    meaning: &'a str,
}

async fn run(State(shared): State<Arc<Shared>>) -> Answer<Response> {
    blocking(shared, |s| {
        let table = &s.session.table;
        let columns: Vec<ColumnShown<'_>> = table
            .fields()
            .map(|f| ColumnShown {
                name: f.name(),
                number: f.data_type().is_numeric(),
                unit: f.metadata().get("unit").map_or("", String::as_str),
                meaning: f.metadata().get("description").map_or("", String::as_str),
            })
            .collect();
        let shape = |l: Shape| match l {
            Shape::Emission => "emission",
            Shape::Absorption => "absorption",
            Shape::Both => "both",
        };
        let lines: Vec<_> = LINES
            .iter()
            .map(|l| json!([l.name, l.wave, shape(l.look)]))
            .collect();
        let name = table
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        Ok(Json(json!({
            "name": name,
            "rows": table.len(),
            "columns": columns,
            "lines": lines,
            "orders": ORDERS,
            "warnings": s.session.warnings(),
            "inspector": s.session.inspector,
            "decisions": s.session.path.display().to_string(),
            "version": env!("CARGO_PKG_VERSION"),
            "command": table.key("command"),
        }))
        .into_response())
    })
    .await
}

/// A question about some rows.
#[derive(Deserialize)]
#[serde(default)]
struct Rows {
    /// As JSON; empty: all.
    q: String,
    inspector: String,
    from: usize,
    n: usize,
    /// Names with commas.
    columns: String,
    x: String,
    y: String,
}

impl Default for Rows {
    fn default() -> Rows {
        let (q, inspector, columns) = Default::default();
        let (x, y) = Default::default();
        Rows {
            q,
            inspector,
            from: 0,
            n: 100,
            columns,
            x,
            y,
        }
    }
}

impl Rows {
    fn query(&self) -> Answer<Query> {
        if self.q.is_empty() {
            return Ok(Query::default());
        }
        let bad = |e: serde_json::Error| Failed(StatusCode::BAD_REQUEST, format!("q: {e}"));
        serde_json::from_str(&self.q).map_err(bad)
    }
}

/// A page of the table as an Arrow stream; its header says how many rows there are in all.
async fn rows(State(shared): State<Arc<Shared>>, Asked(r): Asked<Rows>) -> Answer<Response> {
    blocking(shared, move |s| {
        let all = s.session.rows(&r.query()?, &r.inspector)?;
        let from = r.from.min(all.len());
        let some = &all[from..(from + r.n.min(PAGE)).min(all.len())];
        let names: Vec<String> = r
            .columns
            .split(',')
            .filter(|c| !c.is_empty())
            .map(str::to_owned)
            .collect();
        let batch = s.session.table.take(some, &names)?;
        let bad =
            |e: arrow_schema::ArrowError| Failed(StatusCode::INTERNAL_SERVER_ERROR, e.to_string());
        let mut bytes = Cursor::new(Vec::new());
        let mut out = StreamWriter::try_new(&mut bytes, &batch.schema()).map_err(bad)?;
        out.write(&batch).and_then(|()| out.finish()).map_err(bad)?;
        drop(out);
        let mine = s.session.mine(&r.inspector);
        let decided: Vec<Option<&u8>> = some.iter().map(|row| mine.get(row)).collect();
        let decided = serde_json::to_string(&decided).unwrap_or_default();
        let head = [
            (
                "content-type",
                "application/vnd.apache.arrow.stream".to_owned(),
            ),
            ("x-rows", all.len().to_string()),
            ("x-decided", decided),
        ];
        Ok((head, bytes.into_inner()).into_response())
    })
    .await
}

async fn plot(State(shared): State<Arc<Shared>>, Asked(r): Asked<Rows>) -> Answer<Response> {
    blocking(shared, move |s| {
        let all = s.session.rows(&r.query()?, &r.inspector)?;
        let y = Some(r.y.as_str()).filter(|y| !y.is_empty());
        Ok(Json(bins::plot(&s.session.table, &all, &r.x, y)?).into_response())
    })
    .await
}

#[derive(Deserialize)]
struct One {
    row: u32,
    #[serde(default)]
    class: String,
    #[serde(default)]
    z: f64,
    #[serde(default)]
    q: String,
    #[serde(default)]
    inspector: String,
}

async fn row(State(shared): State<Arc<Shared>>, Asked(o): Asked<One>) -> Answer<Response> {
    blocking(shared, move |s| {
        Ok(Json(s.session.show(o.row)?).into_response())
    })
    .await
}

/// Where a row stands in a view; null if it is not in it.
async fn place(State(shared): State<Arc<Shared>>, Asked(o): Asked<One>) -> Answer<Response> {
    blocking(shared, move |s| {
        let r = Rows {
            q: o.q,
            ..Rows::default()
        };
        let all = s.session.rows(&r.query()?, &o.inspector)?;
        Ok(Json(all.iter().position(|x| *x == o.row)).into_response())
    })
    .await
}

fn said(why: String) -> Failed {
    Failed(StatusCode::NOT_FOUND, why)
}

async fn template(State(shared): State<Arc<Shared>>, Asked(o): Asked<One>) -> Answer<Response> {
    blocking(shared, move |s| {
        let (path, hdu, row) = s.session.source(o.row).map_err(said)?;
        let look = s.session.look().map_err(said)?;
        Ok(Json(
            look.template(&path, (hdu, row), &o.class, o.z)
                .map_err(said)?,
        )
        .into_response())
    })
    .await
}

async fn map(State(shared): State<Arc<Shared>>, Asked(o): Asked<One>) -> Answer<Response> {
    blocking(shared, move |s| {
        let (path, _, row) = s.session.source(o.row).map_err(said)?;
        Ok(Json(
            s.session
                .look()
                .and_then(|l| l.map(&path, row))
                .map_err(said)?,
        )
        .into_response())
    })
    .await
}

#[derive(Deserialize)]
struct Decide {
    inspector: String,
    #[serde(default)]
    withdraw: bool,
    decision: Said,
}

async fn decide(State(shared): State<Arc<Shared>>, Json(d): Json<Decide>) -> Answer<Response> {
    blocking(shared, move |s| {
        s.session.decide(&d.decision, &d.inspector, d.withdraw)?;
        let shown = s.session.show_decisions(d.decision.row);
        let progress = s.session.progress(d.inspector.trim());
        Ok(Json(json!({ "progress": progress, "decisions": shown })).into_response())
    })
    .await
}

#[derive(Deserialize)]
#[serde(default)]
struct Export {
    inspector: String,
    layout: Layout,
    format: String,
}

impl Default for Export {
    fn default() -> Export {
        Export {
            inspector: String::new(),
            layout: Layout::Own,
            format: "csv".into(),
        }
    }
}

async fn progress(State(shared): State<Arc<Shared>>, Asked(o): Asked<Export>) -> Answer<Response> {
    blocking(shared, move |s| {
        s.session.refresh()?;
        Ok(Json(s.session.progress(&o.inspector)).into_response())
    })
    .await
}

/// All decisions as a file to keep.
async fn export(State(shared): State<Arc<Shared>>, Asked(o): Asked<Export>) -> Answer<Response> {
    blocking(shared, move |s| {
        s.session.refresh()?;
        let all = s.session.decisions();
        let (bytes, kind) = match o.format.as_str() {
            "csv" => {
                let bytes = decisions::csv(&all, &s.session.path, o.layout);
                (bytes.map_err(|e| said(e.to_string()))?, "text/csv")
            }
            "parquet" => (
                decisions::parquet(&all, &s.session.path, o.layout)?,
                "application/vnd.apache.parquet",
            ),
            other => return Err(said(format!("format '{other}': expected csv or parquet"))),
        };
        let stem = s
            .session
            .path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        };
        let name: String = stem.chars().map(safe).collect();
        let name = format!("attachment; filename=\"{name}.{}\"", o.format);
        let head = [
            ("content-type", kind.to_owned()),
            ("content-disposition", name),
        ];
        Ok((head, bytes).into_response())
    })
    .await
}
