package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"wasmill"
	"wasmill/lookup"
	"wasmill/migrate"
	"wasmill/state"
	"wasmill/timers"
)

func init() {
	timers.Handle(onTimer)
	migrate.Handle(migrated)
}

// script does what each line of a script says and returns the answers, one a line.
func script(text []byte) ([]byte, error) {
	var answers [][]byte
	if len(text) == 0 {
		return nil, nil
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		answer, err := command(line)
		if name := refused(err); name != "" {
			answer, err = []byte("error "+name), nil
		}
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer)
	}
	return bytes.Join(answers, []byte("\n")), nil
}

// refused names an access that the engine refused.
func refused(err error) string {
	if field, ok := errors.AsType[*state.Error](err); ok {
		if field.Kind == state.TooLarge {
			return fmt.Sprintf("%s %d", field.Kind, field.Limit)
		}
		return string(field.Kind)
	}
	if timer, ok := errors.AsType[*timers.Error](err); ok {
		if timer.Kind == timers.TooMany {
			return fmt.Sprintf("%s %d", timer.Kind, timer.Limit)
		}
		return string(timer.Kind)
	}
	if table, ok := errors.AsType[*lookup.Error](err); ok {
		return string(table.Kind)
	}
	return ""
}

func command(line string) ([]byte, error) {
	first, rest, _ := strings.Cut(line, " ")
	name, value, _ := strings.Cut(rest, " ")
	number, data, _ := strings.Cut(value, " ")
	switch first {
	case "get":
		return found(state.Get(rest))
	case "set":
		return done(state.Set(name, []byte(value)))
	case "delete":
		return done(state.Delete(rest))
	case "names":
		names, err := state.Names(rest)
		return []byte(strings.Join(append([]string{"names"}, names...), " ")), err
	case "at":
		due, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return nil, err
		}
		return done(timers.Set(name, due, []byte(data)))
	case "after":
		ms, err := strconv.Atoi(number)
		if err != nil {
			return nil, err
		}
		return done(timers.After(name, time.Duration(ms)*time.Millisecond, []byte(data)))
	case "cancel":
		return done(timers.Cancel(rest))
	case "lookup":
		return found(lookup.Get(name, value))
	case "fail":
		return nil, wasmill.Reject("never: ü")
	default:
		return typed(first, name, value)
	}
}

// typed is a command on a field with a type.
func typed(first, name, value string) ([]byte, error) {
	key, data, _ := strings.Cut(value, " ")
	switch first {
	case "count":
		more, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, err
		}
		count, err := state.Counter{Name: name}.Add(more)
		return fmt.Append(nil, "value ", count), err
	case "push":
		bound, err := strconv.Atoi(key)
		if err != nil {
			return nil, err
		}
		values, err := state.List[string]{Name: name, Bound: bound}.Push(data)
		return fmt.Append(nil, "value ", len(values)), err
	case "put":
		return done(state.Map[string]{Name: name}.Entry(key).Set(data))
	case "add":
		isNew, err := state.Members{Name: name}.Add(value)
		return []byte(map[bool]string{true: "value new", false: "value known"}[isNew]), err
	default:
		return nil, wasmill.Reject("unknown command " + first)
	}
}

func found(value []byte, there bool, err error) ([]byte, error) {
	if !there {
		return []byte("none"), err
	}
	return append([]byte("value "), value...), err
}

func done(err error) ([]byte, error) {
	return []byte("ok"), err
}

// swap returns what the field raw was, which now is this.
func swap(data []byte) ([]wasmill.Output, error) {
	before, there, err := state.Get("raw")
	if err == nil {
		err = state.Set("raw", data)
	}
	was := map[bool]string{true: "yes", false: "no"}[there]
	return wasmill.One(wasmill.Bytes(out, before).WithHeader("x-before", was), err)
}

func onTimer(timer *timers.Timer) ([]wasmill.Output, error) {
	answers, err := script(timer.Data)
	output := wasmill.Bytes(out+".timer", answers).
		WithHeader("x-name", timer.Name).
		WithHeader("x-key", timer.Key).
		WithHeader("x-due", strconv.FormatUint(timer.DueNS, 10)).
		WithHeader("x-now", strconv.FormatUint(wasmill.NowNS(), 10))
	return wasmill.One(output, err)
}

func migrated(from, name string, value []byte) ([]byte, error) {
	switch name {
	case "drop":
		return nil, nil
	case "bad":
		return nil, errors.New("bad of " + from)
	default:
		return append([]byte(from+":"), value...), nil
	}
}
