//! The two servers: the product's, and the one for machines that watch.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::HttpService;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
use actix_web::dev::{AppConfig, Server, ServerHandle, fn_service};
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, Data};
use actix_web::{App as ActixApp, HttpServer};
use tokio::net::TcpSocket;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use super::connection::{self, Connection, Patience};
use super::rate::RateLimit;
use super::{
    access_report, admin, answer, break_glass, cors, documents, facets, freshness, health, openapi, operations, pacing,
    pages, patients, records, request, search, similar, subscriptions, webhooks, well_known, whoami,
};
use crate::access::Upkeep;
use crate::app::App;

const SHUTDOWN_TIMEOUT_S: u64 = 30;
/// For the end of a connection, once all is said.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections that wait to be taken up.
const BACKLOG: u32 = 1024;

/// Both servers, bound and running once awaited.
pub struct Serving {
    pub address: SocketAddr,
    pub operations_address: SocketAddr,
    pub handles: [ServerHandle; 2],
    pub running: [Server; 2],
}

/// Every route of the product: the one list that the OpenAPI document is made from.
fn routes(config: &mut ServiceConfig) {
    config
        .service(search::search)
        .service(facets::count)
        .service(answer::answer_question)
        .service(patients::list_patients)
        .service(patients::read_context)
        .service(documents::read_document)
        .service(documents::read_original)
        .service(similar::find_similar)
        .service(freshness::read_freshness)
        .service(whoami::read_whoami)
        .service(records::receive_records)
        .service(records::read_receipt)
        .service(subscriptions::receive_notification)
        .service(subscriptions::receive_resource)
        .service(subscriptions::receive_deletion)
        .service(webhooks::receive_webhook)
        .service(admin::sources::list_sources)
        .service(admin::sources::declare_source)
        .service(admin::quarantine::list_quarantine)
        .service(admin::quarantine::read_quarantined_bytes)
        .service(admin::quarantine::replay_quarantined)
        .service(admin::findings::list_findings)
        .service(admin::jobs::queue_reindex)
        .service(admin::jobs::list_jobs)
        .service(admin::jobs::read_job)
        .service(admin::jobs::cancel_job)
        .service(admin::access::set_roster)
        .service(admin::access::read_roster)
        .service(admin::access::remove_roster)
        .service(admin::access::revoke)
        .service(admin::access::list_break_glass)
        .service(break_glass::break_glass)
        .service(admin::audit::read_audit)
        .service(admin::erasure::erase_patient)
        .service(admin::erasure::read_erasure)
        .service(admin::erasure::place_legal_hold)
        .service(admin::erasure::lift_legal_hold)
        .service(access_report::read_access_report)
        .service(well_known::read_smart_configuration)
        .service(well_known::read_protected_resource)
        .service(health::read_live)
        .service(health::read_ready);
}

/// The OpenAPI 3.1 document of exactly the routes that are served.
pub fn openapi_document() -> OpenApi {
    let (_, mut document) = ActixApp::new().into_utoipa_app().configure(routes).split_for_parts();
    let mut base = openapi::base();
    std::mem::swap(&mut base.paths, &mut document.paths);
    if let (Some(all), Some(found)) = (base.components.as_mut(), document.components) {
        all.schemas = found.schemas;
    }
    openapi::add_faults(&mut base);
    base
}

/// Binds both ports. `upkeep` is for the gauges on the watchers' port.
pub fn serve(app: Data<App>, upkeep: Upkeep) -> io::Result<Serving> {
    let listener = listen(app.config.listen)?;
    let address = listener.local_addr()?;
    let product = serve_product(app.clone(), listener)?;
    let operations_listen = app.config.operations_listen;
    let upkeep = Data::new(upkeep);
    let watchers = HttpServer::new(move || {
        ActixApp::new()
            .app_data(app.clone())
            .app_data(upkeep.clone())
            .service(operations::health)
            .service(operations::metrics)
    })
    .workers(1)
    .disable_signals()
    .bind(operations_listen)?;
    let operations_address = watchers.addrs().first().copied().unwrap_or(operations_listen);
    let running = [product, watchers.run()];
    let handles = [running[0].handle(), running[1].handle()];
    Ok(Serving { address, operations_address, handles, running })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

fn serve_product(app: Data<App>, listener: TcpListener) -> io::Result<Server> {
    let document = Data::new(openapi_document());
    let limit = Data::new(RateLimit::new(app.config.access.requests_per_minute));
    let server = Server::build().disable_signals().shutdown_timeout(SHUTDOWN_TIMEOUT_S);
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("product", listener, move || {
        let patience = Patience::from(&app.config.http);
        let origins = &app.config.http.allowed_origins;
        let (actix, _) = ActixApp::new().into_utoipa_app().configure(routes).split_for_parts();
        let actix = actix
            .app_data(app.clone())
            .app_data(document.clone())
            .app_data(limit.clone())
            .app_data(request::json_config())
            .app_data(request::path_config())
            .app_data(request::query_config())
            .route("/openapi.json", web::get().to(openapi::serve))
            .default_service(web::route().to(pages::page))
            .wrap(from_fn(request::authenticate))
            .wrap(Condition::new(!origins.is_empty(), cors::rules(origins)))
            .wrap(from_fn(request::dress))
            .wrap(from_fn(pacing::pace))
            .wrap(from_fn(connection::note_use))
            .into_factory()
            .map_err(|error| error.error_response());
        let stopping = stopping.clone();
        let http = HttpService::build()
            .keep_alive(patience.keep_alive)
            .client_request_timeout(patience.head)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|connection: &Connection, known| {
                known.insert(connection.pulse());
            })
            .finish(map_config(actix, |()| AppConfig::default()));
        let tls = app.tls.clone();
        fn_service(move |socket| connection::accept(socket, tls.clone(), patience)).and_then(http)
    })?;
    Ok(server.run())
}
