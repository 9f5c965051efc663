//! Hot reload as a pure function: what runs, what was found, what to do.

use std::collections::BTreeMap;

use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::manifest::PluginName;

/// The two files of a plugin: what the code comes as, and the digests of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Files {
    /// What the code comes as, and so its file's ending.
    #[serde(default)]
    pub artifact: Artifact,
    /// The code: `<name>.wasm`, or the source.
    pub component: Digest,
    /// `<name>.toml`.
    pub manifest: Digest,
}

/// What a scan of the plugin directory found under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Both files.
    Complete(Files),
    /// Code without a manifest.
    NoManifest(Artifact),
    /// A manifest without code.
    NoComponent,
    /// A file changed just now, so that it may be half written: look again soon.
    Unsettled,
    /// A file is there and cannot be read.
    Unreadable,
}

/// What the engine knows of one plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The files that were loaded last, be it with success or without, or are being loaded.
    pub tried: Option<Files>,
    /// Whether a version is in service.
    pub running: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Load these files; if they are good, put them into service.
    Load(PluginName, Files),
    /// Say that a file is missing; what runs goes on.
    Incomplete(PluginName, Missing),
    /// Take it out of service and forget it.
    Remove(PluginName),
}

/// Which file is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// `<name>.toml`, beside code of this kind.
    Manifest(Artifact),
    /// The code.
    Component,
}

/// Compares what is known with what was found.
///
/// Files that were tried already are not tried again: a bad file is refused once, until it changes. A component that is
/// gone takes its plugin with it; a manifest alone that is gone does not, because nothing good replaced it.
#[must_use]
pub fn plan(known: &BTreeMap<PluginName, Known>, found: &BTreeMap<PluginName, Found>) -> Vec<Step> {
    let mut steps = Vec::new();
    for (name, found) in found {
        let known = known.get(name);
        match found {
            Found::Complete(files) if known.and_then(|known| known.tried) != Some(*files) => {
                steps.push(Step::Load(name.clone(), *files));
            }
            Found::Complete(_) | Found::Unsettled | Found::Unreadable => {}
            Found::NoManifest(artifact) => {
                steps.push(Step::Incomplete(name.clone(), Missing::Manifest(*artifact)));
            }
            Found::NoComponent => {
                if known.is_some_and(|known| known.running || known.tried.is_some()) {
                    steps.push(Step::Remove(name.clone()));
                }
                steps.push(Step::Incomplete(name.clone(), Missing::Component));
            }
        }
    }
    steps.extend(known.keys().filter(|name| !found.contains_key(*name)).cloned().map(Step::Remove));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str) -> Files {
        let (component, manifest) = text.split_once('+').unwrap();
        Files {
            artifact: Artifact::Wasm,
            component: Digest::of(component.as_bytes()),
            manifest: Digest::of(manifest.as_bytes()),
        }
    }

    /// `known` is "tried files" with `!` if they do not run; `found` is files or one of the words.
    fn check(known: &str, found: &str, wanted: &[&str]) {
        let name = PluginName::new("p").unwrap();
        let known: BTreeMap<_, _> = match known {
            "" => BTreeMap::new(),
            text => {
                let tried = Some(files(text.trim_end_matches('!')));
                [(name.clone(), Known { tried, running: !text.ends_with('!') })].into()
            }
        };
        let found: BTreeMap<_, _> = match found {
            "" => BTreeMap::new(),
            text => {
                let found = match text {
                    "no manifest" => Found::NoManifest(Artifact::Wasm),
                    "no component" => Found::NoComponent,
                    "unsettled" => Found::Unsettled,
                    "unreadable" => Found::Unreadable,
                    text => Found::Complete(files(text)),
                };
                [(name, found)].into()
            }
        };
        let steps: Vec<_> = plan(&known, &found)
            .iter()
            .map(|step| match step {
                Step::Load(..) => "load",
                Step::Incomplete(_, Missing::Manifest(_)) => "incomplete: manifest",
                Step::Incomplete(_, Missing::Component) => "incomplete: component",
                Step::Remove(_) => "remove",
            })
            .collect();
        assert_eq!(steps, wanted, "{known:?} {found:?}");
    }

    #[test]
    fn every_pair_has_its_steps() {
        check("", "", &[]);
        check("", "a+m", &["load"]);
        check("", "no manifest", &["incomplete: manifest"]);
        check("", "no component", &["incomplete: component"]);
        check("", "unsettled", &[]);
        check("a+m", "a+m", &[]);
        check("a+m!", "a+m", &[]);
        check("a+m", "b+m", &["load"]);
        check("a+m", "a+n", &["load"]);
        check("a+m!", "a+n", &["load"]);
        check("a+m", "unsettled", &[]);
        check("a+m", "unreadable", &[]);
        check("a+m", "no manifest", &["incomplete: manifest"]);
        check("a+m", "no component", &["remove", "incomplete: component"]);
        check("a+m", "", &["remove"]);
        check("a+m!", "", &["remove"]);
    }
}
