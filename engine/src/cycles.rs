//! Plugins that feed themselves or each other, as far as their grants show it.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::{Manifest, PluginName};

/// For each plugin from which an event can come back to it: the way, beginning and ending with the plugin, with the
/// subjects between.
#[must_use]
pub fn cycles<'a>(
    plugins: impl Iterator<Item = (&'a PluginName, &'a Manifest)>,
) -> BTreeMap<PluginName, String> {
    let plugins: BTreeMap<_, _> = plugins.collect();
    let mut found = BTreeMap::new();
    for name in plugins.keys() {
        if let Some(way) = way_back(name, &plugins) {
            found.insert((*name).clone(), told(&way));
        }
    }
    found
}

/// One step of a way: who emits, under which grant.
type Step<'a> = (&'a PluginName, String);

/// The shortest way from a plugin back to it.
fn way_back<'a>(
    start: &'a PluginName,
    plugins: &BTreeMap<&'a PluginName, &'a Manifest>,
) -> Option<Vec<Step<'a>>> {
    let mut seen = BTreeSet::new();
    let mut ways: Vec<(&PluginName, Vec<Step<'a>>)> = vec![(start, Vec::new())];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for (at, way) in ways {
            let Some(emitter) = plugins.get(at) else { continue };
            for (next, receiver) in plugins {
                let Some(grant) = feeds(emitter, receiver) else { continue };
                let mut way = way.clone();
                way.push((at, grant));
                if *next == start {
                    return Some(way);
                }
                if seen.insert(*next) {
                    longer.push((*next, way));
                }
            }
        }
        ways = longer;
    }
    None
}

/// The grant under which one plugin may emit what another receives.
fn feeds(emitter: &Manifest, receiver: &Manifest) -> Option<String> {
    let mut grants = emitter.emit.subjects.iter();
    let receives = |grant: &&crate::subject::Pattern| {
        receiver.subscribe.iter().flat_map(|entry| &entry.subjects).any(|wanted| wanted.overlaps(grant))
    };
    grants.find(receives).map(ToString::to_string)
}

fn told(way: &[Step<'_>]) -> String {
    let steps: Vec<String> = way.iter().map(|(name, grant)| format!("{name} emits {grant}")).collect();
    let start = way.first().map(|(name, _)| name.as_str()).unwrap_or_default();
    format!(
        "it may feed itself: {}, which {start} receives; an event that goes round is stopped after {} hops\n  hint: narrow emit.subjects or subscribe.subjects, unless this is wanted",
        steps.join(", then "),
        crate::limits::MAX_HOPS
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugins(table: &[(&str, &str, &str)]) -> BTreeMap<PluginName, Manifest> {
        let one = |(name, receives, emits): &(&str, &str, &str)| {
            let text = format!("[[subscribe]]\nsubjects = [{receives:?}]\n[emit]\nsubjects = [{emits:?}]\n");
            (PluginName::new(*name).unwrap(), Manifest::parse(&text).unwrap())
        };
        table.iter().map(one).collect()
    }

    fn found(table: &[(&str, &str, &str)]) -> Vec<String> {
        cycles(plugins(table).iter()).into_iter().map(|(name, way)| format!("{name}: {way}")).collect()
    }

    #[test]
    fn who_feeds_itself_is_named_with_the_way() {
        assert_eq!(found(&[("a", "in.>", "out.>"), ("b", "out.*", "done.x")]), Vec::<String>::new());
        let own = found(&[("a", "orders.>", "orders.done"), ("b", "x", "y")]);
        assert!(
            own.len() == 1 && own[0].starts_with("a: it may feed itself: a emits orders.done, which a"),
            "{own:?}"
        );
        let round = found(&[
            ("a", "in.x", "mid.>"),
            ("b", "mid.b", "back.b"),
            ("c", "back.>", "in.>"),
            ("d", "in.x", "z"),
        ]);
        assert_eq!(round.len(), 3, "{round:?}");
        assert!(
            round[0].contains("a emits mid.>, then b emits back.b, then c emits in.>, which a receives"),
            "{round:?}"
        );
    }
}
