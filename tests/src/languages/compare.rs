//! Whether what came is what was wanted, and if not, the first difference in a few words.

use serde_json::Value;
use wasmill::effects::Proposed;
use wasmill::outcome::Failure;
use wasmill::sandbox::LogLine;

use super::checks::{Data, Wanted, WantedLine, WantedOutput};
use super::play::Told;

/// The most of a value that a difference shows, in characters.
const SHOWN_CHARS: usize = 160;

/// Whether one wish holds of what came, given what came of the events before.
///
/// # Errors
/// Says what does not hold.
pub fn holds(wanted: &Wanted, told: &Told, before: &[Told]) -> Result<(), String> {
    match wanted {
        Wanted::Outputs(wanted) => outputs(wanted, told),
        Wanted::Retry(after_ms, reason) => match &told.answer {
            Err((Failure::Retry { after, reason: given }, _))
                if after.map(|after| after.as_millis()) == after_ms.map(u128::from) && given == reason =>
            {
                Ok(())
            }
            _ => Err(format!("a retry after {after_ms:?} ms for {reason:?} was wanted; {}", ended(told))),
        },
        Wanted::Rejected(reason) => match &told.answer {
            Err((Failure::Rejected(given), _)) if given == reason => Ok(()),
            _ => Err(format!("a rejection for {reason:?} was wanted; {}", ended(told))),
        },
        Wanted::RejectedNaming(groups) => match &told.answer {
            Err((Failure::Rejected(given), _)) => names_all(given, groups),
            _ => Err(format!("a rejection was wanted; {}", ended(told))),
        },
        Wanted::Fails(names) => match &told.answer {
            Err((failure, _)) if names.contains(&failure.name()) => Ok(()),
            _ => Err(format!("the failure {} was wanted; {}", names.join(" or "), ended(told))),
        },
        Wanted::FailsSomehow => match &told.answer {
            Err((failure, _)) if failure.is_plugins_fault() => Ok(()),
            _ => Err(format!("a failure of the plugin's was wanted; {}", ended(told))),
        },
        Wanted::Declines => match &told.answer {
            Err((failure, _)) if failure.is_plugins_fault() || failure.name() == "rejected" => Ok(()),
            _ => Err(format!("a rejection or a failure of the plugin's was wanted; {}", ended(told))),
        },
        Wanted::Says(text) => says(text, told),
        Wanted::Traces(names) => traces(names, told),
        Wanted::Logs(wanted) => logs(wanted, &told.lines),
        Wanted::Prints(text) => match told.lines.as_slice() {
            [line] if line.message == *text => Ok(()),
            other => Err(format!("the line {text:?} was to be printed; {}", lines(other))),
        },
        Wanted::AsStep(at) => same(told, before, *at),
        Wanted::UnlikeStep(at) => match same(told, before, *at) {
            Err(_) => Ok(()),
            Ok(()) => Err(format!("something else than at event {} was wanted; {}", at + 1, ended(told))),
        },
        Wanted::Judged(judge) => judge(told),
    }
}

fn same(told: &Told, before: &[Told], at: usize) -> Result<(), String> {
    match before.get(at) {
        Some(earlier) if earlier == told => Ok(()),
        Some(earlier) => Err(format!(
            "the same as at event {} was wanted, which was {} and logged {}; {} and logged {}",
            at + 1,
            ended(earlier),
            lines(&earlier.lines),
            ended(told),
            lines(&told.lines)
        )),
        None => Err(format!("there is no event {}", at + 1)),
    }
}

fn names_all(text: &str, groups: &[&[&str]]) -> Result<(), String> {
    let lower = text.to_lowercase();
    match groups.iter().find(|group| !group.iter().any(|word| lower.contains(word))) {
        None if !text.trim().is_empty() => Ok(()),
        None => Err("the rejection gives no reason".to_owned()),
        Some(group) => Err(format!("the rejection's reason does not name {}: {text:?}", group.join(" or "))),
    }
}

fn says(text: &str, told: &Told) -> Result<(), String> {
    let failed = matches!(&told.answer, Err((failure, _)) if failure.to_string().contains(text));
    if failed || told.lines.iter().any(|line| line.message.contains(text)) {
        return Ok(());
    }
    Err(format!("neither failure nor log says {text:?}; {}, and logged {}", ended(told), lines(&told.lines)))
}

fn traces(names: &[&str], told: &Told) -> Result<(), String> {
    match &told.answer {
        Err((_, Some(trace))) if names.iter().any(|name| trace.contains(name)) => Ok(()),
        Err((_, Some(trace))) => Err(format!("the trace names none of {}: {trace:?}", names.join(", "))),
        _ => Err(format!("a failure with a trace was wanted; {} without one", ended(told))),
    }
}

fn logs(wanted: &[WantedLine], heard: &[LogLine]) -> Result<(), String> {
    let fits = |line: &LogLine, wanted: &WantedLine| {
        let has = |(name, value): &(&str, String)| line.fields.iter().any(|(n, v)| n == name && v == value);
        line.level == wanted.level
            && line.message == wanted.message
            && line.fields.len() == wanted.fields.len()
            && wanted.fields.iter().all(has)
    };
    if heard.len() == wanted.len() && heard.iter().zip(wanted).all(|(line, wanted)| fits(line, wanted)) {
        return Ok(());
    }
    Err(format!("the log lines {wanted:?} were wanted; {}", lines(heard)))
}

fn outputs(wanted: &[WantedOutput], told: &Told) -> Result<(), String> {
    let Ok(outputs) = &told.answer else {
        return Err(format!("{} outputs were wanted; {}", wanted.len(), ended(told)));
    };
    if outputs.len() != wanted.len() {
        return Err(format!("{} outputs were wanted, {} came", wanted.len(), outputs.len()));
    }
    for (index, (wanted, output)) in wanted.iter().zip(outputs).enumerate() {
        one_output(wanted, output).map_err(|why| format!("output {index}: {why}"))?;
    }
    Ok(())
}

fn one_output(wanted: &WantedOutput, output: &Proposed) -> Result<(), String> {
    differs("subject", &wanted.subject, &output.subject)?;
    differs("type", &wanted.kind, &output.kind)?;
    let is_json = |(name, value): &(String, String)| {
        name.eq_ignore_ascii_case("content-type") && value == "application/json"
    };
    let came: Vec<_> =
        output.headers.iter().filter(|header| !(wanted.may_be_json && is_json(header))).collect();
    if let Some((wanted, came)) = wanted.headers.iter().zip(&came).find(|(wanted, came)| wanted != *came) {
        return differs("header", &wanted, came);
    }
    differs("number of headers", &wanted.headers.len(), &came.len())?;
    match &wanted.data {
        Data::Bytes(bytes) if *bytes == output.data => Ok(()),
        Data::Bytes(bytes) => {
            Err(format!("{} was wanted as data, {} came", bytes_shown(bytes), bytes_shown(&output.data)))
        }
        Data::Json(value) => {
            let given: Value = serde_json::from_slice(&output.data)
                .map_err(|err| format!("the data is no JSON, {err}: {}", bytes_shown(&output.data)))?;
            json_differs("", value, &given)
        }
    }
}

fn differs<T: PartialEq + std::fmt::Debug>(what: &str, wanted: &T, given: &T) -> Result<(), String> {
    if wanted == given {
        return Ok(());
    }
    Err(format!("{what} {} was wanted, {} came", shown(&format!("{wanted:?}")), shown(&format!("{given:?}"))))
}

/// Whether two JSON values say the same; else the place of the first difference.
fn json_differs(place: &str, wanted: &Value, given: &Value) -> Result<(), String> {
    match (wanted, given) {
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => Ok(()),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .try_for_each(|(at, (a, b))| json_differs(&format!("{place}/{at}"), a, b)),
        (Value::Object(a), Value::Object(b))
            if a.keys().all(|key| b.contains_key(key)) && a.len() == b.len() =>
        {
            a.iter().try_for_each(|(key, a)| {
                json_differs(&format!("{place}/{key}"), a, b.get(key).unwrap_or(&Value::Null))
            })
        }
        (a, b) if a == b => Ok(()),
        (a, b) => Err(format!(
            "{} was wanted at {place:?} of the data, {} came",
            shown(&a.to_string()),
            shown(&b.to_string())
        )),
    }
}

/// How an event ended, in a few words.
#[must_use]
pub fn ended(told: &Told) -> String {
    match &told.answer {
        Ok(outputs) => {
            let first =
                outputs.first().map(|output| format!(", the first with {}", bytes_shown(&output.data)));
            format!("it ended in {} outputs{}", outputs.len(), first.unwrap_or_default())
        }
        Err((failure, _)) => format!("it ended in {}: {}", failure.name(), shown(&failure.line())),
    }
}

/// Log lines in a few words.
#[must_use]
pub fn lines(lines: &[LogLine]) -> String {
    if lines.is_empty() {
        return "nothing".to_owned();
    }
    let said = lines.iter().map(|line| format!("{} {:?} {:?}", line.level, line.message, line.fields));
    shown(&said.collect::<Vec<_>>().join("; "))
}

fn bytes_shown(bytes: &[u8]) -> String {
    shown(&format!("{} bytes \"{}\"", bytes.len(), String::from_utf8_lossy(bytes).escape_debug()))
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(answer: Result<Vec<Proposed>, Failure>) -> Told {
        Told { answer: answer.map_err(|failure| (failure, Some("at explode".to_owned()))), lines: Vec::new() }
    }

    fn proposed(data: &str) -> Proposed {
        Proposed { subject: "conformance.out".to_owned(), data: data.into(), ..Proposed::default() }
    }

    fn json_output(value: Value) -> Wanted {
        let mut output = WantedOutput::of("");
        output.data = Data::Json(value);
        Wanted::Outputs(vec![output])
    }

    #[test]
    fn json_compares_by_value() {
        let came = told(Ok(vec![proposed(r#"{"b": [1, 2.50], "a": 25.0}"#)]));
        assert_eq!(holds(&json_output(json!({"a": 25, "b": [1.0, 2.5]})), &came, &[]), Ok(()));
        let why = holds(&json_output(json!({"a": 25, "b": [1, 3]})), &came, &[]).unwrap_err();
        assert_eq!(why, "output 0: 3 was wanted at \"/b/1\" of the data, 2.5 came");
        assert!(holds(&json_output(json!({"a": 25})), &came, &[]).is_err());
    }

    #[test]
    fn every_wish_can_be_disappointed() {
        let output = told(Ok(vec![proposed("x")]));
        let rejected = told(Err(Failure::Rejected("missing field `amount`".to_owned())));
        for (wanted, holds_of, not_of) in [
            (Wanted::Outputs(vec![WantedOutput::of("x")]), &output, &rejected),
            (Wanted::Outputs(vec![WantedOutput::of("x")]), &output, &told(Ok(vec![proposed("y")]))),
            (Wanted::Outputs(Vec::new()), &told(Ok(Vec::new())), &output),
            (Wanted::Rejected("no".to_owned()), &told(Err(Failure::Rejected("no".to_owned()))), &rejected),
            (
                Wanted::RejectedNaming(&[&["amount"]]),
                &rejected,
                &told(Err(Failure::Rejected("x".to_owned()))),
            ),
            (Wanted::RejectedNaming(&[]), &rejected, &told(Err(Failure::Rejected(String::new())))),
            (Wanted::Fails(&["stack-limit"]), &told(Err(Failure::Stack)), &rejected),
            (Wanted::FailsSomehow, &told(Err(Failure::Stack)), &told(Err(Failure::Engine(String::new())))),
            (Wanted::Declines, &rejected, &output),
            (Wanted::Declines, &told(Err(Failure::Stack)), &told(Err(Failure::Engine(String::new())))),
            (Wanted::Says("amount"), &rejected, &output),
            (Wanted::Traces(vec!["explode"]), &rejected, &output),
            (Wanted::Logs(Vec::new()), &output, &Told { lines: vec![line("x")], ..told(Ok(Vec::new())) }),
            (Wanted::Prints("x"), &Told { lines: vec![line("x")], ..told(Ok(Vec::new())) }, &output),
            (Wanted::Retry(None, "a"), &told(Err(retry(None, "a"))), &told(Err(retry(Some(1), "a")))),
        ] {
            assert_eq!(holds(&wanted, holds_of, &[]), Ok(()));
            assert!(holds(&wanted, not_of, &[]).is_err());
        }
        assert_eq!(holds(&Wanted::AsStep(0), &output, &[told(Ok(vec![proposed("x")]))]), Ok(()));
        assert!(holds(&Wanted::AsStep(0), &output, &[rejected]).is_err());
        assert!(holds(&Wanted::UnlikeStep(0), &output, &[told(Ok(vec![proposed("x")]))]).is_err());
    }

    fn retry(after_ms: Option<u64>, reason: &str) -> Failure {
        Failure::Retry { after: after_ms.map(std::time::Duration::from_millis), reason: reason.to_owned() }
    }

    fn line(message: &str) -> LogLine {
        LogLine {
            event: "e".to_owned(),
            level: tracing::Level::INFO,
            message: message.to_owned(),
            fields: Vec::new(),
        }
    }
}
