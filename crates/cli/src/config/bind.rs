//! Where the process may listen: without authentication, only on the loopback interface.

use std::net::IpAddr;

use jiff::tz::TimeZone;

use super::{AuthMode, Config};

/// Combinations of settings that are refused.
pub(super) fn check(config: &Config) -> Result<(), String> {
    if config.http.host.trim().is_empty() {
        return Err("`http.host` is empty; 127.0.0.1 is this machine alone, 0.0.0.0 every network".to_owned());
    }
    if TimeZone::get(&config.zone).is_err() {
        return Err(format!("`zone`: there is no time zone `{}`; one is e.g. Asia/Seoul", config.zone));
    }
    if config.auth.mode == AuthMode::Demo && !is_loopback(&config.http.host) && !config.auth.allow_remote {
        return Err(format!(
            "`http.host` is {}, and with `auth.mode` = demo every client that reaches it may do everything; \
             stay on 127.0.0.1, or set `auth.allow_remote` = true if that is intended",
            config.http.host
        ));
    }
    Ok(())
}

/// Whether only this machine can reach that address.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, allow_remote: bool) -> Result<(), String> {
        let mut config = Config::default();
        host.clone_into(&mut config.http.host);
        config.auth.allow_remote = allow_remote;
        check(&config)
    }

    #[test]
    fn the_demo_mode_stays_on_this_machine_unless_told_otherwise() {
        for host in ["127.0.0.1", "localhost", "::1", "[::1]", "127.9.9.9"] {
            assert_eq!(at(host, false), Ok(()), "{host}");
        }
        for host in ["0.0.0.0", "::", "192.168.0.7", "example.com"] {
            assert!(at(host, false).unwrap_err().contains("auth.allow_remote"), "{host}");
            assert_eq!(at(host, true), Ok(()));
        }
    }

    #[test]
    fn a_zone_that_does_not_exist_is_named() {
        let config = Config { zone: "Asia/Soul".into(), ..Config::default() };
        assert!(check(&config).unwrap_err().contains("Asia/Soul"));
    }
}
