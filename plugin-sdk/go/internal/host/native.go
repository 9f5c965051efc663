//go:build !wasm

package host

import (
	"encoding/binary"
	"encoding/json"
)

// Line is one line that was logged.
type Line struct {
	Level   Level
	Message string
	Fields  [][2]string
}

// World is what the functions of this package answer from, and where they write to.
type World struct {
	Config map[string]any
	Now    uint64
	Random uint64
	Lines  []Line
	// OnLine is told of each line, if it is set.
	OnLine func(Line)
	// Keyed is the record of the key, if the plugin has one.
	Keyed *Keyed
	// Tables are the tables that are granted; one that is nil is not loaded yet.
	Tables map[string]map[string][]byte
}

// Current is the world of the test that runs.
var Current = &World{}

// Log keeps one line.
func Log(level Level, message string, fields [][2]string) {
	line := Line{Level: level, Message: message, Fields: fields}
	Current.Lines = append(Current.Lines, line)
	if Current.OnLine != nil {
		Current.OnLine(line)
	}
}

// ConfigGet returns one value of the config.
func ConfigGet(key string) (string, bool) {
	value, set := Current.Config[key]
	if text, ok := value.(string); ok || !set {
		return text, set
	}
	return toJSON(value), true
}

// ConfigJSON returns the whole config as one JSON object.
func ConfigJSON() string {
	if Current.Config == nil {
		return "{}"
	}
	return toJSON(Current.Config)
}

// Now returns the plugin clock, nanoseconds since the Unix epoch.
func Now() uint64 {
	return Current.Now
}

// RandomNext returns the next 64 bits of SplitMix64 (Steele, Lea, Flood 2014): small, and every seed gives another sequence.
// The engine's numbers differ.
func RandomNext() uint64 {
	Current.Random += 0x9E37_79B9_7F4A_7C15
	bits := Current.Random
	bits = (bits ^ (bits >> 30)) * 0xBF58_476D_1CE4_E5B9
	bits = (bits ^ (bits >> 27)) * 0x94D0_49BB_1331_11EB
	return bits ^ (bits >> 31)
}

// RandomBytes returns the next random bytes.
func RandomBytes(length uint32) []byte {
	drawn := make([]byte, 0, length+7)
	for uint32(len(drawn)) < length {
		drawn = binary.LittleEndian.AppendUint64(drawn, RandomNext())
	}
	return drawn[:length]
}

func toJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic("the test's config has no JSON form: " + err.Error())
	}
	return string(text)
}
