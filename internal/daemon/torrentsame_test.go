package daemon

import (
	"reflect"
	"testing"
	"time"
)

// TestTorrentSame checks that a change of each field of a torrent is seen, also of a field that will
// be added.
func TestTorrentSame(t *testing.T) {
	t.Parallel()
	var a, b TorrentInfo
	if !a.Same(&b) {
		t.Fatal("two equal torrents differ")
	}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		for f, value := range v.Fields() {
			if f.Anonymous {
				walk(value)
				continue
			}
			switch {
			case f.Type == reflect.TypeFor[time.Time]():
				value.Set(reflect.ValueOf(time.Unix(1, 0)))
			case value.Kind() == reflect.String:
				value.SetString("x")
			case value.CanInt():
				value.SetInt(1)
			case value.CanUint():
				value.SetUint(1)
			case value.CanFloat():
				value.SetFloat(1)
			case value.Kind() == reflect.Bool:
				value.SetBool(true)
			case value.Kind() == reflect.Slice:
				value.Set(reflect.MakeSlice(f.Type, 1, 1))
			default:
				t.Fatalf("this test cannot change %s", f.Name)
			}
			if a.Same(&b) {
				t.Errorf("a change of %s is not seen", f.Name)
			}
			value.SetZero()
		}
	}
	walk(reflect.ValueOf(&b).Elem())
}
