package wasmill

import (
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// maxFrames is how many functions of the author a trace names.
	maxFrames = 16
	// maxDepth is how many calls are looked at for them.
	maxDepth = 256
	// outermost is the function that calls the handler.
	outermost = "wasmill.Handler.Call"
)

// exceptionOf makes an exception of what was recovered. It is called while the panicking functions are still on the stack.
func exceptionOf(recovered any) *ExceptionError {
	message := fmt.Sprint(recovered)
	if err, ok := recovered.(error); ok {
		message = describeError(err)
	}
	return &ExceptionError{Message: "panic: " + message, Trace: trace()}
}

// describeError names an error's type before its text, where the type tells more than that there is an error.
func describeError(err error) string {
	name := strings.TrimPrefix(reflect.TypeOf(err).String(), "*")
	for _, plain := range []string{"errors.", "fmt.", "runtime."} {
		if strings.HasPrefix(name, plain) {
			return err.Error()
		}
	}
	return name + ": " + err.Error()
}

// trace names the author's functions from the panic outwards to the handler.
func trace() string {
	var counters [maxDepth]uintptr
	frames := runtime.CallersFrames(counters[:runtime.Callers(0, counters[:])])
	home := modulePath()
	var text strings.Builder
	panicking := false
	for found := 0; found < maxFrames; {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panicking = true
		case frame.Function == outermost && panicking:
			return text.String()
		case panicking && isAuthors(packagePath(frame.Function), home):
			writeFrame(&text, frame, home)
			found++
		}
		if !more {
			break
		}
	}
	return text.String()
}

func writeFrame(text *strings.Builder, frame runtime.Frame, home string) {
	if text.Len() > 0 {
		text.WriteByte('\n')
	}
	text.WriteString(frame.Function)
	text.WriteString(" (")
	text.WriteString(strings.TrimPrefix(frame.File, home+"/"))
	text.WriteByte(':')
	text.WriteString(strconv.Itoa(frame.Line))
	text.WriteByte(')')
}

// packagePath is the part of a function's full name that names its package.
func packagePath(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	if dot := strings.IndexByte(function[slash:], '.'); dot >= 0 {
		return function[:slash+dot]
	}
	return function
}

// isAuthors tells the author's module and the modules it uses from the standard library and this package, whose paths begin
// with a name without a dot.
func isAuthors(path, home string) bool {
	first, _, _ := strings.Cut(path, "/")
	return path == "main" || path == home || strings.HasPrefix(path, home+"/") || strings.Contains(first, ".")
}

// modulePath is the path of the author's module.
func modulePath() string {
	if build, ok := debug.ReadBuildInfo(); ok {
		return build.Main.Path
	}
	return ""
}
