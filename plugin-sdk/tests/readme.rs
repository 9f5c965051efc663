//! The plugins that README.md shows, compiled and tested as they stand there.

#[path = "readme/plugin.rs"]
mod plugin;
#[path = "readme/silence.rs"]
mod silence;

#[test]
fn the_readme_shows_these_files() {
    let readme = include_str!("../README.md");
    for (name, text) in [
        ("plugin.rs", include_str!("readme/plugin.rs")),
        ("cargo.toml", include_str!("readme/cargo.toml")),
        ("large-payment.toml", include_str!("readme/large-payment.toml")),
        ("silence.rs", include_str!("readme/silence.rs")),
        ("device-silence.toml", include_str!("readme/device-silence.toml")),
    ] {
        assert!(
            readme.contains(text),
            "README.md shows another {name} than tests/readme/{name}: copy it over"
        );
    }
}
