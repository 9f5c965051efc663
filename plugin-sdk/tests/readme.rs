//! The plugin that README.md shows, compiled and tested as it stands there.

#[path = "readme/plugin.rs"]
mod plugin;

#[test]
fn the_readme_shows_these_files() {
    let readme = include_str!("../README.md");
    for (name, text) in [
        ("plugin.rs", include_str!("readme/plugin.rs")),
        ("cargo.toml", include_str!("readme/cargo.toml")),
        ("large-payment.toml", include_str!("readme/large-payment.toml")),
    ] {
        assert!(
            readme.contains(text),
            "README.md shows another {name} than tests/readme/{name}: copy it over"
        );
    }
}
