//! What a document promises: that its paths exist and that its commands are understood.

use std::path::PathBuf;
use std::process::Command;

use wasmill_tests::parts;

/// What a document may name though it is not in the tree: cargo makes it, or another build in its folder.
const BUILT: &[&str] = &["target/", "build/"];
/// What makes a word without a slash a path.
const ENDINGS: &[&str] = &[".md", ".toml", ".rs", ".wit", ".wasm", ".wat", ".json", ".csv", ".gz", ".ndjson"];
/// Names that a reader gives to files of their own.
const READERS_OWN: &[&str] = &["wasmill.toml", "large-payment.toml", "large-payment.wasm"];
/// Fences whose lines are typed into a shell.
const SHELLS: &[&str] = &["", "sh", "bash", "console", "shell"];

/// Words of a document in `folder` (empty, or with a slash at its end) that look like paths of the tree and are none.
pub fn path_faults(text: &str, folder: &str, tree: &[String]) -> Vec<String> {
    let mut faults: Vec<_> = candidates(text)
        .into_iter()
        .filter(|path| !exists(path, tree) && !exists(&format!("{folder}{path}"), tree))
        .map(|path| format!("{path:?} is neither in the tree nor declared a build product"))
        .collect();
    faults.dedup();
    faults
}

fn exists(path: &str, tree: &[String]) -> bool {
    let folder = format!("{path}/");
    tree.iter().any(|file| file == path || file.starts_with(&folder))
        || BUILT.iter().any(|built| folder.starts_with(built))
        || READERS_OWN.contains(&path)
}

fn candidates(text: &str) -> Vec<String> {
    let (prose, fences) = split(text);
    let links = prose.match_indices("](").filter_map(|(at, _)| prose[at + 2..].split([')', '#']).next());
    let spans = prose.split('`').skip(1).step_by(2);
    let commands = fences.iter().flat_map(|line| line.split_whitespace());
    let words = spans.flat_map(str::split_whitespace).chain(commands).filter(|word| is_path(word));
    let links = links.filter(|link| !link.is_empty() && !link.contains(':'));
    links
        .chain(words)
        .map(|word| word.trim_start_matches("./").trim_end_matches(['/', ',', '.']).to_owned())
        .collect()
}

fn is_path(word: &str) -> bool {
    let foreign =
        word.starts_with(['/', '-', '~', '.']) && !word.starts_with("./") && !word.starts_with(".ci/");
    let coded = word.contains([':', '@', '<', '>', '*', '{', '}', '$', '=', '|', '…', '"', '\'', '(']);
    let media = word.starts_with("application/") || word.starts_with("text/");
    let first = word.split('/').next().unwrap_or(word);
    let placeholder = first.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    !foreign
        && !coded
        && !media
        && !placeholder
        && (word.contains('/') || ENDINGS.iter().any(|ending| word.ends_with(ending)))
}

/// Prose without fences, and the lines of those fences that are typed into a shell, continuation lines joined.
fn split(text: &str) -> (String, Vec<String>) {
    let (mut prose, mut lines) = (String::new(), Vec::<String>::new());
    let (mut fence, mut continues) = (None::<bool>, false);
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(SHELLS.contains(&language.trim())) };
            continue;
        }
        match fence {
            None => prose.extend([line, "\n"]),
            Some(false) => {}
            Some(true) => {
                let (part, more) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
                match lines.last_mut().filter(|_| continues) {
                    Some(last) => last.push_str(part),
                    None => lines.push(part.to_owned()),
                }
                continues = more;
            }
        }
    }
    (prose, lines)
}

/// One of the two programs that documents tell readers to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `cargo xtask …`
    Xtask,
    /// `wasmill …`
    Wasmill,
}

/// Says whether a program understands these arguments, and if not, why.
pub type Accepts<'a> = dyn FnMut(Program, &[String]) -> Result<(), String> + 'a;

/// Commands that their program does not understand.
pub fn command_faults(text: &str, accepts: &mut Accepts<'_>) -> Vec<String> {
    let (prose, fences) = split(text);
    let spans = prose.split('`').skip(1).step_by(2).map(|span| plain_words(span).join(" "));
    let mut faults = Vec::new();
    for line in fences.into_iter().chain(spans) {
        for (program, words) in commands(&line) {
            if let Err(why) = accepts(program, &words) {
                faults.push(format!("{:?}: {why}", line.trim()));
            }
        }
    }
    faults
}

/// The beginning of an inline span up to what stands for something else, as in `wasmill check FILE…`.
fn plain_words(span: &str) -> Vec<&str> {
    let is_plain = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    span.split_whitespace().take_while(is_plain).filter(|word| !word.starts_with('-')).collect()
}

/// The commands of one shell line that are ours.
fn commands(line: &str) -> Vec<(Program, Vec<String>)> {
    let line = line.trim_start().trim_start_matches("$ ");
    let mut found = Vec::new();
    for words in shell_words(line) {
        let mut words = words.into_iter().skip_while(|word| is_assignment(word));
        let Some(first) = words.next() else { continue };
        if first == "cargo" {
            if words.next().as_deref() == Some("xtask") {
                found.push((Program::Xtask, words.collect()));
            }
        } else if first == "wasmill" || first.ends_with("/wasmill") {
            found.push((Program::Wasmill, words.collect()));
        }
    }
    found
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

/// The words of each command in a shell line: quotes keep together, `|`, `;`, `&` and line-end comments divide.
fn shell_words(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let (mut word, mut quote) = (None::<String>, None::<char>);
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() || "|;&>".contains(c) => {
                if let Some(last) = commands.last_mut() {
                    last.extend(word.take());
                }
                if !c.is_whitespace() {
                    commands.push(Vec::new());
                }
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    commands
}

/// Asks the program itself: with `--help` it reads its arguments and runs nothing.
pub fn accepts(program: Program, arguments: &[String]) -> Result<(), String> {
    let ours: Vec<_> =
        arguments.iter().take_while(|argument| *argument != "--").map(String::as_str).collect();
    match (program, ours.as_slice()) {
        (Program::Wasmill, all) => ask(parts::wasmill(), all),
        (Program::Xtask, []) => ask(parts::xtask(), &["help"]),
        (Program::Xtask, [task, rest @ ..]) => {
            ask(parts::xtask(), &[task])?;
            if *task == "demo" { ask(parts::wasmill(), &[&["demo"], rest].concat()) } else { Ok(()) }
        }
    }
}

fn ask(program: anyhow::Result<PathBuf>, arguments: &[&str]) -> Result<(), String> {
    let program = program.map_err(|err| err.to_string())?;
    let ran = Command::new(&program).args(arguments).arg("--help").output();
    let ran = ran.map_err(|err| format!("{}: {err}", program.display()))?;
    if ran.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ran.stderr).trim().to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad_paths(text: &str) -> usize {
        let tree = ["README.md", "examples/a/wasmill.toml", ".ci/run"].map(str::to_owned);
        path_faults(text, "examples/", &tree).len()
    }

    #[test]
    fn paths_are_found_in_links_spans_and_commands() {
        for text in [
            "[a](examples/a) [a](a) `a/wasmill.toml` `README.md` `examples/a/wasmill.toml` `./examples/` `wasmill.toml` `.ci/run`",
            "[site](https://example.org/x.md) [here](#there) `/metrics` `payments.card` `application/json`",
            "`target/release/wasmill` `plugins/<name>.wasm` `wasmill:plugin/types` `--dir=x/y` `DIR/a.toml`",
            "```sh\n./target/release/wasmill run -c examples/a/wasmill.toml\n```",
            "```rust\nuse a/b.rs;\n```",
        ] {
            assert_eq!(bad_paths(text), 0, "{text}");
        }
        for text in ["[a](examples/b)", "`docs/x`", "`gone.md`", "```sh\nwasmill run -c examples/b.toml\n```"]
        {
            assert_eq!(bad_paths(text), 1, "{text}");
        }
    }

    fn asked(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        command_faults(text, &mut |program, words| {
            all.push(format!("{program:?} {}", words.join("+")));
            Ok(())
        });
        all
    }

    #[test]
    fn commands_are_found_in_fences_and_spans() {
        for (text, wanted) in [
            ("```sh\n$ cargo xtask demo --events 5 # see\n```", "Xtask demo+--events+5"),
            ("```\nA_B=1 ./target/release/wasmill run -c 'a b' > x\n```", "Wasmill run+-c+a b"),
            ("```sh\nzcat x | wasmill publish - \\\n  --subject s\n```", "Wasmill publish+-+--subject+s"),
            ("use `wasmill check FILE…` to", "Wasmill check"),
        ] {
            assert_eq!(asked(text), [wanted], "{text}");
        }
        assert!(asked("`cargo build` and `wasmillions`\n```json\nwasmill x\n```").is_empty());
    }

    #[test]
    fn a_command_that_is_none_is_a_fault() {
        let faults = command_faults("`cargo xtask fly`", &mut |_, _| Err("no such command".to_owned()));
        assert_eq!(faults, ["\"cargo xtask fly\": no such command"]);
    }
}
