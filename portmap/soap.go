package portmap

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

// argument is an argument of an action, or a result.
type argument struct{ name, value string }

// appendAction appends the request for an action of a service to b (UPnP Device Architecture
// 1.1, section 3.2.1).
func appendAction(b []byte, kind, action string, args []argument) []byte {
	b = append(b, `<?xml version="1.0"?>`+"\r\n"+`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" `+
		`s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>`...)
	b = fmt.Appendf(b, `<u:%s xmlns:u="%s">`, action, kind)
	for _, a := range args {
		var text strings.Builder
		xml.EscapeText(&text, []byte(a.value))
		b = fmt.Appendf(b, "<%s>%s</%s>", a.name, &text, a.name)
	}
	return fmt.Appendf(b, "</u:%s></s:Body></s:Envelope>\r\n", action)
}

// ActionError is a refusal by a gateway that speaks UPnP.
type ActionError struct {
	Action      string
	Code        int    // 0 if the answer has no code
	Description string // in the words of the gateway; it can contain anything
}

// Error implements error.
func (e *ActionError) Error() string {
	if e.Code == 0 {
		return fmt.Sprintf("the router refuses %s by UPnP", e.Action)
	}
	return fmt.Sprintf("the router refuses %s by UPnP: error %d %.80q", e.Action, e.Code, e.Description)
}

// The error codes that have another answer than giving up (WANIPConnection:2, section 2.5).
const (
	upnpInvalidAction     = 401
	upnpInvalidArgs       = 402
	upnpActionFailed      = 501
	upnpArgumentInvalid   = 600
	upnpNoSuchEntry       = 714
	upnpConflict          = 718
	upnpSamePortsRequired = 724
	upnpOnlyPermanent     = 725
	upnpConflictOther     = 729 // the port belongs to another mechanism of the gateway
)

// parseAction returns the results of an action. The error is an [*ActionError] if the answer
// is a fault.
func parseAction(b []byte, action string) (map[string]string, error) {
	out := map[string]string{}
	fault, done := &ActionError{Action: action}, false
	failed := false
	err := walkXML(b, func(path []string, text string) {
		switch name := path[len(path)-1]; {
		case name == "Fault":
			failed = true
		case name == "errorCode":
			fault.Code, _ = strconv.Atoi(text)
		case name == "errorDescription":
			fault.Description = text
		case name == action+"Response":
			done = true
		case len(path) > 1 && path[len(path)-2] == action+"Response":
			out[name] = text
		}
	})
	switch {
	case failed:
		return nil, fault
	case err != nil:
		return nil, fmt.Errorf("the router's answer to %s: %w", action, err)
	case !done:
		return nil, fmt.Errorf("the router's answer to %s is another one", action)
	}
	return out, nil
}
