// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"

	"github.com/vmware/govmomi/simulator"
)

// handler answers one call of the control side: what goes into the answer, or why not.
type handler func(r *http.Request) (any, error)

// routes are the HTTP interface for tests. See ../NOTES.md.
func (l *lab) routes(mux *http.ServeMux) {
	for pattern, h := range map[string]handler{
		"GET /calls":               l.getCalls,
		"DELETE /calls":            l.deleteCalls,
		"GET /rules":               l.getRules,
		"POST /rules":              l.postRule,
		"DELETE /rules":            l.deleteRules,
		"GET /denials":             l.getDenials,
		"POST /denials":            l.postDenials,
		"GET /config":              l.getConfig,
		"POST /config":             l.postConfig,
		"GET /sessions":            l.getSessions,
		"POST /sessions/terminate": l.postTerminate,
		"POST /outage":             l.postOutage,
		"GET /vms":                 func(*http.Request) (any, error) { return l.vms(), nil },
		"POST /vms":                l.postVMs,
		"POST /vms/{name}":         l.postVM,
		"DELETE /vms/{name}":       l.deleteVM,
		"POST /hosts/{name}":       l.postHost,
		"POST /datastores/{name}":  l.postDatastore,
		"GET /addresses":           func(*http.Request) (any, error) { return l.doubled(), nil },
		"POST /reset":              l.postReset,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			answer, err := h(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(answer)
		})
	}
}

// read decodes the body; a field that nobody knows is an error.
func read(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func (l *lab) getCalls(r *http.Request) (any, error) {
	t := &l.traffic
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]any{}
	for kind, counts := range t.calls {
		n := 0
		for _, c := range counts {
			n += c
		}
		out[kind], out[kind+"_total"] = maps.Clone(counts), n
	}
	if r.URL.Query().Has("reset") {
		t.clear()
	}
	return out, nil
}

func (l *lab) deleteCalls(*http.Request) (any, error) {
	l.traffic.mu.Lock()
	defer l.traffic.mu.Unlock()
	l.traffic.clear()
	return nil, nil
}

func (l *lab) getRules(*http.Request) (any, error) {
	l.traffic.mu.Lock()
	defer l.traffic.mu.Unlock()
	out := []rule{}
	for _, u := range l.traffic.rules {
		out = append(out, *u)
	}
	return out, nil
}

func (l *lab) postRule(r *http.Request) (any, error) {
	u := &rule{Method: "*"}
	if err := read(r, u); err != nil {
		return nil, err
	}
	if err := u.check(); err != nil {
		return nil, err
	}
	t := &l.traffic
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastID++
	u.ID = t.lastID
	t.rules = append(t.rules, u)
	return *u, nil
}

func (l *lab) deleteRules(*http.Request) (any, error) {
	l.traffic.mu.Lock()
	defer l.traffic.mu.Unlock()
	l.traffic.rules = nil
	return nil, nil
}

func (l *lab) getDenials(*http.Request) (any, error) {
	l.grants.mu.Lock()
	defer l.grants.mu.Unlock()
	return append([]denial{}, l.grants.denials...), nil
}

// postDenials replaces all of them.
func (l *lab) postDenials(r *http.Request) (any, error) {
	var denials []denial
	if err := read(r, &denials); err != nil {
		return nil, err
	}
	for _, d := range denials {
		if d.Privilege == "" {
			return nil, fmt.Errorf("a denial without privilege")
		}
	}
	l.grants.set(denials)
	return nil, nil
}

func (l *lab) getConfig(*http.Request) (any, error) { return l.config(), nil }

// postConfig changes what is named; maps are merged.
func (l *lab) postConfig(r *http.Request) (any, error) {
	set := l.config()
	set.TaskMS = maps.Clone(set.TaskMS)
	if err := read(r, &set); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set = set
	return set, nil
}

// postVMs makes many VMs at once.
func (l *lab) postVMs(r *http.Request) (any, error) {
	var machines []machine
	if err := read(r, &machines); err != nil {
		return nil, err
	}
	return nil, l.make(machines)
}

// postVM changes properties of all VMs whose name is like the pattern.
func (l *lab) postVM(r *http.Request) (any, error) {
	var set map[string]any
	if err := read(r, &set); err != nil {
		return nil, err
	}
	return nil, l.each(r.PathValue("name"), func(vm *simulator.VirtualMachine) error { return l.change(vm, set) })
}

func (l *lab) deleteVM(r *http.Request) (any, error) {
	return nil, l.each(r.PathValue("name"), l.destroy)
}

// postHost puts a host into maintenance or disconnects it. Its VMs stay where they are.
func (l *lab) postHost(r *http.Request) (any, error) {
	want := struct {
		Maintenance bool `json:"maintenance"`
		Connected   bool `json:"connected"`
	}{Connected: true}
	if err := read(r, &want); err != nil {
		return nil, err
	}
	found, err := l.find("HostSystem", r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	l.setHost(found, want.Maintenance, want.Connected)
	return nil, nil
}

// postDatastore says how much is free: {"free_mib": 10}; null lifts the limit.
func (l *lab) postDatastore(r *http.Request) (any, error) {
	var want struct {
		FreeMiB *int64 `json:"free_mib"`
	}
	if err := read(r, &want); err != nil {
		return nil, err
	}
	found, err := l.find("Datastore", r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if want.FreeMiB != nil {
		*want.FreeMiB <<= 20
	}
	l.space.limit(l, found, want.FreeMiB)
	return nil, nil
}
