package netguard

import (
	"fmt"
	"slices"
	"strings"
)

// servicePorts are the ports of services that speak another protocol: the ports from 21 on to
// which browsers send no requests (the "bad ports" of the Fetch standard). Strangers could aim
// the connections of a whole swarm at them. Mail servers and login services block clients
// that speak another protocol. The list is in ascending order.
var servicePorts = []uint16{
	21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95,
	101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179,
	389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636,
	989, 990, 993, 995,
	1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669,
	6679, 6697, 10080,
}

// ServicePort reports whether a TCP port belongs to a service other than web servers, trackers
// and peers. An address of a stranger with such a port is not used.
func ServicePort(port uint16) bool {
	_, found := slices.BinarySearch(servicePorts, port)
	return found
}

// checkPort returns an [*AddressError] if r does not allow a port of host. Every UDP port except
// 0 is allowed, because the first packet of a UDP tracker is 16 bytes long and no other service
// mistakes it for a request.
func (r Reach) checkPort(network, host string, port uint16) error {
	switch {
	case port == 0:
		return &AddressError{Host: host, Reason: "its port is 0"}
	case r&anyPort == 0 && !strings.HasPrefix(network, "udp") && ServicePort(port):
		return &AddressError{Host: host, Reason: fmt.Sprintf("port %d is that of another service, such as mail or logins", port)}
	}
	return nil
}
