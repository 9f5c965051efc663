//! Every way in which files change, and that each is exactly one change.

use std::io::Write as _;
use std::time::Duration;

use wasmill::bus::memory::MemoryBus;
use wasmill::bus::{Bus as _, Retention, StreamSpec};
use wasmill::manifest::PluginName;
use wasmill::status::PluginState;
use wasmill::subject::Pattern;
use wasmill_tests::place::{Place, Running};

use crate::delivery::{amount_threshold, misbehaving};

const MANIFEST: &str = "[[subscribe]]\nsubjects = [\"in.>\"]\n[emit]\nsubjects = [\"out.>\"]\n[config]\nthreshold = 1\noutput = \"out.a\"\n";

async fn start(place: &Place) -> Running {
    place.start(MemoryBus::new()).await.unwrap()
}

/// How many versions of a plugin went into service.
fn swaps(running: &Running, plugin: &str) -> u64 {
    let wanted = format!("wasmill_plugin_swaps_total{{plugin=\"{plugin}\"}} ");
    let page = running.telemetry.exposition();
    page.lines().find_map(|line| line.strip_prefix(&wanted)).map_or(0, |count| count.parse().unwrap())
}

/// Waits until the engine has looked through the directory again, twice, so that what it would do it has done.
async fn looked_again(running: &Running) {
    let mut changes = running.engine.changes();
    let before = *changes.borrow();
    changes.wait_for(|count| *count >= before + 2).await.unwrap();
}

/// The component with a section that nobody reads: other bytes, the same behaviour.
fn variant(number: u8) -> Vec<u8> {
    let mut bytes = amount_threshold();
    bytes.extend_from_slice(&[0, 3, 1, b'v', number]);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_change_is_one_change() {
    let place = Place::new().unwrap();
    let running = start(&place).await;
    let file = place.plugins().join("p.wasm");

    place.put("p", &variant(1), MANIFEST).unwrap();
    running.running("p", Some(&variant(1))).await.unwrap();
    assert_eq!(swaps(&running, "p"), 1, "added");

    place.put_component("p", &variant(2)).unwrap();
    running.running("p", Some(&variant(2))).await.unwrap();
    assert_eq!(swaps(&running, "p"), 2, "renamed over");

    std::fs::write(&file, variant(3)).unwrap();
    running.running("p", Some(&variant(3))).await.unwrap();
    assert_eq!(swaps(&running, "p"), 3, "written in place");

    place.put_manifest("p", &MANIFEST.replace("subjects = [\"in.>\"]", "subjects = [\"in.two.>\"]")).unwrap();
    running.until("p", "on its new subject", |status| status.subscriptions == ["in.two.>"]).await.unwrap();
    assert_eq!(swaps(&running, "p"), 4, "only the manifest changed");

    let now = std::time::SystemTime::now() - Duration::from_secs(5);
    std::fs::File::options().append(true).open(&file).unwrap().set_modified(now).unwrap();
    looked_again(&running).await;
    assert_eq!(swaps(&running, "p"), 4, "touched, with the same bytes");

    let slow = tokio::task::spawn_blocking({
        let (file, bytes) = (file.clone(), variant(5));
        move || {
            let mut file = std::fs::File::create(file).unwrap();
            for part in bytes.chunks(bytes.len() / 8 + 1) {
                file.write_all(part).unwrap();
                file.flush().unwrap();
                // Slower than the engine settles: it must tell by the bytes that the file is not whole yet.
                std::thread::sleep(Duration::from_millis(400));
            }
        }
    });
    slow.await.unwrap();
    running.running("p", Some(&variant(5))).await.unwrap();
    assert_eq!(swaps(&running, "p"), 5, "written slowly");
    assert!(
        running.telemetry.exposition().contains("wasmill_plugin_refusals_total{plugin=\"p\"} 0"),
        "and never refused"
    );

    std::fs::remove_file(&file).unwrap();
    running.until("p", "incomplete", |status| status.state == PluginState::Incomplete).await.unwrap();
    std::fs::remove_file(place.plugins().join("p.toml")).unwrap();
    let mut changes = running.engine.changes();
    let gone = changes.wait_for(|_| running.engine.plugin(&PluginName::new("p").unwrap()).is_none());
    gone.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symlink_flip_changes_all_at_once() {
    let place = Place::new().unwrap();
    let dir = place.plugins();
    for (version, number) in [("..v1", 1), ("..v2", 2)] {
        std::fs::create_dir(dir.join(version)).unwrap();
        std::fs::write(dir.join(version).join("p.wasm"), variant(number)).unwrap();
        std::fs::write(dir.join(version).join("p.toml"), format!("{MANIFEST}rule = \"v{number}\"\n"))
            .unwrap();
    }
    std::os::unix::fs::symlink("..v1", dir.join("..data")).unwrap();
    for file in ["p.wasm", "p.toml"] {
        std::os::unix::fs::symlink(format!("..data/{file}"), dir.join(file)).unwrap();
    }
    let running = start(&place).await;
    running.running("p", Some(&variant(1))).await.unwrap();
    std::os::unix::fs::symlink("..v2", dir.join("..data_tmp")).unwrap();
    std::fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    running.running("p", Some(&variant(2))).await.unwrap();
    assert_eq!(swaps(&running, "p"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_good_is_told_once_and_replaces_nothing() {
    let place = Place::new().unwrap();
    let running = start(&place).await;
    place.put("p", &variant(1), MANIFEST).unwrap();
    running.running("p", Some(&variant(1))).await.unwrap();
    for (manifest, wanted) in [
        ("subscribe = 1", "p.toml"),
        ("[[subscribe]]\nsubjects = [\"in.>\"]\n[limit]\n", "did you mean `limits`"),
        ("[[subscribe]]\nsubjects = [\"$JS.API.>\"]\n", "reserved"),
        ("[[subscribe]]\nsubjects = [\"in.>\"]\n[limits]\ncomponent_mib = 0\n", "component_mib"),
    ] {
        place.put_manifest("p", manifest).unwrap();
        let told = |status: &wasmill::status::PluginStatus| {
            status.problem.as_ref().is_some_and(|problem| problem.contains(wanted))
        };
        let status = running.until("p", &format!("saying {wanted}"), told).await.unwrap();
        assert_eq!(status.state, PluginState::Running, "the old version serves");
    }
    looked_again(&running).await;
    assert!(
        running.telemetry.exposition().contains("wasmill_plugin_refusals_total{plugin=\"p\"} 4"),
        "each is refused once, however often the directory is looked through"
    );
    assert_eq!(swaps(&running, "p"), 1);
    place.put_manifest("p", MANIFEST).unwrap();
    running.until("p", "well again", |status| status.problem.is_none()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_starts_with_a_bad_file_goes_on_with_the_version_that_served() {
    let place = Place::new().unwrap();
    let running = start(&place).await;
    place.put("p", &variant(1), MANIFEST).unwrap();
    running.running("p", Some(&variant(1))).await.unwrap();
    assert!(running.engine.stop(Duration::from_secs(10)).await);

    place.put_manifest("p", "nonsense").unwrap();
    let running = start(&place).await;
    let status = running.running("p", Some(&variant(1))).await.unwrap();
    assert!(status.problem.is_some_and(|problem| problem.contains("p.toml")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_holds_until_the_files_change() {
    let place = Place::new().unwrap();
    let name = PluginName::new("p").unwrap();
    let running = start(&place).await;
    place.put("p", &variant(1), MANIFEST).unwrap();
    running.running("p", Some(&variant(1))).await.unwrap();
    let nothing = running.engine.roll_back(&name).await.unwrap_err().to_string();
    assert!(nothing.contains("no earlier version"), "{nothing}");
    place.put_component("p", &variant(2)).unwrap();
    running.running("p", Some(&variant(2))).await.unwrap();

    let status = running.engine.roll_back(&name).await.unwrap();
    assert!(status.rolled_back);
    running.running("p", Some(&variant(1))).await.unwrap();
    looked_again(&running).await;
    assert_eq!(swaps(&running, "p"), 3, "the files in the directory stay aside");
    assert!(running.engine.stop(Duration::from_secs(10)).await);

    let running = start(&place).await;
    let status = running.running("p", Some(&variant(1))).await.unwrap();
    assert!(status.rolled_back, "a restart keeps it so");
    place.put_component("p", &variant(3)).unwrap();
    let status = running.running("p", Some(&variant(3))).await.unwrap();
    assert!(!status.rolled_back);
    assert!(running.engine.roll_back(&PluginName::new("q").unwrap()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_plugin_does_not_run_and_an_incomplete_one_says_what_is_missing() {
    let place = Place::new().unwrap();
    let running = start(&place).await;
    place.put("p", &misbehaving(), &format!("enabled = false\n{MANIFEST}")).unwrap();
    running.until("p", "disabled", |status| status.state == PluginState::Disabled).await.unwrap();
    place.put_manifest("p", MANIFEST).unwrap();
    running.running("p", Some(&misbehaving())).await.unwrap();
    place.put_manifest("p", &format!("enabled = false\n{MANIFEST}")).unwrap();
    running.until("p", "disabled", |status| status.state == PluginState::Disabled).await.unwrap();

    place.put_component("q", &misbehaving()).unwrap();
    let status =
        running.until("q", "incomplete", |status| status.state == PluginState::Incomplete).await.unwrap();
    assert_eq!(status.problem.as_deref(), Some("q.wasm is there, q.toml is not"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_stream_is_missing_waits_while_the_old_one_serves() {
    let place = Place::new().unwrap();
    let bus = MemoryBus::new();
    let running = place.start(bus.clone()).await.unwrap();
    place.put("p", &variant(1), MANIFEST).unwrap();
    running.running("p", Some(&variant(1))).await.unwrap();
    let manifest = MANIFEST.replace("[[subscribe]]", "[[subscribe]]\nstream = \"LATER\"");
    place.put_manifest("p", &manifest).unwrap();
    let told = |status: &wasmill::status::PluginStatus| {
        status.problem.as_ref().is_some_and(|problem| problem.contains("\"LATER\" does not exist"))
    };
    let status = running.until("p", "missing its stream", told).await.unwrap();
    assert_eq!((status.state, status.subscriptions), (PluginState::Running, vec!["in.>".to_owned()]));

    let later = StreamSpec {
        name: "LATER".into(),
        subjects: vec![Pattern::new("in.>").unwrap()],
        retention: Retention::Limits,
        duplicate_window: Duration::from_secs(120),
        max_bytes: None,
        max_age: None,
        replicas: 1,
        atomic: false,
    };
    bus.ensure_stream(&later).await.unwrap();
    let swapped = |status: &wasmill::status::PluginStatus| {
        status.subscriptions == ["LATER: in.>"] && status.problem.is_none()
    };
    running.until("p", "on its stream", swapped).await.unwrap();
    assert!(
        running.telemetry.exposition().contains("wasmill_plugin_refusals_total{plugin=\"p\"} 1"),
        "told once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_do_not_share_a_data_directory() {
    let place = Place::new().unwrap();
    let running = start(&place).await;
    let other = place.start(MemoryBus::new()).await;
    let refused = other.err().expect("the second is refused").to_string();
    assert!(refused.contains("another engine"), "{refused}");
    assert!(running.engine.stop(Duration::from_secs(10)).await);
    start(&place).await;
}
