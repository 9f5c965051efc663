package wasmill

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// maxNesting is how deep arrays and objects of a payload may be nested: each level takes a part of the stack that the
	// engine gives a guest, and a stack that runs out cannot be caught.
	maxNesting = 128
	// maxFault is the longest description of a fault, in bytes: a hostile payload must not become a hostile reason.
	maxFault = 512
)

// errFault says in its text what is wrong with JSON, and where.
type errFault string

func (e errFault) Error() string {
	return string(e)
}

// decode reads JSON into what target points at. An error that is no errFault is a mistake in the program.
func decode(what string, data []byte, target any) error {
	if len(data) == 0 {
		return errFault(what + ": it is empty, not JSON")
	}
	if at := notText(data); at >= 0 {
		return errFault(what + ": not UTF-8 " + place(data, at))
	}
	if at := tooDeep(data); at >= 0 {
		return errFault(fmt.Sprintf("%s: nested deeper than %d %s", what, maxNesting, place(data, at)))
	}
	err := json.Unmarshal(data, target)
	if _, mistake := errors.AsType[*json.InvalidUnmarshalError](err); err == nil || mistake {
		return err
	}
	fault := explain(what, data, err)
	if len(fault) > maxFault {
		fault = strings.ToValidUTF8(fault[:maxFault], "") + "..."
	}
	return errFault(fault)
}

// explain says what is wrong in the words of JSON, not in those of Go.
func explain(what string, data []byte, err error) string {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return what + ": " + strings.TrimPrefix(err.Error(), "json: ") + " " + place(data, int(syntax.Offset))
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field != "" {
			what += ": `" + wrong.Field + "`"
		}
		text := fmt.Sprintf("%s: a JSON %s does not fit %s %s", what, wrong.Value, wrong.Type, place(data, int(wrong.Offset)))
		if wrong.Err != nil {
			text += ": " + wrong.Err.Error()
		}
		return text
	}
	return what + ": " + strings.TrimPrefix(err.Error(), "json: ")
}

// place names an offset by line and column, both from 1.
func place(data []byte, offset int) string {
	before := data[:min(max(offset, 0), len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf("at line %d column %d", line, column)
}

// notText is the offset of the first byte that is not UTF-8, or -1. JSON is UTF-8, and encoding/json would put another
// character in its place.
func notText(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	at := 0
	for {
		char, size := utf8.DecodeRune(data[at:])
		if char == utf8.RuneError && size <= 1 {
			return at
		}
		at += size
	}
}

// tooDeep is the offset at which the nesting passes its bound, or -1.
func tooDeep(data []byte) int {
	if bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) <= maxNesting {
		return -1
	}
	depth, quoted := 0, false
	for at := 0; at < len(data); at++ {
		switch data[at] {
		case '"':
			quoted = !quoted
		case '\\':
			at++
		case '{', '[':
			if !quoted {
				depth++
			}
		case '}', ']':
			if !quoted {
				depth--
			}
		}
		if depth > maxNesting {
			return at
		}
	}
	return -1
}
