//! Durations as people write them: `500ms`, `90s`, `15m`, `2h`, `7d`, `1h 30m`.

use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::{Designator, FractionalUnit, SpanParser, SpanPrinter};

const DAY: u64 = 24 * 60 * 60;

/// Reads a duration. A day has 24 hours and a week has 7 days. Months and years have no fixed
/// length, so they are errors. So are signs, commas and `1:30:00`: people read them in two ways.
pub fn parse(text: &str) -> Result<Duration, String> {
    // The library has fewer nanoseconds than a ttl may have.
    let nanoseconds = text.strip_suffix("ns").map(str::trim_end);
    if let Some(nanoseconds) = nanoseconds
        && nanoseconds.bytes().all(|digit| digit.is_ascii_digit())
        && let Ok(nanoseconds) = nanoseconds.parse()
    {
        return Ok(Duration::from_nanos(nanoseconds));
    }
    let duration = match text.contains([',', '+', '-', ':']) {
        true => None,
        false => SpanParser::new()
            .parse_span(text)
            .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
            .and_then(Duration::try_from)
            .ok(),
    };
    duration.ok_or_else(|| {
        format!("{text:?} is not a duration such as \"90s\", \"15m\", \"2h\", \"7d\" or \"1h 30m\"")
    })
}

/// Writes a duration to the nanosecond, so that [`parse`] gives the same duration.
pub fn exact(duration: Duration) -> String {
    let printer = SpanPrinter::new()
        .designator(Designator::Compact)
        .fractional(Some(FractionalUnit::Second));
    let days = duration.as_secs() / DAY;
    let rest = Duration::new(duration.as_secs() % DAY, duration.subsec_nanos());
    let rest = printer.unsigned_duration_to_string(&rest);
    match days {
        0 => rest,
        _ => format!("{days}d {rest}"),
    }
}

/// Writes a rough duration for people: to the second, or to the minute above an hour.
pub fn roughly(duration: Duration) -> String {
    let seconds = duration.as_secs();
    exact(Duration::from_secs(match seconds {
        ..3600 => seconds,
        _ => seconds - seconds % 60,
    }))
}
