package wasmill

import (
	"encoding/binary"
	"time"

	"wasmill/internal/host"
)

// randomBytesPerCall is the most random bytes that one host call answers, as the contract has it.
const randomBytesPerCall = 65_536

// Now returns the time of the event being handled, on the plugin clock: it stands still during a call, so that a replay sees
// the same time.
func Now() time.Time {
	return fromNanoseconds(host.Now())
}

// NowNS is [Now] in nanoseconds since the Unix epoch.
func NowNS() uint64 {
	return host.Now()
}

// Random returns the next 64 random bits. They are seeded by the event: another delivery of the same event draws the same
// ones.
func Random() uint64 {
	return host.RandomNext()
}

// RandomBytes returns the next random bytes, seeded as those of [Random].
func RandomBytes(length int) []byte {
	drawn := make([]byte, 0, length)
	for len(drawn) < length {
		drawn = append(drawn, host.RandomBytes(uint32(min(length-len(drawn), randomBytesPerCall)))...)
	}
	return drawn
}

// RandomSource is a source for math/rand/v2 that draws from [Random].
type RandomSource struct{}

// Uint64 returns the next 64 random bits.
func (RandomSource) Uint64() uint64 {
	return Random()
}

// Read fills a buffer with random bytes and never fails.
func (RandomSource) Read(buffer []byte) (int, error) {
	var bits [8]byte
	for at := 0; at < len(buffer); at += len(bits) {
		binary.LittleEndian.PutUint64(bits[:], Random())
		copy(buffer[at:], bits[:])
	}
	return len(buffer), nil
}
