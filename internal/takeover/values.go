package takeover

import (
	"strconv"
	"strings"
	"time"

	"spate/bencode"
)

// Limits of the files of other programs.
const (
	maxResume   = 64 << 20  // bytes of a file with the state of a torrent
	maxSettings = 4 << 20   // bytes of a settings file
	maxTokens   = 4_000_000 // values in a bencoded file
	maxTorrents = 200_000   // entries of a directory
)

// dict is a bencoded dictionary: its values are int64, string, []any and dict. The methods return
// zero values for missing values and for values of another kind.
type dict map[string]any

// decode decodes a bencoded dictionary. It replaces - in keys by _ if plain is set, because
// Transmission writes both.
func decode(b []byte, plain bool) (dict, error) {
	d := bencode.NewDecoder(b, bencode.Options{Depth: 20, Tokens: maxTokens})
	v, _ := value(d, plain).(dict)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	return v, nil
}

func value(d *bencode.Decoder, plain bool) any {
	switch d.Kind() {
	case bencode.Int:
		return d.Int()
	case bencode.String:
		return d.String()
	case bencode.List:
		list := []any{}
		d.List(func() bool { list = append(list, value(d, plain)); return true })
		return list
	default: // d reports an error for what is no dictionary
		m := dict{}
		d.Dict(func(key []byte) bool {
			k := string(key)
			if plain {
				k = strings.ReplaceAll(k, "-", "_")
			}
			m[k] = value(d, plain)
			return true
		})
		return m
	}
}

func (d dict) int(key string) int64 {
	n, _ := d[key].(int64)
	return n
}

// intOr returns the integer at key, or other.
func (d dict) intOr(key string, other int64) int64 {
	if n, ok := d[key].(int64); ok {
		return n
	}
	return other
}

func (d dict) string(key string) string {
	s, _ := d[key].(string)
	return s
}

func (d dict) list(key string) []any {
	l, _ := d[key].([]any)
	return l
}

func (d dict) dict(key string) dict {
	v, _ := d[key].(dict)
	return v
}

// real returns the number at key, which may be a text.
func (d dict) real(key string) float64 {
	if s, ok := d[key].(string); ok {
		f, _ := strconv.ParseFloat(s, 64)
		return f
	}
	return float64(d.int(key))
}

// time returns the Unix time at key, or the zero time.
func (d dict) time(key string) time.Time {
	if n := d.int(key); n > 0 && n < 1<<40 {
		return time.Unix(n, 0).UTC()
	}
	return time.Time{}
}

// positive returns n, or 0 if it is negative.
func positive(n int64) int64 { return max(n, 0) }
