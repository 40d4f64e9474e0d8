//! Whose pages may ask from a browser: each is named in full, so that nobody comes in by a pattern.

use reqwest::Url;

use super::StartError;

/// Errors: an origin that no browser would send, or that anybody could have.
pub(super) fn check(origins: &[String]) -> Result<(), StartError> {
    match origins.iter().find(|origin| !is_origin(origin)) {
        None => Ok(()),
        Some(origin) => {
            let why = format!("http: {origin} is no origin as a browser sends it: https://name[:port]");
            Err(StartError::Configuration(why))
        }
    }
}

/// `https://name[:port]` in lower case, or `http` on this machine; no path, no pattern, not `null`.
fn is_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let is_secured = url.scheme() == "https" || (url.scheme() == "http" && is_here);
    is_secured && !text.contains('*') && url.origin().ascii_serialization() == text
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn an_origin_is_a_scheme_a_name_and_perhaps_a_port() {
        for origin in ["https://crm.example.org", "https://crm.example.org:8443", "http://localhost:5173"] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in [
            "*",
            "null",
            "",
            "crm.example.org",
            "https://*.example.org",
            "https://crm.example.org/",
            "https://crm.example.org/app",
            "https://CRM.example.org",
            "https://crm.example.org:443",
            "https://user@crm.example.org",
            "http://crm.example.org",
            "http://localhost.example.org",
            "file:///etc",
        ] {
            assert!(!is_origin(other), "{other}");
        }
    }
}
