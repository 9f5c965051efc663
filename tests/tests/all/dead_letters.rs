//! Dead letters as an operator meets them: listed, shown, sent back, corrected and removed, while an engine runs.

mod edits;
mod listing;
mod redrives;
mod trouble;

use serde_json::Value;
use wasmill::status::PluginStatus;
use wasmill_tests::place::Running;
use wasmill_tests::streams::{self, Stored};

use crate::cli::{Ended, ended, run, wasmill};
use crate::delivery::{LARGE_AMOUNT, Scene, amount_threshold, misbehaving, payment, scene};

/// A manifest of a plugin that does what its mode says.
fn mode(mode: &str) -> String {
    format!(
        "[[subscribe]]\nstream = \"PAYMENTS\"\nsubjects = [\"payments.card\"]\n[emit]\nsubjects = [\"alerts.>\"]\n\
         [retry]\nattempts = 1\n[breaker]\nfailures = 0\n[config]\nmode = \"{mode}\"\nsubject = \"alerts.{mode}\"\n"
    )
}

impl Scene {
    /// `wasmill dead-letter` on this server.
    pub fn letters(&self, line: &str) -> Ended {
        let url = self.server.url();
        let words: Vec<_> = line.split_whitespace().collect();
        run(&self.place.plugins(), &[&["dead-letter"], &words[..], &["--bus-url", &url]].concat())
    }

    /// The letters that `ls` lists, as JSON.
    #[track_caller]
    pub fn listed(&self, filter: &str) -> Vec<Value> {
        let listed = self.letters(&format!("ls -o json {filter}")).done();
        listed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// As many payments of 500, all of which a plugin `rule` sets aside.
    pub async fn set_aside(&self, count: usize) -> Running {
        self.place.put("rule", &misbehaving(), &mode("panic")).unwrap();
        let payments = (1..=count).map(|id| payment(id, 500.0));
        streams::publish(&self.jetstream, "payments.card", payments).await.unwrap();
        let running = self.start().await;
        running.until("rule", "setting all aside", dead(count)).await.unwrap();
        running
    }

    /// Puts a version of `rule` into service that makes an alert of every payment.
    pub async fn mend(&self, running: &Running) {
        self.place.put("rule", &amount_threshold(), LARGE_AMOUNT).unwrap();
        running.running("rule", Some(&amount_threshold())).await.unwrap();
    }

    pub async fn stored(&self, stream: &str) -> Vec<Stored> {
        streams::read(&self.jetstream, stream).await.unwrap()
    }

    /// Waits until the queue of redrives is empty.
    pub async fn redriven(&self) {
        let wait = async {
            while streams::count(&self.jetstream, "WASMILL_REDRIVES").await.unwrap() > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(wasmill_tests::place::PATIENCE, wait).await.expect("redrives are left over");
    }
}

fn dead(count: usize) -> impl Fn(&PluginStatus) -> bool {
    move |status| status.counters.dead_lettered == count as u64 && status.counters.in_flight == 0
}

fn numbers(letters: &[Value]) -> Vec<u64> {
    letters.iter().map(|letter| letter["sequence"].as_u64().unwrap()).collect()
}

impl Ended {
    /// What it said, if it ended with this code.
    #[track_caller]
    pub fn said(&self, code: i32, text: &str) {
        assert_eq!(self.code, Some(code), "wanted {text:?}: {self:#?}");
        assert!(self.stderr.contains(text), "wanted {text:?}: {self:#?}");
    }
}

/// `wasmill dead-letter edit` with an editor.
fn edit_with(scene: &Scene, letter: u64, editor: &str) -> Ended {
    let letter = letter.to_string();
    let url = scene.server.url();
    let mut command =
        wasmill(&scene.place.plugins(), &["dl", "edit", letter.as_str(), "--bus-url", url.as_str()]);
    ended(command.env_remove("VISUAL").env("EDITOR", editor))
}
