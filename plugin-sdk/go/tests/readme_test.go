package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestThePluginOfTheReadmeCompiles(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```go\n")
	program, _, found := strings.Cut(rest, "```")
	sdk, err := filepath.Abs("..")
	if !found || err != nil {
		t.Fatal("README.md has no program", err)
	}
	folder := t.TempDir()
	for name, text := range map[string]string{
		"main.go": program,
		"go.mod":  "module example/plugin\n\ngo 1.27\n\nrequire wasmill v0.0.0\n\nreplace wasmill => " + sdk + "\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	vet := exec.Command("go", "vet", ".")
	vet.Dir = folder
	if said, err := vet.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}
