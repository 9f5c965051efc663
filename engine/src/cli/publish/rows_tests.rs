use super::*;

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Every row as `number line json picked…`, then the error if one ended it.
fn read(syntax: Syntax, text: &str, selection: Selection) -> Vec<String> {
    let reader = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
    let mut rows = match Rows::new(syntax, reader, selection) {
        Ok(rows) => rows,
        Err(err) => return vec![err.to_string()],
    };
    let mut row = Row::default();
    let mut seen = Vec::new();
    loop {
        match rows.next(&mut row) {
            Ok(false) => return seen,
            Ok(true) => {
                let json = String::from_utf8(row.json.clone()).unwrap();
                seen.push(
                    format!("{} {} {json} {}", row.number, row.line, row.picked.join("|"))
                        .trim_end()
                        .to_owned(),
                );
            }
            Err(err) => {
                seen.push(format!("{} {} {err}", row.number, row.line));
                return seen;
            }
        }
    }
}

#[test]
fn csv_rows_become_objects() {
    let text = "\u{feff}id,at,note\n07,5.50,\"a \"\"b\"\",\nc\"\n8,,true\n";
    assert_eq!(
        read(Syntax::Csv, text, Selection::default()),
        [r#"1 2 {"id":"07","at":5.50,"note":"a \"b\",\nc"}"#, r#"2 4 {"id":8,"at":null,"note":true}"#]
    );
    let selection = Selection {
        picked: list(&["note", "id"]),
        omit: list(&["at"]),
        text: list(&["id"]),
        ..Selection::default()
    };
    assert_eq!(read(Syntax::Csv, "id,at,note\n8,1,x\n", selection), [r#"1 2 {"id":"8","note":"x"} x|8"#]);
    let selection = Selection { only: list(&["at"]), ..Selection::default() };
    assert_eq!(read(Syntax::Csv, "id,at\n8,1\n", selection), [r#"1 2 {"at":1}"#]);
}

#[test]
fn bad_csv_is_named_with_its_place() {
    let picked = |name: &str| Selection { picked: list(&[name]), ..Selection::default() };
    for (text, selection, wanted) in [
        ("a,b\n1,2\n3\n", Selection::default(), "it has 1 cells, but the heading names 2"),
        ("a,a\n1,2\n", Selection::default(), "names \"a\" twice"),
        ("a,,b\n1,2,3\n", Selection::default(), "no name for column 2"),
        ("amount,time\n1,2\n", picked("amuont"), "did you mean \"amount\""),
        ("amount,time\n1,2\n", picked("zzz"), "there are amount, time"),
    ] {
        let seen = read(Syntax::Csv, text, selection);
        assert!(seen.last().unwrap().contains(wanted), "{text:?} gave {seen:?}");
    }
    let seen = read(Syntax::Csv, "a,b\n1,2\n3\n", Selection::default());
    assert!(seen[1].starts_with("2 3 "), "{seen:?}");
    assert!(read(Syntax::Csv, "a,b\n", Selection::default()).is_empty());
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let reader = Box::new(std::io::Cursor::new(b"a\n\xff\n".to_vec()));
    let mut rows = Rows::new(Syntax::Csv, reader, Selection::default()).unwrap();
    let err = rows.next(&mut Row::default()).unwrap_err();
    assert_eq!(err.to_string(), "cell 1 is not UTF-8");
}

#[test]
fn json_lines_pass_unchanged() {
    let text = "{\"a\": 1.10, \"b\": 12345678901234567890}\r\n\n {\"a\":2} \n{\"a\":3}";
    assert_eq!(
        read(Syntax::Ndjson, text, Selection::default()),
        [r#"1 1 {"a": 1.10, "b": 12345678901234567890}"#, r#"2 3 {"a":2}"#, r#"3 4 {"a":3}"#]
    );
    let selection = Selection { picked: list(&["a", "n"]), omit: list(&["b"]), ..Selection::default() };
    assert_eq!(
        read(Syntax::Ndjson, "{\"b\":1,\"a\":true,\"n\":null,\"c\":[1]}", selection),
        [r#"1 1 {"a":true,"n":null,"c":[1]} true|"#]
    );
}

#[test]
fn bad_json_lines_are_named_with_their_place() {
    let picked = Selection { picked: list(&["amount"]), ..Selection::default() };
    for (text, selection, wanted) in [
        ("[1]\n", Selection::default(), "1 1 no JSON object: the line does not begin"),
        ("{\"a\":1}\n{\"a\":\n", Selection::default(), "2 2 no JSON object: EOF"),
        ("{\"a\":1} x\n", Selection::default(), "1 1 no JSON object: trailing"),
        ("{\"amuont\":1}\n", picked.clone(), "no field \"amount\"\n  hint: did you mean \"amuont\""),
        ("{\"amount\":[1]}\n", picked, "list or an object"),
    ] {
        let seen = read(Syntax::Ndjson, text, selection);
        assert!(seen.last().unwrap().contains(wanted), "{text:?} gave {seen:?}");
    }
}
