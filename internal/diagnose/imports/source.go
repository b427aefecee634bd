package imports

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const bufferSize = 1 << 20

// source is a file that is being read: unpacked, as UTF-8, and without a byte
// order mark.
type source struct {
	*bufio.Reader
	file *os.File
	size int64
	raw  *counter
}

// counter counts what is read of a file.
type counter struct {
	r io.Reader
	n int64
}

// Read reads and counts.
func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

func (s *source) close() { _ = s.file.Close() } // it was only read

// openSource opens a file at its first character.
func openSource(path string) (*source, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &source{file: file, raw: &counter{r: file}}
	if info, err := file.Stat(); err == nil {
		s.size = info.Size()
		if info.IsDir() {
			err = fmt.Errorf("%s is a directory: list the files in it", path)
			s.close()
			return nil, err
		}
	}
	s.Reader = bufio.NewReaderSize(s.raw, bufferSize)
	if err := s.decode(); err != nil {
		s.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// decode unpacks what is packed, and makes UTF-8 of what is UTF-16.
func (s *source) decode() error {
	if head, _ := s.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(s.Reader)
		if err != nil {
			return fmt.Errorf("invalid gzip: %w", err)
		}
		s.Reader = bufio.NewReaderSize(unpacked, bufferSize)
	}
	head, err := s.Peek(512)
	if len(head) == 0 {
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("cannot decompress: %w", err)
		}
		return errors.New("the file is empty")
	}
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		return s.wide(binary.LittleEndian)
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return s.wide(binary.BigEndian)
	case bytes.HasPrefix(head, []byte{0xef, 0xbb, 0xbf}):
		_, err := s.Discard(3)
		return err
	case len(head) > 1 && head[0] != 0 && head[1] == 0 && zeros(head, 1):
		s.Reader = bufio.NewReaderSize(&wideReader{r: s.Reader, order: binary.LittleEndian}, bufferSize)
		return nil
	}
	return textual(head)
}

// zeros reports whether every second byte is zero: it is UTF-16 that does not
// say so.
func zeros(head []byte, from int) bool {
	for i := from; i < len(head); i += 2 {
		if head[i] != 0 {
			return false
		}
	}
	return true
}

// wide goes on in UTF-16 behind the byte order mark.
func (s *source) wide(order binary.ByteOrder) error {
	if _, err := s.Discard(2); err != nil {
		return err
	}
	s.Reader = bufio.NewReaderSize(&wideReader{r: s.Reader, order: order}, bufferSize)
	return nil
}

// textual is an error where the beginning is not one of a text.
func textual(head []byte) error {
	what := http.DetectContentType(head)
	switch {
	case what == "application/zip":
		return errors.New("a ZIP or .xlsx file: unpack it, or save the sheet as CSV UTF-8")
	case bytes.HasPrefix(head, []byte("PAR1")):
		return errors.New("a Parquet file: export CSV or JSON instead")
	case bytes.IndexByte(head, 0) >= 0, !strings.HasPrefix(what, "text/"):
		return fmt.Errorf("the file is %s, not CSV or JSON", what)
	case what == "text/html; charset=utf-8":
		return errors.New("a web page, not CSV or JSON: was a sign-in page downloaded instead?")
	}
	return nil
}

// wideReader makes UTF-8 of UTF-16.
type wideReader struct {
	r     *bufio.Reader
	order binary.ByteOrder
	out   []byte
	high  rune // the first half of a pair
}

// Read yields UTF-8. Half a character at the end is an error.
func (w *wideReader) Read(b []byte) (int, error) {
	var pair [2]byte
	for len(w.out) < min(len(b), 4096) {
		n, err := io.ReadFull(w.r, pair[:])
		if err != nil {
			if n > 0 {
				return 0, io.ErrUnexpectedEOF
			}
			if len(w.out) > 0 {
				break
			}
			return 0, err
		}
		c := rune(w.order.Uint16(pair[:]))
		switch {
		case w.high != 0:
			w.out = utf8.AppendRune(w.out, utf16.DecodeRune(w.high, c))
			w.high = 0
		case utf16.IsSurrogate(c):
			w.high = c
		default:
			w.out = utf8.AppendRune(w.out, c)
		}
	}
	n := copy(b, w.out)
	w.out = w.out[:copy(w.out, w.out[n:])]
	return n, nil
}
