//! What is kept of a run that is not valid, for whoever looks into it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::json;
use wasmill_tests::checker::read::Stored;
use wasmill_tests::parts;

use crate::stage::Ended;

/// Writes everything into a folder of this name and returns it.
pub fn keep(name: &str, ended: &Ended, server_log: &str) -> Result<PathBuf> {
    let folder = parts::target()?.join("chaos/failures").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let verdict = format!("{:?}\n{}\n{}\n", ended.verdict, ended.findings, ended.notes.join("\n"));
    let mut files = vec![
        ("verdict.txt".to_owned(), verdict),
        ("history.jsonl".to_owned(), ended.history.clone()),
        ("outputs.jsonl".to_owned(), lines(&ended.found.outputs)),
        ("dead-letters.jsonl".to_owned(), lines(&ended.found.letters)),
        ("state.jsonl".to_owned(), lines(&ended.state)),
        ("server.log".to_owned(), server_log.to_owned()),
    ];
    for (number, log) in ended.logs.iter().enumerate() {
        files.push((format!("engine-{number}.log"), log.clone()));
    }
    for (file, text) in files {
        std::fs::write(folder.join(&file), text).with_context(|| format!("write {file}"))?;
    }
    Ok(folder)
}

fn lines(messages: &[Stored]) -> String {
    let line = |message: &Stored| {
        let line = json!({
            "sequence": message.sequence,
            "subject": message.subject,
            "headers": message.headers,
            "payload": String::from_utf8_lossy(&message.payload),
        });
        format!("{line}\n")
    };
    messages.iter().map(line).collect()
}
