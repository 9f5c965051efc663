//! The loop.

use std::hint::black_box;

use serde_json::{Value, json};

pub fn run() {
    let mut count = 0;
    let mut before = String::new();
    for line in std::io::stdin().lines() {
        let event: Value = line.ok().and_then(|line| serde_json::from_str(&line).ok()).unwrap_or_default();
        count += 1;
        let (data, id) = (&event["data"], event["id"].as_str().unwrap_or_default());
        let say = |data: Value| println!("{}", json!({"event": id, "subject": "alerts.said", "data": data}));
        match data["do"].as_str().unwrap_or_default() {
            "echo" => say(event.clone()),
            "count" => say(json!({"id": data["id"], "count": count})),
            "many" => (0..data["n"].as_u64().unwrap_or_default()).for_each(|number| say(json!(number))),
            "config" => {
                let config = std::env::var("WASMILL_CONFIG").unwrap_or_default();
                let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                let files = std::fs::read_dir("/").is_ok();
                say(json!({"config": config, "s": time.unwrap_or_default().as_secs(), "files": files}));
            }
            "log" => eprintln!("a word to the operator"),
            "retry" => println!("{}", json!({"retry": "not yet"})),
            "reject" => println!("{}", json!({"reject": "never"})),
            "garbage" => println!("hello, world"),
            "late" => println!("{}", json!({"event": before, "subject": "alerts.late"})),
            "exit" => {
                eprintln!("the table is missing");
                std::process::exit(3);
            }
            "quit" => {
                say(json!("last"));
                std::process::exit(0);
            }
            "panic" => explode(),
            "loop" => loop {
                black_box(count);
            },
            "hog" => {
                let mut kept = Vec::new();
                loop {
                    kept.push(black_box(vec![1_u8; 1 << 20]));
                }
            }
            "flood" => loop {
                say(json!("x".repeat(10_000)));
            },
            _ => {}
        }
        before = id.to_owned();
    }
}

#[allow(clippy::panic, reason = "that is what it is for")]
#[inline(never)]
fn explode() {
    panic!("boom");
}
