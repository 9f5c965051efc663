package wasmill

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"wasmill/internal/host"
)

// LevelTrace is the level of [Trace] for loggers of log/slog, which have none below debug.
const LevelTrace = slog.LevelDebug - 4

// Trace writes a line about every step, for the author. The arguments are names and values by turns, here and in the other
// functions of the log: wasmill.Info("over the limit", "amount", 7).
func Trace(message string, fields ...any) {
	host.Log(host.Trace, message, pairs(fields))
}

// Debug writes a line for the author.
func Debug(message string, fields ...any) {
	host.Log(host.Debug, message, pairs(fields))
}

// Info writes a line for the operator, when all is well.
func Info(message string, fields ...any) {
	host.Log(host.Info, message, pairs(fields))
}

// Warn writes a line about something odd.
func Warn(message string, fields ...any) {
	host.Log(host.Warn, message, pairs(fields))
}

// Error writes a line about something that failed.
func Error(message string, fields ...any) {
	host.Log(host.Error, message, pairs(fields))
}

// pairs makes text of names and values by turns. A last name without a value has an empty one.
func pairs(fields []any) [][2]string {
	texts := make([][2]string, (len(fields)+1)/2)
	for i, field := range fields {
		texts[i/2][i%2] = text(field)
	}
	return texts
}

func text(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	return fmt.Sprint(value)
}

// LogHandler writes what a logger of log/slog is told into the engine's log: slog.New(wasmill.LogHandler{}).
type LogHandler struct {
	prefix string
	fields [][2]string
}

// Enabled is always true: the engine decides what it keeps.
func (h LogHandler) Enabled(context.Context, slog.Level) bool {
	return true
}

// Handle writes one line.
func (h LogHandler) Handle(_ context.Context, record slog.Record) error {
	fields := slices.Clip(h.fields)
	record.Attrs(func(attr slog.Attr) bool {
		fields = flatten(fields, h.prefix, attr)
		return true
	})
	host.Log(levelOf(record.Level), record.Message, fields)
	return nil
}

// WithAttrs is the handler with fields that every line has.
func (h LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	fields := slices.Clip(h.fields)
	for _, attr := range attrs {
		fields = flatten(fields, h.prefix, attr)
	}
	return LogHandler{prefix: h.prefix, fields: fields}
}

// WithGroup is the handler whose further fields are named with this prefix and a dot.
func (h LogHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return LogHandler{prefix: h.prefix + name + ".", fields: h.fields}
}

// flatten appends a field, and the fields of a group each for itself.
func flatten(fields [][2]string, prefix string, attr slog.Attr) [][2]string {
	value := attr.Value.Resolve()
	if value.Kind() != slog.KindGroup {
		if attr.Equal(slog.Attr{}) {
			return fields
		}
		return append(fields, [2]string{prefix + attr.Key, value.String()})
	}
	if attr.Key != "" {
		prefix += attr.Key + "."
	}
	for _, part := range value.Group() {
		fields = flatten(fields, prefix, part)
	}
	return fields
}

func levelOf(level slog.Level) host.Level {
	switch {
	case level < slog.LevelDebug:
		return host.Trace
	case level < slog.LevelInfo:
		return host.Debug
	case level < slog.LevelWarn:
		return host.Info
	case level < slog.LevelError:
		return host.Warn
	default:
		return host.Error
	}
}
