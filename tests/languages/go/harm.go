package main

import "slices"

func explode() {
	panic("boom")
}

// trap ends the program: a panic of another goroutine than the handler's cannot be recovered by anyone.
func trap() {
	go panic("trapped")
	select {}
}

var hoard [][]byte

// hog takes memory without end.
func hog() {
	const mib = 1 << 20
	for {
		hoard = append(hoard, slices.Repeat([]byte{0xab}, mib))
	}
}

// deep calls itself without end.
//
//go:noinline
func deep(n int) int {
	return deep(n+1) + 1
}
