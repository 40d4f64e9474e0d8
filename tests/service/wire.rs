//! What comes on the wire itself: messages whose end can't be told, and clients that take their time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::{FHIR, Server};
use crate::tokens::{self, READER, SENDER};

/// Long beyond any time-out that is set here, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
const SMUGGLED: &str = "GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n";

/// A service that waits for nobody for long.
async fn impatient() -> Server {
    Server::idle(|config| {
        config.http.head_timeout_ms = 3_000;
        config.http.keep_alive_ms = 500;
        config.http.body_timeout_ms = 1_000;
        config.http.answer_timeout_ms = 1_000;
    })
    .await
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that comes back for these bytes until the server ends the connection.
async fn talk(address: SocketAddr, bytes: Vec<u8>) -> String {
    let talking = tokio::task::spawn_blocking(move || {
        let mut stream = connect(address);
        // The server may have heard enough before the end.
        let _ = stream.write_all(&bytes);
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let (sent, answer) = (String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&answer));
                panic!("the connection is still open after {sent} was answered with {answer}")
            }
            _ => String::from_utf8_lossy(&answer).into_owned(),
        }
    });
    talking.await.unwrap()
}

/// Sends a beginning, then a byte again and again, until the server ends the connection; gives what came back.
async fn dribble(address: SocketAddr, beginning: Vec<u8>) -> String {
    let dribbling = tokio::task::spawn_blocking(move || {
        let mut stream = connect(address);
        stream.write_all(&beginning).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(40))).unwrap();
        let (mut answer, mut part, begun) = (Vec::new(), [0; 4096], Instant::now());
        while begun.elapsed() < PATIENCE {
            match stream.read(&mut part) {
                Ok(0) => return String::from_utf8_lossy(&answer).into_owned(),
                Ok(read) => answer.extend_from_slice(&part[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return String::from_utf8_lossy(&answer).into_owned(),
            }
            // A server that has ended it says so at the next read.
            let _ = stream.write_all(b"a");
        }
        panic!("the connection is still open");
    });
    dribbling.await.unwrap()
}

/// A whole request at once, which no time-out meets.
async fn goes_on(server: &Server) {
    assert_eq!(statuses(&talk(server.address, SMUGGLED.into()).await), ["200"]);
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| answer.get(..3).unwrap()).collect()
}

/// A search with a good token and these lines in its head, then what follows the head.
fn search(lines: &str, rest: &str) -> Vec<u8> {
    let token = tokens::mint(READER);
    let head = "POST /v1/search HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nAuthorization: Bearer";
    format!("{head} {token}\r\n{lines}\r\n\r\n{rest}").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_end_is_in_doubt_is_refused_and_nothing_after_it_is_read() {
    let server = impatient().await;
    let body = "{\"query\":\"x\"}";
    let whole = search(&format!("Content-Length: {}", body.len()), &format!("{body}{SMUGGLED}"));
    assert_eq!(statuses(&talk(server.address, whole).await), ["200", "200"], "two good requests are two");
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n{SMUGGLED}", body.len());
    let good = search("Transfer-Encoding: chunked", &chunked);
    assert_eq!(statuses(&talk(server.address, good).await), ["200", "200"], "and in chunks");
    for lines in [
        "Content-Length: 13\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 13",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 13\r\nContent-Length: 14",
        "Content-Length: 13\r\nContent-Length: 13",
        "Content-Length: 13, 13",
        "Content-Length: +13",
        "Content-Length: -13",
        "Content-Length: 0x0d",
        "Content-Length: 1 3",
        "Content-Length: ",
        "Content-Length: 99999999999999999999999999",
        "Content-Length : 13",
        "Content-Length\t: 13",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: chunked\u{b}",
        "Content-Length: 13\r\nHost: there",
        "X-Odd: a\u{0}b\r\nContent-Length: 13",
        "X-Odd: a\rContent-Length: 13",
        ": nameless\r\nContent-Length: 13",
    ] {
        let answers = talk(server.address, search(lines, &format!("{body}{SMUGGLED}"))).await;
        assert_eq!(statuses(&answers), ["400"], "{lines:?}: {answers}");
    }
    let old = String::from_utf8(search("Transfer-Encoding: chunked", &chunked)).unwrap();
    let old = old.replacen("HTTP/1.1", "HTTP/1.0", 1).into_bytes();
    assert_eq!(statuses(&talk(server.address, old).await.replace("HTTP/1.0", "HTTP/1.1")), ["400"]);
    let hostless = format!("GET /health/live HTTP/1.1\r\n\r\n{SMUGGLED}").into_bytes();
    assert_eq!(statuses(&talk(server.address, hostless).await), ["400"]);
    goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_chunks_that_make_no_sense_is_refused_and_nothing_after_it_is_read() {
    let server = impatient().await;
    for chunks in ["zz\r\nx\r\n", "-1\r\nx\r\n", "fffffffffffffffff\r\nx\r\n", "2\r\n{}x\r\n", "2 2\r\n{}\r\n", "\r\n"]
    {
        let rest = format!("{chunks}0\r\n\r\n{SMUGGLED}");
        let answers = talk(server.address, search("Transfer-Encoding: chunked", &rest)).await;
        // Where the head and the first chunk come together, the server ends the connection without a word.
        assert!(["", "400"].contains(&&*statuses(&answers).concat()), "{chunks:?}: {answers}");
    }
    goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_read_is_no_request() {
    let server = impatient().await;
    for lines in [format!("Content-Length: {}", SMUGGLED.len()), "Content-Length: 100000000".to_owned()] {
        let head = format!("POST /v1/search HTTP/1.1\r\nHost: here\r\n{lines}\r\n\r\n");
        let answers = talk(server.address, format!("{head}{SMUGGLED}").into_bytes()).await;
        assert_eq!(statuses(&answers), ["401"], "{answers}");
    }
    goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_its_limits() {
    let server = impatient().await;
    let get = |path: &str, lines: &str| format!("GET {path} HTTP/1.1\r\nHost: here\r\n{lines}\r\n").into_bytes();
    let full = get("/health/live", &format!("X-Long: {}\r\n", "a".repeat(60_000)));
    assert_eq!(statuses(&talk(server.address, full).await), ["200"]);
    let many = get("/health/live", &"X-Many: a\r\n".repeat(90));
    assert_eq!(statuses(&talk(server.address, many).await), ["200"]);
    for head in [
        get("/health/live", &format!("X-Long: {}\r\n", "a".repeat(200_000))),
        get("/health/live", &"X-Many: a\r\n".repeat(200)),
        get(&format!("/{}", "a".repeat(200_000)), ""),
        get(&format!("/{}", "a".repeat(70_000)), ""),
    ] {
        let answers = talk(server.address, [head, SMUGGLED.into()].concat()).await;
        let [status] = statuses(&answers)[..] else { panic!("{answers}") };
        assert!(["400", "414", "431"].contains(&status), "{answers}");
    }
    goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_a_request_and_never_ends_it_is_let_go() {
    let server = impatient().await;
    let head = "GET /health/live HTTP/1.1\r\nHost: here\r\nX-Endless: ";
    assert_eq!(statuses(&talk(server.address, Vec::new()).await), ["408"], "nothing was sent");
    assert_eq!(statuses(&dribble(server.address, head.into()).await), ["408"], "the first request");
    let second = format!("{SMUGGLED}{head}");
    assert_eq!(statuses(&dribble(server.address, second.into()).await), ["200"], "the second");
    assert_eq!(statuses(&dribble(server.address, SMUGGLED.into()).await), ["200"], "the first byte of the second");
    goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_dribbles_is_not_waited_for() {
    let server = impatient().await;
    let sender = tokens::mint(SENDER);
    let records = format!(
        "POST /v1/sources/ehr/records HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {sender}\r\n\
         Content-Type: {FHIR}\r\nContent-Length: 100000\r\n\r\n"
    );
    for request in [search("Content-Length: 100000", "{\"query\": \""), records.into_bytes()] {
        let answers = dribble(server.address, request).await;
        assert_eq!(statuses(&answers), ["408"], "{answers}");
        assert!(answers.contains("\"code\":\"request_timeout\""), "{answers}");
    }
    goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_of_an_answer_is_let_go() {
    let server = impatient().await;
    let address = server.address;
    let asking = tokio::task::spawn_blocking(move || {
        let mut stream = connect(address);
        let ask = b"GET /openapi.json HTTP/1.1\r\nHost: here\r\n\r\n";
        let begun = Instant::now();
        // Once no more answers fit on the way, no more is read either, and writing fails when the server ends it.
        stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        while begun.elapsed() < PATIENCE {
            match stream.write_all(ask) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
        panic!("the connection is still open");
    });
    asking.await.unwrap();
    goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_one_request_after_another() {
    let server = Server::idle(|_| {}).await;
    let answers = talk(server.address, SMUGGLED.repeat(40).into_bytes()).await;
    assert_eq!(statuses(&answers), vec!["200"; 40]);
}
