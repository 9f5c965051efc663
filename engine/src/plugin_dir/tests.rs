//! The plugin directory, on real files.

use super::*;

fn settled(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
}

fn found(dir: &mut PluginDir) -> Vec<(String, Found)> {
    dir.scan().unwrap().plugins.into_iter().map(|(name, found)| (name.to_string(), found)).collect()
}

#[test]
fn a_scan_pairs_files_and_sees_changed_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    let mut dir = PluginDir::new(temp.path().to_owned());
    settled(&at("a.wasm"), b"one");
    settled(&at("b.toml"), b"two");
    settled(&at("notes.txt"), b"no plugin");
    settled(&at(".a.wasm.swp"), b"an editor's");
    assert_eq!(
        found(&mut dir),
        [("a".into(), Found::NoManifest(Artifact::Wasm)), ("b".into(), Found::NoComponent)]
    );
    settled(&at("a.toml"), b"three");
    let artifact = Artifact::Wasm;
    let files = Files { artifact, component: Digest::of(b"one"), manifest: Digest::of(b"three") };
    assert_eq!(found(&mut dir)[0], ("a".into(), Found::Complete(files)));
    settled(&at("a.wasm"), b"ONE");
    let changed = Files { component: Digest::of(b"ONE"), ..files };
    assert_eq!(found(&mut dir)[0], ("a".into(), Found::Complete(changed)));
    let name = PluginName::new("a").unwrap();
    assert!(matches!(read(temp.path(), &name, &files), Err(DirError::Changed { .. })));
    assert_eq!(read(temp.path(), &name, &changed).unwrap(), (b"ONE".to_vec(), "three".to_owned()));
}

#[test]
fn source_is_code_and_two_kinds_of_it_are_one_too_many() {
    let temp = tempfile::tempdir().unwrap();
    settled(&temp.path().join("rule.py"), b"def handle(event): pass");
    settled(&temp.path().join("rule.toml"), b"m");
    let mut dir = PluginDir::new(temp.path().to_owned());
    let Found::Complete(files) = found(&mut dir)[0].1 else { panic!("not complete") };
    assert_eq!(files.artifact, Artifact::Python);
    let name = PluginName::new("rule").unwrap();
    assert_eq!(read(temp.path(), &name, &files).unwrap().0, b"def handle(event): pass");
    settled(&temp.path().join("rule.wasm"), b"w");
    let scan = dir.scan().unwrap();
    assert_eq!(scan.plugins[&name], Found::Unreadable);
    assert!(scan.unreadable[&name].contains("rule.py"), "{:?}", scan.unreadable);
}

#[test]
fn what_was_just_written_must_settle() {
    let temp = tempfile::tempdir().unwrap();
    let mut dir = PluginDir::new(temp.path().to_owned());
    settled(&temp.path().join("a.toml"), b"m");
    let file = std::fs::File::create(temp.path().join("a.wasm")).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_millis(1)).unwrap();
    drop(file);
    std::fs::write(temp.path().join("a.wasm"), b"half").unwrap();
    let scan = dir.scan().unwrap();
    assert!(scan.unsettled);
    assert_eq!(scan.plugins.values().next(), Some(&Found::Unsettled));
}

#[test]
fn symlinks_are_followed_and_flips_seen() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    for (version, bytes) in [("v1", b"one"), ("v2", b"two")] {
        std::fs::create_dir(at(version)).unwrap();
        settled(&at(version).join("a.wasm"), bytes);
        settled(&at(version).join("a.toml"), b"m");
    }
    std::os::unix::fs::symlink("v1", at("..data")).unwrap();
    for file in ["a.wasm", "a.toml"] {
        std::os::unix::fs::symlink(format!("..data/{file}"), at(file)).unwrap();
    }
    let mut dir = PluginDir::new(temp.path().to_owned());
    let before = found(&mut dir);
    std::os::unix::fs::symlink("v2", at("..data_tmp")).unwrap();
    std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    let after = found(&mut dir);
    assert_ne!(before, after);
    let artifact = Artifact::Wasm;
    let files = Files { artifact, component: Digest::of(b"two"), manifest: Digest::of(b"m") };
    assert_eq!(after, [("a".into(), Found::Complete(files))]);
}

#[test]
fn stray_files_do_not_push_a_plugin_out() {
    let temp = tempfile::tempdir().unwrap();
    for number in 0..MAX_PLUGINS {
        settled(&temp.path().join(format!("a{number}.toml")), b"stray");
    }
    settled(&temp.path().join("z.wasm"), b"one");
    settled(&temp.path().join("z.toml"), b"m");
    let scan = PluginDir::new(temp.path().to_owned()).scan().unwrap();
    assert_eq!(scan.plugins.values().next_back(), Some(&Found::Unreadable), "left alone, not gone");
    assert_eq!(scan.plugins.len(), MAX_PLUGINS + 1);
    let named: Vec<_> = scan.unreadable.keys().map(PluginName::as_str).collect();
    assert_eq!(named, ["z"], "the fault stands under the plugin's own name");
}

#[test]
fn bad_names_and_missing_directories_are_faults() {
    let temp = tempfile::tempdir().unwrap();
    settled(&temp.path().join("a b.wasm"), b"x");
    let mut dir = PluginDir::new(temp.path().to_owned());
    let scan = dir.scan().unwrap();
    assert!(scan.plugins.is_empty());
    assert!(scan.faults[0].contains("no plugin name"), "{:?}", scan.faults);
    assert!(PluginDir::new(temp.path().join("none")).scan().is_err());
}
