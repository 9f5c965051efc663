use super::*;

fn sources(file: &str, env: &[(&str, &str)], flags: &[(&'static str, &'static str, &str)]) -> Sources {
    Sources {
        file: (!file.is_empty()).then(|| (PathBuf::from("etc/wasmill.toml"), file.to_owned())),
        env: env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect(),
        flags: flags
            .iter()
            .map(|&(flag, key, value)| FlagSetting { flag, key, value: value.into() })
            .collect(),
    }
}

#[test]
fn later_sources_win() {
    const FILE: &str = "[plugins]\ndir = \"file\"\n[data]\ndir = \"file\"\n[log]\nlevel = \"warn\"\n";
    const ENV: [(&str, &str); 2] = [("WASMILL_PLUGINS__DIR", "env"), ("WASMILL_DATA__DIR", "env")];
    let loaded = load(&sources(FILE, &ENV, &[("--plugins-dir", "plugins.dir", "flag")])).unwrap();
    assert_eq!(loaded.config.plugins.dir, Path::new("flag"));
    assert_eq!(loaded.config.data.dir, Path::new("env"));
    assert_eq!(loaded.config.log.level, "warn");
    assert_eq!(loaded.config.stop.grace_s, 30);
    for (key, wanted) in [
        ("plugins.dir", "flag --plugins-dir"),
        ("data.dir", "environment variable WASMILL_DATA__DIR"),
        ("log.level", "etc/wasmill.toml:6"),
        ("stop.grace_s", "default"),
    ] {
        assert_eq!(loaded.origin(key).to_string(), wanted);
    }
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let loaded = load(&Sources::default()).unwrap();
    assert_eq!(loaded.config.admin.listen, "127.0.0.1:9464");
    assert!(loaded.config.streams.is_empty());
}

#[test]
fn variables_take_the_type_of_their_setting() {
    let loaded = load(&sources(
        "",
        &[
            ("WASMILL_STOP__GRACE_S", "5"),
            ("WASMILL_LOG__FORMAT", "json"),
            ("WASMILL_LOG__LEVEL", "7"),
            ("WASMILL_ADMIN__LISTEN", ""),
        ],
        &[],
    ))
    .unwrap();
    assert_eq!(loaded.config.stop.grace_s, 5);
    assert_eq!(loaded.config.log.format, crate::config::LogFormat::Json);
    assert_eq!(loaded.config.log.level, "7");
    assert_eq!(loaded.config.admin.listen, "");
}

#[test]
fn variables_that_are_not_settings_are_left_alone() {
    for name in [
        "WASMILL_CONFIG",
        "WASMILL_LOG",
        "WASMILL_NATS_SERVER",
        "WASMILL_STOP_SIGN",
        "WASMILL",
        "PATH",
        "BUS__URL",
    ] {
        assert!(load(&sources("", &[(name, "x")], &[])).is_ok(), "{name}");
    }
}

#[test]
fn findings_name_their_source() {
    for (file, env, flags, wanted) in [
        (
            "[bus]\nurll = \"x\"\n",
            &[][..],
            &[][..],
            &["etc/wasmill.toml:2: unknown field `urll`", "did you mean `url`?"][..],
        ),
        ("\n[admim]\n", &[], &[], &["etc/wasmill.toml:2: unknown field `admim`", "did you mean `admin`?"]),
        ("[stop]\n\ngrace_s = \"x\"\n", &[], &[], &["etc/wasmill.toml:3: invalid type"]),
        ("[stop\n", &[], &[], &["etc/wasmill.toml:1: "]),
        (
            "[[streams]]\nname = \"A\"\nsubjects = [\"a..b\"]\n",
            &[],
            &[],
            &["etc/wasmill.toml:3: ", "empty token"],
        ),
        (
            "",
            &[("WASMILL_BUS__URLL", "x")],
            &[],
            &["environment variable WASMILL_BUS__URLL: ", "did you mean `url`?"],
        ),
        (
            "",
            &[("WASMILL_BUSS__URL", "x")],
            &[],
            &["environment variable WASMILL_BUSS__URL: ", "did you mean `bus`?"],
        ),
        (
            "",
            &[("WASMILL_STOP__GRACE_S", "soon")],
            &[],
            &["environment variable WASMILL_STOP__GRACE_S: invalid type"],
        ),
        (
            "",
            &[("WASMILL_STOP__GRACE_S", "-1")],
            &[],
            &["environment variable WASMILL_STOP__GRACE_S: invalid value"],
        ),
        ("", &[("WASMILL_BUS_URL", "x")], &[], &["WASMILL_BUS_URL has no effect", "WASMILL_BUS__URL"]),
        ("", &[("WASMILL_STOP_GRACE_S", "9")], &[], &["WASMILL_STOP__GRACE_S"]),
        ("", &[], &[("--stop-grace", "stop.grace_s", "x")], &["flag --stop-grace: "]),
    ] {
        let err = load(&sources(file, env, flags)).unwrap_err().to_string();
        for part in wanted {
            assert!(err.contains(part), "{file:?} {env:?} gave {err}");
        }
    }
}

#[test]
fn all_findings_are_told_at_once() {
    let err = load(&sources("[x]", &[("WASMILL_A__B", "1"), ("WASMILL_C__D", "1")], &[])).unwrap_err();
    assert_eq!(err.0.len(), 3, "{err}");
}

#[test]
fn a_list_is_replaced_as_a_whole() {
    const FILE: &str = "[[streams]]\nname = \"A\"\nsubjects = [\"a.>\"]\n\n[[streams]]\nname = \"B\"\nsubjects = [\"b.>\"]\n";
    let loaded = load(&sources(FILE, &[], &[])).unwrap();
    assert_eq!(loaded.origin("streams[1].name").to_string(), "etc/wasmill.toml:6");
    let flags = [("--streams", "streams", "[{ name = \"C\", subjects = [\"c\"] }]")];
    let loaded = load(&sources(FILE, &[], &flags)).unwrap();
    assert_eq!(loaded.config.streams.len(), 1);
    assert_eq!(loaded.origin("streams[1].name"), Origin::Default);
}
