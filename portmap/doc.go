// Package portmap asks the router of a home network to pass connections from the internet to
// this machine. It speaks PCP (RFC 6887), NAT-PMP (RFC 6886) and UPnP IGD 1 and 2. It maps
// ports of IPv4 and opens pinholes in the firewall for IPv6.
//
// A [Mapper] finds the router by the default route. It uses the first protocol that works, in
// the order PCP or NAT-PMP, UPnP. It asks for leases of at most an hour, renews them, asks
// again when the router or the network has changed, and removes the mappings when Run ends.
//
// A router can be broken or hostile. The package sends packets only to the router and, to find
// it, to the local multicast group of UPnP. It sends none to a public address and none if it is
// bound to loopback. It reads replies of limited size for a limited time, follows no redirect,
// and uses no URL of another host. A router that lies about a mapping only prevents the mapping.
package portmap
