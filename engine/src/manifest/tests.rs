use super::*;

const SMALL: &str = "[[subscribe]]\nstream = \"PAYMENTS\"\nsubjects = [\"payments.card\"]\n";

#[test]
fn the_smallest_manifest_has_sound_defaults() {
    let manifest = Manifest::parse(SMALL).unwrap();
    assert!(manifest.enabled);
    assert_eq!(manifest.isolation, None);
    assert_eq!(manifest.retry.attempts, 5);
    assert!(manifest.emit.subjects.is_empty());
}

#[test]
fn faults_are_named() {
    for (text, wanted) in [
        ("", "missing field `subscribe`"),
        ("subscribe = []", "no [[subscribe]]"),
        ("[[subscribe]]\nsubjects = []", "no subjects"),
        ("[[subscribe]]\nsubjects = [\"a..b\"]", "empty token"),
        ("[[subscribe]]\nsubjects = [\"$JS.API.>\"]", "reserved"),
        ("[[subscribe]]\nsubjects = [\"a\"]\n[emit]\nsubjects = [\">\"]", "begins with a wildcard"),
        ("[[subscribe]]\nsubjects = [\"a\"]\n[emit]\nsubjects = [\"_INBOX.x\"]", "reserved"),
        ("[[subscribe]]\nsubjects = [\"a\"]\n[emit]\nsubjects = [\"wasmill.>\"]", "reserved"),
        ("[[subscribe]]\nsubject = [\"a\"]", "did you mean `subjects`"),
        ("[[subscribe]]\nsubjects = [\"a\"]\n[limits]\nmemory_mb = 3", "did you mean `memory_mib`"),
        ("[[subscribe]]\nsubjects = [\"a\"]\n[limits]\ncpu_ms = 0", "limits.cpu_ms is 0"),
        ("[[subscribe]]\nsubjects = [\"a\"]\n[retry]\nattempts = 0", "retry.attempts"),
        ("[[subscribe]]\nsubjects = [\"a\"]\n[retry]\nack_wait_ms = 9000000000000", "retry.ack_wait_ms"),
        ("[[subscribe]]\nsubjects = [\"a\"]\n[retry]\nmax_delay_ms = 9000000000000", "a delay is over"),
        ("[[subscribe]]\nsubjects = [\"a\"]\n[retry]\ndelays_ms = [9000000000000]", "a delay of"),
        (
            "[[subscribe]]\nsubjects = [\"a\"]\n[retry.reasons.rejected]\nattempts = 2",
            "one of retry, exception, migrate, trap",
        ),
        (
            "[[subscribe]]\nsubjects = [\"a\"]\n[retry.reasons.trap]\nattempts = 0",
            "retry.reasons.trap.attempts is 0",
        ),
        ("[[subscribe]]\nsubjects = [\"a\"]\n[breaker]\nrate = 2", "breaker.rate is 2"),
        ("[[subscribe]]\nsubjects = [\"a\"]\n[breaker]\npause_ms = 0", "pause_ms is 0"),
        ("weight = 0\n[[subscribe]]\nsubjects = [\"a\"]", "weight is 0"),
        ("[[subscribe]]\nsubjects = [\"a.>\", \"a.b\"]", "a.> and a.b overlap"),
        ("[[subscribe]]\nsubjects = [\"a\"]\nstream = \"a.b\"", "no stream name"),
        ("key = { token = 1 }\n[[subscribe]]\nsubjects = [\"a\"]", "no order to keep"),
        ("key = { token = 0 }\n[[subscribe]]\nsubjects = [\"a\"]\nstream = \"A\"", "key.token is 0"),
        ("key = { pointer = \"a\" }\n[[subscribe]]\nsubjects = [\"a\"]\nstream = \"A\"", "begin with '/'"),
        ("[[subscribe]]\nsubjects = [\"a\"]\n[state]\nbatch = 2", "needs a key"),
        (
            "key = { token = 1 }\n[[subscribe]]\nsubjects = [\"a\"]\nstream = \"A\"\n[state]\nlease_ms = 9",
            "state.lease_ms is 9",
        ),
        ("[[subscribe]]\nsubjects = [\"a\"]\n[lookup]\nx = \"a.b\"", "no bucket name"),
    ] {
        let err = Manifest::parse(text).unwrap_err().to_string();
        assert!(err.contains(wanted), "{text:?} gave {err}");
    }
}

#[test]
fn names_that_are_refused() {
    for text in ["", "-a", "a.b", "a/b", "ä", &"x".repeat(65)] {
        assert!(PluginName::new(text).is_err(), "{text:?}");
    }
    assert!(PluginName::new("large-amount_2").is_ok());
}
