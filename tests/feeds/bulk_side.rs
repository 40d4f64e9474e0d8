//! The bulk export of the tests' FHIR server: snapshots, files with ranges, exports that are lost.

use std::collections::BTreeMap;
use std::io::Write;

use actix_web::web::{Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::mock::{Shared, admit, answer};
use crate::world::{State, TYPES};

#[derive(Default)]
pub struct Exports {
    pub begun: Vec<Export>,
    pub discarded: Vec<usize>,
    /// Times the status says "not yet".
    pub waits: usize,
    pub packs: bool,
    /// Files that are handed out before an export is lost; `None`: none is.
    pub lost_after: Option<usize>,
    pub requires_token: bool,
    /// `Range` of each request for a file.
    pub ranges: Vec<Option<String>>,
}

pub struct Export {
    pub since: Option<Timestamp>,
    at: Timestamp,
    files: Vec<(&'static str, Vec<u8>)>,
    waited: usize,
    is_lost: bool,
}

pub async fn kick_off(
    shared: Shared,
    request: HttpRequest,
    parameters: Query<BTreeMap<String, String>>,
) -> HttpResponse {
    if let Err(no) = admit(&shared, &request, "export") {
        return no;
    }
    assert_eq!(request.headers().get("prefer").unwrap(), "respond-async");
    let since: Option<Timestamp> = parameters.get("_since").map(|text| text.parse().unwrap());
    let mut side = shared.lock().unwrap();
    let latest: Vec<State> = side.world.latest().into_values().collect();
    let changed: Vec<&State> = latest.iter().filter(|state| Some(state.at) >= since).collect();
    let lines = |wanted: &dyn Fn(&State) -> Option<String>| -> Vec<u8> {
        let lines: Vec<String> = changed.iter().filter_map(|state| wanted(state)).collect();
        lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
    };
    let of_type = |name: &str| {
        lines(&|state| state.body.as_ref().filter(|body| body["resourceType"] == name).map(ToString::to_string))
    };
    let gone = lines(&|state| {
        let entry = json!({"request": {"method": "DELETE", "url": state.key}});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
        (state.body.is_none() && since.is_some()).then(|| bundle.to_string())
    });
    let mut files: Vec<(&'static str, Vec<u8>)> = TYPES.iter().map(|name| ("output", of_type(name))).collect();
    files.push(("deleted", gone));
    files.push(("error", b"{\"resourceType\":\"OperationOutcome\",\"issue\":[]}\n".to_vec()));
    let at = Timestamp::now() - SignedDuration::from_millis(1);
    side.exports.begun.push(Export { since, at, files, waited: 0, is_lost: false });
    let place = format!("{}/fhir/bulk/{}", base(&request), side.exports.begun.len() - 1);
    HttpResponse::Accepted().insert_header(("content-location", place)).finish()
}

/// The address that the asker reached us by.
fn base(request: &HttpRequest) -> String {
    let info = request.connection_info();
    format!("{}://{}", info.scheme(), info.host())
}

pub async fn status(shared: Shared, request: HttpRequest, number: Path<usize>) -> HttpResponse {
    let fate = match admit(&shared, &request, "export status") {
        Ok(fate) => fate,
        Err(no) => return no,
    };
    let base = base(&request);
    let body = {
        let mut side = shared.lock().unwrap();
        let (waits, requires_token) = (side.exports.waits, side.exports.requires_token);
        let Some(export) = side.exports.begun.get_mut(*number).filter(|export| !export.is_lost) else {
            return HttpResponse::NotFound().finish();
        };
        export.waited += 1;
        if export.waited <= waits {
            return HttpResponse::Accepted().insert_header(("retry-after", "0")).finish();
        }
        let list = |part: &str| -> Vec<serde_json::Value> {
            let files = export.files.iter().enumerate().filter(|(_, (name, _))| *name == part);
            files.map(|(file, _)| json!({"type": "Any", "url": format!("{base}/fhir/files/{number}/{file}")})).collect()
        };
        json!({"transactionTime": export.at.to_string(), "request": "r", "requiresAccessToken": requires_token,
               "output": list("output"), "deleted": list("deleted"), "error": list("error")})
    };
    answer(fate, HttpResponse::Ok(), body.to_string().into_bytes()).await
}

pub async fn discard(shared: Shared, number: Path<usize>) -> HttpResponse {
    shared.lock().unwrap().exports.discarded.push(*number);
    HttpResponse::Accepted().finish()
}

pub async fn file(shared: Shared, request: HttpRequest, path: Path<(usize, usize)>) -> HttpResponse {
    let fate = match admit(&shared, &request, "file") {
        Ok(fate) => fate,
        Err(no) => return no,
    };
    let range = request.headers().get("range").map(|range| range.to_str().unwrap().to_owned());
    let takes_gzip = request.headers().get("accept-encoding").is_some_and(|value| value == "gzip");
    let (bytes, packs) = {
        let mut side = shared.lock().unwrap();
        side.exports.ranges.push(range.clone());
        let packs = side.exports.packs && takes_gzip;
        if let Some(left) = side.exports.lost_after {
            side.exports.lost_after = left.checked_sub(1);
            if left == 0 {
                side.exports.begun[path.0].is_lost = true;
            }
        }
        match side.exports.begun.get(path.0) {
            Some(export) if !export.is_lost => (export.files[path.1].1.clone(), packs),
            _ => return HttpResponse::Gone().finish(),
        }
    };
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let Some(from) = from else {
        let mut response = HttpResponse::Ok();
        if !packs {
            return answer(fate, response, bytes).await;
        }
        response.insert_header(("content-encoding", "gzip"));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).unwrap();
        return answer(fate, response, encoder.finish().unwrap()).await;
    };
    if from >= bytes.len() {
        let all = format!("bytes */{}", bytes.len());
        return HttpResponse::RangeNotSatisfiable().insert_header(("content-range", all)).finish();
    }
    let mut response = HttpResponse::PartialContent();
    response.insert_header(("content-range", format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len())));
    answer(fate, response, bytes[from..].to_vec()).await
}
