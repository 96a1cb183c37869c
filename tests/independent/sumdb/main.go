// Verifies a log folder with the packages note and tlog of Go's checksum database: nothing of ours but paths and the order of calls.
//
// Arguments: the folder, the log's verifier key, an older checkpoint ("" for none), a proof file ("" for none), an entry file for it.
// Prints the size; ends with 1 and a reason when anything does not verify.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type folder string

func (f folder) Height() int                               { return 8 }
func (f folder) SaveTiles(tiles []tlog.Tile, data [][]byte) {}

func number(n int64) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	return path
}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		data, err := f.read(strconv.Itoa(t.L), t.N, t.W)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (f folder) read(level string, n int64, width int) ([]byte, error) {
	path := filepath.Join(string(f), "tile", level, number(n))
	if width < 256 {
		path = filepath.Join(path+".p", strconv.Itoa(width))
	}
	return os.ReadFile(path)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func checkpoint(data []byte, key string) (int64, tlog.Hash) {
	verifier, err := note.NewVerifier(key)
	check(err)
	signed, err := note.Open(data, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(signed.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	var root tlog.Hash
	raw, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	copy(root[:], raw)
	return size, root
}

func main() {
	f, key := folder(os.Args[1]), os.Args[2]
	data, err := os.ReadFile(filepath.Join(string(f), "checkpoint"))
	check(err)
	size, root := checkpoint(data, key)
	tree := tlog.Tree{N: size, Hash: root}
	hashes := tlog.TileHashReader(tree, f)

	for first := int64(0); first < size; first += 256 {
		width := size - first
		if width > 256 {
			width = 256
		}
		bundle, err := f.read("entries", first/256, int(width))
		check(err)
		for n := first; n < first+width; n++ {
			length := int(binary.BigEndian.Uint16(bundle))
			entry := bundle[2 : 2+length]
			bundle = bundle[2+length:]
			proof, err := tlog.ProveRecord(size, n, hashes)
			check(err)
			check(tlog.CheckRecord(proof, size, root, n, tlog.RecordHash(entry)))
		}
	}

	if os.Args[3] != "" {
		data, err := os.ReadFile(os.Args[3])
		check(err)
		old, oldRoot := checkpoint(data, key)
		proof, err := tlog.ProveTree(size, old, hashes)
		check(err)
		check(tlog.CheckTree(proof, size, root, old, oldRoot))
		if len(os.Args) > 6 {
			check(tlog.CheckTree(path(strings.Split(os.Args[6], ",")), size, root, old, oldRoot))
		}
	}

	if os.Args[4] != "" {
		data, err := os.ReadFile(os.Args[4])
		check(err)
		entry, err := os.ReadFile(os.Args[5])
		check(err)
		head, rest, _ := bytes.Cut(data, []byte("\n\n"))
		lines := strings.Split(string(head), "\n")
		n, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
		check(err)
		at, atRoot := checkpoint(rest, key)
		check(tlog.CheckRecord(tlog.RecordProof(path(lines[2:])), at, atRoot, n, tlog.RecordHash(entry)))
	}
	fmt.Println(size)
}

func path(lines []string) tlog.TreeProof {
	var proof tlog.TreeProof
	for _, line := range lines {
		raw, err := base64.StdEncoding.DecodeString(line)
		check(err)
		var hash tlog.Hash
		copy(hash[:], raw)
		proof = append(proof, hash)
	}
	return proof
}
