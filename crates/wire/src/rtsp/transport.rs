//! The `Transport` field: how the packets of one media are to travel.
//!
//! Never refuses what it can understand: unknown parameters are skipped, unreadable numbers are taken as absent.

use std::fmt;

use super::ValueError;
use crate::text::{split_trim, unquote};

/// Lower layer of the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lower {
    /// Interleaved in the RTSP connection.
    Tcp,
    /// Datagrams of their own.
    Udp,
}

/// Whether the packets come to us alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cast {
    /// To us alone.
    Unicast,
    /// To a group.
    Multicast,
}

/// One transport specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// Protocol and profile, `RTP/AVP` as a rule.
    pub profile: String,
    /// Lower layer; UDP when not said.
    pub lower: Lower,
    /// Unicast or multicast, when said.
    pub cast: Option<Cast>,
    /// Channels of RTP and RTCP in the connection.
    pub interleaved: Option<(u8, u8)>,
    /// Our ports of RTP and RTCP.
    pub client_port: Option<(u16, u16)>,
    /// The server's ports of RTP and RTCP.
    pub server_port: Option<(u16, u16)>,
    /// Ports of the group (multicast).
    pub port: Option<(u16, u16)>,
    /// Address the packets come from.
    pub source: Option<String>,
    /// Address the packets go to.
    pub destination: Option<String>,
    /// Time to live of multicast packets.
    pub ttl: Option<u8>,
    /// Synchronisation source of the RTP packets.
    pub ssrc: Option<u32>,
    /// `PLAY` as a rule, without quotes.
    pub mode: Option<String>,
}

impl Transport {
    fn new(lower: Lower) -> Self {
        Self {
            profile: "RTP/AVP".to_owned(),
            lower,
            cast: Some(Cast::Unicast),
            interleaved: None,
            client_port: None,
            server_port: None,
            port: None,
            source: None,
            destination: None,
            ttl: None,
            ssrc: None,
            mode: None,
        }
    }

    /// Asks for packets in the connection, on these channels.
    #[must_use]
    pub fn tcp(rtp_channel: u8, rtcp_channel: u8) -> Self {
        Self { interleaved: Some((rtp_channel, rtcp_channel)), ..Self::new(Lower::Tcp) }
    }

    /// Asks for datagrams to these ports of ours.
    #[must_use]
    pub fn udp(rtp_port: u16, rtcp_port: u16) -> Self {
        Self { client_port: Some((rtp_port, rtcp_port)), ..Self::new(Lower::Udp) }
    }

    /// Reads the first specification of a field.
    ///
    /// # Errors
    /// When there is none, or it does not begin with a protocol such as `RTP/AVP`.
    pub fn parse(field: &str) -> Result<Self, ValueError> {
        let bad = || ValueError::new("Transport", field);
        let mut parts = field.split(',').next().unwrap_or_default().split(';').map(str::trim);
        let protocol = parts.next().filter(|word| word.contains('/')).ok_or_else(bad)?;
        let mut words = protocol.splitn(3, '/');
        let (Some(rtp), Some(profile)) = (words.next(), words.next()) else {
            return Err(bad());
        };
        if !is_plain(rtp) || !is_plain(profile) {
            return Err(bad());
        }
        let lower = match words.next() {
            Some(word) if word.eq_ignore_ascii_case("TCP") => Lower::Tcp,
            _ => Lower::Udp,
        };
        let mut transport = Self { profile: format!("{rtp}/{profile}"), cast: None, ..Self::new(lower) };
        for part in parts {
            transport.parameter(part);
        }
        Ok(transport)
    }

    fn parameter(&mut self, part: &str) {
        let (name, value) = split_trim(part, '=');
        let value = value.map(unquote).unwrap_or_default();
        let text = || is_plain(value).then(|| value.to_owned());
        match name.to_ascii_lowercase().as_str() {
            "unicast" => self.cast = Some(Cast::Unicast),
            "multicast" => self.cast = Some(Cast::Multicast),
            "interleaved" => self.interleaved = pair(value),
            "client_port" => self.client_port = pair(value),
            "server_port" => self.server_port = pair(value),
            "port" => self.port = pair(value),
            "source" => self.source = text(),
            "destination" => self.destination = text(),
            "ttl" => self.ttl = value.parse().ok(),
            "ssrc" => self.ssrc = u32::from_str_radix(value.trim_start_matches("0x"), 16).ok(),
            "mode" => self.mode = text(),
            _ => {}
        }
    }
}

/// Whether a value can be repeated in a field without quotes.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_graphic() && !b";,\"".contains(&octet))
}

/// `a-b`, or `a` alone where `b` is the next number.
fn pair<N>(value: &str) -> Option<(N, N)>
where
    N: std::str::FromStr + Copy + TryFrom<u32> + Into<u32>,
{
    let (first, second) = split_trim(value, '-');
    let first: N = first.parse().ok()?;
    let second = match second {
        Some(text) => text.parse().ok()?,
        None => N::try_from(first.into() + 1).ok()?,
    };
    Some((first, second))
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.profile)?;
        if self.lower == Lower::Tcp {
            f.write_str("/TCP")?;
        }
        match self.cast {
            Some(Cast::Unicast) => f.write_str(";unicast")?,
            Some(Cast::Multicast) => f.write_str(";multicast")?,
            None => {}
        }
        if let Some((rtp, rtcp)) = self.interleaved {
            write!(f, ";interleaved={rtp}-{rtcp}")?;
        }
        for (name, ports) in [("client_port", self.client_port), ("server_port", self.server_port), ("port", self.port)]
        {
            if let Some((rtp, rtcp)) = ports {
                write!(f, ";{name}={rtp}-{rtcp}")?;
            }
        }
        for (name, address) in [("source", &self.source), ("destination", &self.destination)] {
            if let Some(address) = address {
                write!(f, ";{name}={address}")?;
            }
        }
        if let Some(ttl) = self.ttl {
            write!(f, ";ttl={ttl}")?;
        }
        if let Some(ssrc) = self.ssrc {
            write!(f, ";ssrc={ssrc:08X}")?;
        }
        if let Some(mode) = &self.mode {
            write!(f, ";mode=\"{mode}\"")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the field is understood as, written the way we write it.
    fn check(field: &str, understood: Result<&str, ()>) {
        let got = Transport::parse(field).map(|transport| transport.to_string());
        assert_eq!(got.as_deref().map_err(|_| ()), understood, "{field}");
    }

    #[test]
    fn fields_of_servers() {
        check(
            "RTP/AVP/TCP;unicast;interleaved=0-1;server_port=5000-5001;client_port=4000-4001;ssrc=4B2A1F0C;mode=\"PLAY\"",
            Ok(
                "RTP/AVP/TCP;unicast;interleaved=0-1;client_port=4000-4001;server_port=5000-5001;ssrc=4B2A1F0C;mode=\"PLAY\"",
            ),
        );
        check("rtp/avp/tcp; Interleaved=2 ; mode=play", Ok("rtp/avp/TCP;interleaved=2-3;mode=\"play\""));
        check(
            "RTP/AVP;multicast;destination=239.0.0.1;port=5000-5001;ttl=16",
            Ok("RTP/AVP;multicast;port=5000-5001;destination=239.0.0.1;ttl=16"),
        );
        check(
            "RTP/AVP/UDP;unicast;source=10.0.0.2;client_port=1-2;ssrc=zz,RTP/AVP/TCP",
            Ok("RTP/AVP;unicast;client_port=1-2;source=10.0.0.2"),
        );
        check("RTP/AVP;client_port=65535", Ok("RTP/AVP"));
        check("RTP/AVP/TCP;interleaved=255", Ok("RTP/AVP/TCP"));
        check("RTP/AVP;ssrc= 1a2b", Ok("RTP/AVP;ssrc=00001A2B"));
        check("", Err(()));
        check("unicast", Err(()));
    }

    #[test]
    fn ours() {
        assert_eq!(Transport::tcp(2, 3).to_string(), "RTP/AVP/TCP;unicast;interleaved=2-3");
        assert_eq!(Transport::udp(6000, 6001).to_string(), "RTP/AVP;unicast;client_port=6000-6001");
    }
}
