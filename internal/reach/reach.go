// Package reach describes whether others on the internet can connect to a process.
package reach

import "strings"

// Status says where others reach a process, or why they do not. The zero value says that nothing
// is known, for example because the process is bound to loopback.
type Status struct {
	Peers     string `json:"peers,omitempty"`     // address of the port for peers
	Site      string `json:"site,omitempty"`      // address of the site and the tracker
	How       string `json:"how,omitempty"`       // why these addresses are reached
	Confirmed bool   `json:"confirmed,omitempty"` // a peer of the internet has connected
	UDP       Result `json:"udp,omitempty"`       // whether peers reach the UDP port for peers over IPv4; "" if that is unknown
	Problem   string `json:"problem,omitempty"`   // why others cannot connect
	Advice    string `json:"advice,omitempty"`    // what to do about the problem
}

// String describes the status in one line, or in "" if nothing is known.
func (s Status) String() string {
	how := s.How
	if s.Confirmed {
		how = strings.TrimPrefix(how+"; peers of the internet have connected", "; ")
	}
	var parts []string
	if s.Peers != "" {
		parts = append(parts, "peers "+s.Peers)
	}
	if s.Site != "" {
		parts = append(parts, "site "+s.Site)
	}
	out := strings.Join(parts, ", ")
	switch {
	case out != "" && how != "":
		out += " (" + how + ")"
	case how != "":
		out = how
	}
	if s.Problem != "" && !s.Confirmed {
		if out != "" {
			out += "; "
		} else {
			out = "not from the internet: "
		}
		out += s.Problem
		if s.Advice != "" {
			out += "; " + s.Advice
		}
	}
	return out
}
