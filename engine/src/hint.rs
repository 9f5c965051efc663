//! "Did you mean": suggestions for names that are nearly right.

/// Names closer than this (Jaro-Winkler, 0 to 1) are worth suggesting.
const LIKELY: f64 = 0.75;

/// The known name nearest to a given one, if any is near. A single slip of the finger comes first: in short words, the
/// likeness counts a swap of two letters (`ulr`) for more than it is.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(name) = known.iter().find(|name| strsim::osa_distance(given, name) == 1) {
        return Some(name);
    }
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(likeness, _)| *likeness >= LIKELY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// Adds a hint to a decoder's message about an unknown field or variant, whose text lists the names it knows between
/// backticks.
#[must_use]
pub fn with_suggestion(message: &str) -> String {
    let message = message.trim_end();
    let Some((_, rest)) =
        message.split_once("unknown field ").or_else(|| message.split_once("unknown variant "))
    else {
        return message.to_owned();
    };
    let mut quoted = rest.split('`').skip(1).step_by(2);
    match quoted.next().and_then(|given| nearest(given, quoted)) {
        Some(name) => format!("{message}\n  hint: did you mean `{name}`?"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("listen_adr", ["listen", "dir"]), Some("listen"));
        assert_eq!(nearest("zzz", ["listen", "dir"]), None);
        assert_eq!(nearest("ulr", ["user", "url"]), Some("url"));
        let text = "unknown field `sream`, expected one of `stream`, `subjects`";
        assert!(with_suggestion(text).ends_with("did you mean `stream`?"));
        assert_eq!(with_suggestion("invalid type\n"), "invalid type");
    }
}
