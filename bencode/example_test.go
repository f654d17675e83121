package bencode_test

import (
	"fmt"

	"spate/bencode"
)

func ExampleDecoder() {
	d := bencode.NewDecoder([]byte("d8:intervali1800e5:peersld2:ip9:192.0.2.74:porti6881eee4:spami1ee"), bencode.Options{})
	for key := range d.Dict {
		switch string(key) {
		case "interval":
			fmt.Println("interval", d.Int())
		case "peers":
			for range d.List {
				for key := range d.Dict {
					switch string(key) {
					case "ip":
						fmt.Println("ip", d.String())
					case "port":
						fmt.Println("port", d.Int())
					}
				}
			}
		}
	}
	fmt.Println(d.Finish())
	// Output:
	// interval 1800
	// ip 192.0.2.7
	// port 6881
	// <nil>
}

func ExampleAppendDict() {
	b := bencode.AppendDict(nil)
	b = bencode.AppendString(b, "interval")
	b = bencode.AppendInt(b, 1800)
	b = bencode.AppendString(b, "tracker id")
	b = bencode.AppendString(b, "x")
	b = bencode.AppendEnd(b)
	fmt.Printf("%s\n", b)
	// Output: d8:intervali1800e10:tracker id1:xe
}
