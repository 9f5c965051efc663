//! From a template to a folder.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::cli::language::{Embedded, Language};
use crate::manifest::PluginName;

/// Where a project keeps its copy of the SDK.
const SDK_FOLDER: &str = "wasmill";

/// What stands in the place of `{{placeholders}}`, in paths and in files that end in `.tmpl`. Other files are copied as
/// they are: in some languages two braces mean something.
#[derive(Debug)]
pub struct Filling<'a> {
    /// `{{name}}`, and with `_` for `-` `{{crate}}`.
    pub name: &'a PluginName,
    /// `{{sdk_dependency}}`, a line of Cargo.toml.
    pub sdk_dependency: &'a str,
}

impl Filling<'_> {
    fn fill(&self, text: &str) -> String {
        text.replace("{{name}}", self.name.as_str())
            .replace("{{crate}}", &self.name.as_str().replace('-', "_"))
            .replace("{{sdk_dependency}}", self.sdk_dependency)
    }

    /// The place and the text of a template's file.
    fn made_of(&self, (path, text): &Embedded) -> (String, String) {
        match path.strip_suffix(".tmpl") {
            Some(path) => (self.placed(path), self.fill(text)),
            None => (self.placed(path), (*text).to_owned()),
        }
    }

    /// Two names say what a file is, since its own would be hidden, or belong to one plugin.
    fn placed(&self, path: &str) -> String {
        match path {
            "gitignore" => ".gitignore".to_owned(),
            "manifest.toml" => format!("{}.toml", self.name),
            other => self.fill(other),
        }
    }
}

/// Writes a new project.
///
/// # Errors
/// What the file system says, with the path.
pub fn write(folder: &Path, language: Language, filling: &Filling<'_>) -> anyhow::Result<()> {
    // Python's SDK is a package of that name already.
    let sdk_path = |path: &str| match path.strip_prefix(SDK_FOLDER) {
        Some(rest) if rest.starts_with('/') => path.to_owned(),
        _ => format!("{SDK_FOLDER}/{path}"),
    };
    let sdk = language.sdk().into_iter().map(|(path, text)| (sdk_path(path), text.to_owned()));
    for (path, text) in language.template().iter().map(|file| filling.made_of(file)).chain(sdk) {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// The file of a template whose place the manifest of such a plugin would take, on a file system that may not tell
/// `Cargo.toml` from `cargo.toml`.
#[must_use]
pub fn doubly_used(language: Language, name: &PluginName) -> Option<String> {
    let filling = Filling { name, sdk_dependency: "" };
    let manifest = filling.placed("manifest.toml");
    let mut places = language.template().iter().map(|file| filling.made_of(file).0);
    let same = places.by_ref().filter(|place| place.eq_ignore_ascii_case(&manifest)).nth(1);
    same.map(|_| manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    /// A placeholder that nothing was put in the place of.
    fn placeholder(text: &str) -> Option<&str> {
        text.split("{{").skip(1).find_map(|rest| {
            let (inside, _) = rest.split_once("}}")?;
            let is_word = !inside.is_empty() && inside.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            is_word.then_some(inside)
        })
    }

    fn every_file(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { every_file(&path, found) } else { found.push(path.display().to_string()) }
        }
    }

    #[test]
    fn every_template_is_filled_in() {
        let name = PluginName::new("big-spender").unwrap();
        for language in Language::ALL {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join(name.as_str());
            write(&folder, language, &Filling { name: &name, sdk_dependency: "wasmill-sdk = \"0.1\"" })
                .unwrap();
            let mut files = Vec::new();
            every_file(&folder, &mut files);
            for file in files {
                let text = fs::read_to_string(&file).unwrap();
                assert_eq!(placeholder(&text), None, "{file}");
                assert!(!file.contains("{{") && !file.ends_with(".tmpl"), "{file}");
            }
            let manifest = fs::read_to_string(folder.join("big-spender.toml")).unwrap();
            let manifest = Manifest::parse(&manifest).unwrap();
            assert_eq!(manifest.config_json()["limit"], 100, "{language}");
            let ignored = fs::read_to_string(folder.join(".gitignore")).unwrap();
            assert!(ignored.contains("/build"), "{language}: {ignored}");
            let readme = fs::read_to_string(folder.join("README.md")).unwrap();
            for wanted in ["# big-spender\n", "wasmill build", "build/big-spender.wasm", "`big-spender.toml`"]
            {
                assert!(readme.contains(wanted), "{language}: README.md lacks {wanted:?}");
            }
        }
    }

    #[test]
    fn only_templates_have_placeholders() {
        assert_eq!(placeholder("a {{name}} b"), Some("name"));
        assert_eq!(placeholder("int a[1][1] = {{0}};"), None);
        let name = PluginName::new("a-b").unwrap();
        let filling = Filling { name: &name, sdk_dependency: "" };
        for (file, wanted) in [
            (("src/{{crate}}.h.tmpl", "{{name}}"), ("src/a_b.h", "a-b")),
            (("rule.c", "{{name}}"), ("rule.c", "{{name}}")),
            (("gitignore", "/build"), (".gitignore", "/build")),
            (("manifest.toml.tmpl", "# {{name}}"), ("a-b.toml", "# a-b")),
        ] {
            let (path, text) = filling.made_of(&file);
            assert_eq!((path.as_str(), text.as_str()), wanted);
        }
    }
}
