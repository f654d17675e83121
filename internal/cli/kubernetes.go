package cli

import (
	"slices"
	"strings"
)

// serviceVar reports whether environ has the variable name because Kubernetes, or the links of
// Docker, describe a service to its pods: a service named spate-peer is described by
// SPATE_PEER_SERVICE_HOST, SPATE_PEER_SERVICE_PORT, SPATE_PEER_PORT=tcp://10.0.0.1:6881,
// SPATE_PEER_PORT_6881_TCP and others. These variables are not settings, although SPATE_PEER_PORT
// also is the name of one. A variable SPATE_PEER_PORT that is no URL is that setting.
func serviceVar(environ []string, name string) bool {
	for _, kv := range environ {
		key, value, _ := strings.Cut(kv, "=")
		service, found := strings.CutSuffix(key, "_SERVICE_HOST")
		if !found {
			if service, found = strings.CutSuffix(key, "_PORT"); !found || !serviceURL(value) {
				continue
			}
		}
		if key == name {
			return true
		}
		rest, ok := strings.CutPrefix(name, service+"_")
		if ok && (strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_")) {
			return true
		}
	}
	return false
}

// serviceURL reports whether value is the URL of a port of a service.
func serviceURL(value string) bool {
	return slices.ContainsFunc([]string{"tcp://", "udp://", "sctp://"}, func(scheme string) bool { return strings.HasPrefix(value, scheme) })
}
