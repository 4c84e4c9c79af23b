// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"crypto/tls"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25/types"
	vimxml "github.com/vmware/govmomi/vim25/xml"
)

// observerHeader marks requests of the lab's own tools: not counted, and no rule strikes them.
const observerHeader = "X-Lab-Observer"

// traffic stands between the listener and the simulator: counts, rules, outages. mu guards all of it.
type traffic struct {
	mu       sync.Mutex
	next     http.Handler
	rules    []*rule
	lastID   int
	calls    map[string]map[string]int // soap, rest, internal -> method -> n
	rest     map[string]int            // REST session -> epoch it was first seen in
	epoch    int
	downTill time.Time
	downHow  string
}

func (t *traffic) init() {
	t.rest = map[string]int{}
	t.clear()
}

func (t *traffic) clear() {
	t.calls = map[string]map[string]int{"soap": {}, "rest": {}, "internal": {}}
}

// attach puts the lab between the listener and the simulator.
func (l *lab) attach() {
	t, c := &l.traffic, l.server.Config
	t.next, c.Handler = c.Handler, http.HandlerFunc(l.serve)
	state := c.ConnState
	c.ConnState = func(conn net.Conn, s http.ConnState) {
		state(conn, s)
		if s == http.StateNew && t.down() == "reset" {
			reset(conn)
		}
	}
}

// down is how the vCenter is away, "" when it is not.
func (t *traffic) down() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().Before(t.downTill) {
		return t.downHow
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

// request is one call as the rules see it.
type request struct {
	kind, name string // soap, rest or internal; CloneVM_Task, POST /rest/...
	body       []byte
}

func parse(r *http.Request) request {
	q := request{"rest", r.Method + " " + r.URL.Path, nil}
	if strings.HasPrefix(r.URL.Path, "/sdk") && r.Method == http.MethodPost {
		q.body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(q.body))
		q.kind, q.name = "soap", "?"
		if m := bodyStart.FindSubmatch(q.body); m != nil {
			q.name = string(m[1])
		}
	}
	agent := r.UserAgent() // the simulator's own calls of itself, and govc's
	if r.Header.Get(observerHeader) != "" || strings.HasPrefix(agent, "govmomi/") || strings.HasPrefix(agent, "Go-http-client") {
		q.kind = "internal"
	}
	return q
}

func (l *lab) serve(w http.ResponseWriter, r *http.Request) {
	t := &l.traffic
	switch t.down() {
	case "reset":
		reset(hijack(w))
		return
	case "503":
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
		return
	}
	q := parse(r)
	t.mu.Lock()
	t.calls[q.kind][q.name]++
	t.mu.Unlock()
	if q.kind == "internal" {
		t.next.ServeHTTP(w, r)
		return
	}
	if cfg := l.config(); cfg.LatencyMS > 0 {
		time.Sleep(spread(cfg.LatencyMS, cfg.Jitter))
	}
	answered, drop := l.strike(w, q)
	switch {
	case answered:
	case q.kind == "rest" && t.restEnded(r):
		w.WriteHeader(http.StatusUnauthorized)
	case drop:
		t.next.ServeHTTP(&lost{header: http.Header{}}, r)
		_ = hijack(w).Close()
	case q.kind == "rest" && newREST(t.next, w, r):
	default:
		t.next.ServeHTTP(w, r)
	}
}

// strike applies the rules for this call: it was answered, or its answer is to be lost.
func (l *lab) strike(w http.ResponseWriter, q request) (answered, drop bool) {
	for _, u := range l.traffic.match(q.name, string(q.body), "delay", "hang", "reset", "http", "fault", "drop") {
		switch u.Kind {
		case "delay":
			time.Sleep(spread(u.MS, l.config().Jitter))
		case "hang":
			time.Sleep(spread(u.MS, 0))
			_ = hijack(w).Close()
			return true, false
		case "reset":
			reset(hijack(w))
			return true, false
		case "http":
			http.Error(w, u.Message, u.Status)
			return true, false
		case "fault":
			writeFault(w, u.Message, u.fault)
			return true, false
		case "drop":
			drop = true
		}
	}
	return false, drop
}

// lost swallows an answer.
type lost struct{ header http.Header }

func (d *lost) Header() http.Header         { return d.header }
func (d *lost) Write(b []byte) (int, error) { return len(b), nil }
func (d *lost) WriteHeader(int)             {}

// restEnded says whether the REST session is from before the last end of all sessions.
func (t *traffic) restEnded(r *http.Request) bool {
	id := r.Header.Get("vmware-api-session-id")
	t.mu.Lock()
	defer t.mu.Unlock()
	if id == "" {
		return false
	}
	if _, ok := t.rest[id]; !ok {
		t.rest[id] = t.epoch
	}
	return t.rest[id] < t.epoch
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
	_, _ = fmt.Fprintf(w, xml.Header+`<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"`+
		` xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"`+
		` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><soapenv:Fault><faultcode>ServerFaultCode</faultcode>`+
		`<faultstring>%s</faultstring><detail>%s</detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>`, text.String(), detail.String())
}
