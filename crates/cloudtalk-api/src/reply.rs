//! Answers and their envelopes.

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use store::directory::{Listed, Page};

/// A JSON answer, whatever the client said it accepts.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=UTF-8"),
    );
    response
}

/// One thing, or several without pages.
pub(crate) fn data(data: Value) -> Response {
    json(StatusCode::OK, &json!({"responseData": data}))
}

/// A page of a list. `limit` is what is on this page, as the original answers.
pub(crate) fn list<T>(listed: Listed<T>, page: Page, item: impl FnMut(T) -> Value) -> Response {
    let pages = listed.total.div_ceil(page.limit.max(1)).max(1);
    let count = listed.rows.len();
    let rows: Vec<Value> = listed.rows.into_iter().map(item).collect();
    data(json!({
        "itemsCount": listed.total,
        "pageCount": pages,
        "pageNumber": page.number,
        "limit": count,
        "data": rows,
    }))
}

/// Something was made. Ids are integers here and strings everywhere else.
pub(crate) fn created(id: i64) -> Response {
    json(
        StatusCode::CREATED,
        &json!({"responseData": {"status": 201, "data": {"id": id}}}),
    )
}

/// It is done.
pub(crate) fn done() -> Response {
    data(json!({"status": 200}))
}
