//! Addresses: where requests go, and whether a key may go there.

use std::net::IpAddr;

use reqwest::Url;

use crate::domain::Preset;
use crate::engine::api::preset;
use crate::suite::Section;

/// Reads `base_url`, or takes the service's own; empty where a server is started. `known` is whether one is, whether a key
/// is sent, and the region.
pub(super) fn read(section: &Section<'_>, preset: Preset, known: (bool, bool, Option<&str>)) -> String {
    let (started, keyed, region) = known;
    let insecure = section.flag("insecure").unwrap_or(false);
    let Some(given) = section.text("base_url") else {
        if started || section.has("base_url") {
            return String::new();
        }
        return preset::base_url(preset, region).unwrap_or_else(|| {
            // Without its region, a cloud's address is missing something else, which is told elsewhere.
            if !matches!(preset, Preset::Bedrock | Preset::Vertex) {
                let hint = "give its address: base_url = \"https://host/v1\"";
                section.fault(format!("{} has no `base_url`", section.name()), Some(hint));
            }
            String::new()
        });
    };
    if started {
        let hint = "a server that is started has an address of its own: remove `base_url`, or what starts a server";
        section.fault_at("base_url", format!("{} has a `base_url` and a server to start", section.name()), Some(hint));
    }
    let address = given.trim_end_matches('/');
    if let Err((message, hint)) = check(&given, keyed && !insecure) {
        section.fault_at("base_url", message, Some(hint));
    } else if let Some(path) = OPERATIONS.iter().find(|path| address.ends_with(**path)) {
        let message = format!("`base_url` goes on to `{path}`, which is added to it");
        let hint = format!("it ends before that: base_url = \"{}\"", address.trim_end_matches(path).trim_end_matches('/'));
        section.fault_at("base_url", message, Some(&hint));
    }
    address.to_owned()
}

/// Where requests go, behind a base URL: often copied along with it.
const OPERATIONS: [&str; 7] =
    ["/chat/completions", "/completions", "/completion", "/models", "/v1/messages", "/api/chat", "/api/generate"];

/// Checks an address; `keyed`: whether a key would be sent there.
fn check(given: &str, keyed: bool) -> Result<(), (String, &'static str)> {
    const FORM: &str = "an address reads https://host/path, or http://host:port/path on a network of your own";
    let url = Url::parse(given).map_err(|fault| (format!("`base_url` is no address: {fault}"), FORM))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err((format!("`base_url` begins with {}, not with http or https", url.scheme()), FORM));
    }
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err(("`base_url` names no host".to_owned(), FORM));
    };
    if !url.username().is_empty() || url.password().is_some() {
        let hint = "name the environment variable that holds the key with `key_env`";
        return Err(("`base_url` has a name or a password in it".to_owned(), hint));
    }
    if url.query().is_some() || url.fragment().is_some() {
        let hint = "a version of the API goes to `api_version`, other parameters are not sent";
        return Err(("`base_url` has something behind its path".to_owned(), hint));
    }
    if url.scheme() == "http" && keyed && !is_near(host) {
        let hint = "use https; `insecure = true` sends it all the same";
        return Err((format!("the key would travel to {host} in clear text"), hint));
    }
    Ok(())
}

/// Whether a host is this machine or on a network of one's own, as far as its name or address tells.
pub(super) fn is_near(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_lowercase();
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            let shared = address.octets()[0] == 100 && (64..128).contains(&address.octets()[1]);
            address.is_loopback() || address.is_private() || address.is_link_local() || shared
        }
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
        // A name without a dot is resolved by this machine or by its own network.
        Err(_) => !host.contains('.') || [".local", ".internal", ".lan", ".localhost"].iter().any(|end| host.ends_with(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_and_a_host_and_no_credentials() {
        let good = [
            "https://api.example.com/v1",
            "http://localhost:8000/v1",
            "http://vllm:8000",
            "http://[::1]:8080",
            "http://10.0.0.7",
        ];
        for address in good {
            assert_eq!(check(address, true), Ok(()), "{address}");
        }
        let bad = [
            ("localhost:8000", "begins with localhost"),
            ("api.example.com/v1", "no address"),
            ("ftp://host", "begins with ftp"),
            ("https://me:word@host/v1", "a name or a password"),
            ("https://host/v1?api-version=1", "behind its path"),
            ("http://api.example.com/v1", "in clear text"),
            ("http://8.8.8.8/v1", "in clear text"),
        ];
        for (address, part) in bad {
            let (message, _) = check(address, true).expect_err(address);
            assert!(message.contains(part), "{address}: {message}");
        }
        assert_eq!(check("http://api.example.com/v1", false), Ok(()), "without a key nothing is given away");
    }
}
