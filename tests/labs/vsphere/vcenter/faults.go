// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
	vimxml "github.com/vmware/govmomi/vim25/xml"
)

// rule makes some calls go wrong. Kinds: fault (the call is refused), http
// (status), reset (TCP reset before the call), drop (the call is executed, the
// answer lost), delay, hang (no answer for ms, then closed), task-fault (the
// task fails, nothing done), task-fault-after (all done, the task says failed).
type rule struct {
	ID          int             `json:"id"`
	Kind        string          `json:"kind"`
	Method      string          `json:"method"`      // CloneVM_Task, *, or "POST /rest/..." for REST
	Contains    string          `json:"contains"`    // only requests with this text (a VM's name, a moref)
	Count       int             `json:"count"`       // how many times, 0: always
	Skip        int             `json:"skip"`        // let that many pass first
	Probability float64         `json:"probability"` // 0 is 1
	MS          int             `json:"ms"`          // delay, hang; task-fault: fails after that time
	Status      int             `json:"status"`      // http
	Fault       string          `json:"fault"`       // name of a vim25 fault
	Fields      json.RawMessage `json:"fields,omitempty"`
	Message     string          `json:"message"`
	Hits        int             `json:"hits"`
	seen        int
	fault       types.BaseMethodFault
}

type httpState struct {
	mu       sync.Mutex
	next     http.Handler
	rules    []*rule
	lastID   int
	calls    map[string]map[string]int // soap, rest, internal -> method -> n
	reader   string
	cookies  map[string]string // session cookie -> user
	rest     map[string]int    // REST session -> epoch it was first seen in
	epoch    int
	downTill time.Time
	downHow  string
}

func (h *httpState) init(reader string) {
	h.reader = reader
	h.cookies, h.rest = map[string]string{}, map[string]int{}
	h.clear()
}

func (h *httpState) clear() {
	h.calls = map[string]map[string]int{"soap": {}, "rest": {}, "internal": {}}
}

// attach puts the lab between the listener and the simulator.
func (h *httpState) attach(l *lab) {
	c := l.server.Config
	h.next, c.Handler = c.Handler, http.HandlerFunc(l.serve)
	state := c.ConnState
	c.ConnState = func(conn net.Conn, s http.ConnState) {
		state(conn, s)
		if s == http.StateNew && h.down() == "reset" {
			reset(conn)
		}
	}
}

func (h *httpState) down() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Now().Before(h.downTill) {
		return h.downHow
	}
	return ""
}

func reset(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

func hijack(w http.ResponseWriter) net.Conn {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return c
}

var bodyStart = regexp.MustCompile(`<(?:[\w-]+:)?Body[^>]*>\s*<(?:[\w-]+:)?(\w+)`)

func (l *lab) serve(w http.ResponseWriter, r *http.Request) {
	h := &l.http
	switch h.down() {
	case "reset":
		reset(hijack(w))
		return
	case "503":
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
		return
	}
	kind, name, body := "rest", r.Method+" "+r.URL.Path, []byte(nil)
	if strings.HasPrefix(r.URL.Path, "/sdk") && r.Method == http.MethodPost {
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		kind, name = "soap", "?"
		if m := bodyStart.FindSubmatch(body); m != nil {
			name = string(m[1])
		}
	}
	if strings.HasPrefix(r.UserAgent(), "govmomi/") || strings.HasPrefix(r.UserAgent(), "Go-http-client") {
		kind = "internal" // the simulator's own calls of itself
	}
	h.mu.Lock()
	h.calls[kind][name]++
	h.mu.Unlock()
	if kind == "internal" {
		h.next.ServeHTTP(w, r)
		return
	}

	cfg := l.config()
	if cfg.LatencyMS > 0 {
		time.Sleep(spread(cfg.LatencyMS, cfg.Jitter))
	}
	drop := false
	for _, u := range h.match(name, string(body), "delay", "hang", "reset", "http", "fault", "drop") {
		switch u.Kind {
		case "delay":
			time.Sleep(spread(u.MS, cfg.Jitter))
		case "hang":
			time.Sleep(spread(u.MS, 0))
			_ = hijack(w).Close()
			return
		case "reset":
			reset(hijack(w))
			return
		case "http":
			http.Error(w, u.Message, u.Status)
			return
		case "fault":
			writeFault(w, u.Message, u.fault)
			return
		case "drop":
			drop = true
		}
	}
	if f := h.denied(kind, name, r); f != nil {
		writeFault(w, "Permission to perform this operation was denied.", f)
		return
	}
	if kind == "rest" && h.restEnded(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if drop {
		h.next.ServeHTTP(&lost{header: http.Header{}}, r)
		_ = hijack(w).Close()
		return
	}
	if kind == "rest" && newREST(h.next, w, r) {
		return
	}
	h.next.ServeHTTP(w, r)
	if name == "Login" {
		h.remember(w.Header(), body)
	}
}

// lost swallows an answer.
type lost struct{ header http.Header }

func (d *lost) Header() http.Header         { return d.header }
func (d *lost) Write(b []byte) (int, error) { return len(b), nil }
func (d *lost) WriteHeader(int)             {}

var userName = regexp.MustCompile(`<(?:\w+:)?userName[^>]*>([^<]*)<`)

func (h *httpState) remember(head http.Header, body []byte) {
	m := userName.FindSubmatch(body)
	for _, c := range (&http.Response{Header: head}).Cookies() {
		if m != nil && c.Name == "vmware_soap_session" {
			h.mu.Lock()
			h.cookies[c.Value] = string(m[1])
			h.mu.Unlock()
		}
	}
}

var mutating = regexp.MustCompile(`_Task$|^(Mark|Set|Add|Remove|Create|Rename|Update|Destroy|Register|Unregister|Shutdown|Reboot|Standby|Attach|Detach)`)
var harmless = regexp.MustCompile(`^(Create(Filter|PropertyCollector|ContainerView|ListView|InventoryView|Collector.*)|Destroy(PropertyFilter|PropertyCollector|View|Collector))$`)

// denied refuses all that changes something to the account that may only read.
func (h *httpState) denied(kind, name string, r *http.Request) types.BaseMethodFault {
	c, err := r.Cookie("vmware_soap_session")
	if kind != "soap" || err != nil || !mutating.MatchString(name) || harmless.MatchString(name) {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cookies[strings.Trim(c.Value, `"`)] != h.reader {
		return nil
	}
	return &types.NoPermission{Object: &types.ManagedObjectReference{Type: "Folder", Value: "group-d1"}, PrivilegeId: "VirtualMachine.Inventory.Create"}
}

func (h *httpState) restEnded(r *http.Request) bool {
	id := r.Header.Get("vmware-api-session-id")
	h.mu.Lock()
	defer h.mu.Unlock()
	if id == "" {
		return false
	}
	if _, ok := h.rest[id]; !ok {
		h.rest[id] = h.epoch
	}
	return h.rest[id] < h.epoch
}

// match returns the rules of these kinds that apply to the call, and counts.
func (h *httpState) match(name, text string, kinds ...string) (out []*rule) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range h.rules {
		if !strings.Contains(" "+strings.Join(kinds, " ")+" ", " "+u.Kind+" ") ||
			u.Method != "*" && u.Method != name && !(strings.Contains(u.Method, " ") && strings.HasPrefix(name, u.Method)) ||
			!strings.Contains(text, u.Contains) || u.Count > 0 && u.Hits >= u.Count {
			continue
		}
		if u.seen++; u.seen <= u.Skip || u.Probability > 0 && rand.Float64() >= u.Probability {
			continue
		}
		u.Hits++
		out = append(out, u)
	}
	return out
}

// taskRules returns the rules for the task of this call.
func (h *httpState) taskRules(m *simulator.Method) (before, after *rule) {
	text := ""
	h.mu.Lock()
	n := len(h.rules)
	h.mu.Unlock()
	if n > 0 {
		b, _ := json.Marshal(m.Body)
		text = m.This.Value + " " + string(b)
	}
	for _, u := range h.match(m.Name, text, "task-fault", "task-fault-after") {
		if u.Kind == "task-fault" {
			before = u
		} else {
			after = u
		}
	}
	return
}

func (u *rule) check() error {
	switch u.Kind {
	case "fault", "task-fault", "task-fault-after":
		typ, ok := types.TypeFunc()(u.Fault)
		if !ok {
			return fmt.Errorf("no such fault: %q", u.Fault)
		}
		if u.fault, ok = reflect.New(typ).Interface().(types.BaseMethodFault); !ok {
			return fmt.Errorf("not a fault: %q", u.Fault)
		}
		if u.Message == "" {
			u.Message = "injected " + u.Fault
		}
		u.fault.GetMethodFault().FaultMessage = []types.LocalizableMessage{{Key: "lab.injected", Message: u.Message}}
		if len(u.Fields) > 0 {
			return json.Unmarshal(u.Fields, u.fault)
		}
	case "delay", "hang", "reset", "drop":
	case "http":
		if u.Status < 400 {
			return fmt.Errorf("status?")
		}
	default:
		return fmt.Errorf("no such kind: %q", u.Kind)
	}
	return nil
}

// writeFault answers a SOAP call with a fault, in the simulator's own form.
func writeFault(w http.ResponseWriter, msg string, f types.BaseMethodFault) {
	kind := reflect.TypeOf(f).Elem().Name()
	var detail, text bytes.Buffer
	_ = vimxml.NewEncoder(&detail).EncodeElement(f, vimxml.StartElement{Name: vimxml.Name{Local: kind + "Fault"}, Attr: []vimxml.Attr{
		{Name: vimxml.Name{Local: "xmlns"}, Value: "urn:vim25"}, {Name: vimxml.Name{Local: "xsi:type"}, Value: kind}}})
	_ = xml.EscapeText(&text, []byte(msg))
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, xml.Header+`<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring><detail>%s</detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>`, text.String(), detail.String())
}

func decode(s, encoding string) ([]byte, error) {
	if encoding == "" {
		return []byte(s), nil
	}
	return base64.StdEncoding.DecodeString(s)
}
