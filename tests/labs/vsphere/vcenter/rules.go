// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// rule makes some calls go wrong. Kinds: fault (the call is refused), http
// (status), reset (TCP reset before the call), drop (the call is executed, the
// answer lost), delay, hang (no answer for ms, then closed), task-fault (the
// task fails, nothing done), task-fault-after (all done, the task says failed),
// missing (a property read answers with the fault in missingSet, see missing.go).
type rule struct {
	ID          int             `json:"id"`
	Kind        string          `json:"kind"`
	Method      string          `json:"method"`      // CloneVM_Task, *, or "POST /rest/..." for REST
	Contains    string          `json:"contains"`    // only requests with this text (a VM's name, a moref); missing: only this object
	Count       int             `json:"count"`       // how many times, 0: always
	Skip        int             `json:"skip"`        // let that many pass first
	Probability float64         `json:"probability"` // 0 is 1
	MS          int             `json:"ms"`          // delay, hang; task-fault: fails after that time
	Status      int             `json:"status"`      // http
	Fault       string          `json:"fault"`       // name of a vim25 fault
	Path        string          `json:"path"`        // missing: only this property
	Fields      json.RawMessage `json:"fields,omitempty"`
	Message     string          `json:"message"`
	Hits        int             `json:"hits"`
	seen        int
	fault       types.BaseMethodFault
}

// check fills in what was left out.
func (u *rule) check() error {
	switch u.Kind {
	case "missing":
		if u.Fault == "" {
			u.Fault = "NotAuthenticated"
		}
		return u.makeFault()
	case "fault", "task-fault", "task-fault-after":
		return u.makeFault()
	case "delay", "hang", "reset", "drop":
	case "http":
		if u.Status < 400 || u.Status > 599 {
			return fmt.Errorf("status: 400 to 599, not %d", u.Status)
		}
	default:
		return fmt.Errorf("no such kind: %q", u.Kind)
	}
	return nil
}

func (u *rule) makeFault() error {
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
	return nil
}

// concerns says whether the rule is for this method.
func (u *rule) concerns(name string) bool {
	return u.Method == "*" || u.Method == name || strings.Contains(u.Method, " ") && strings.HasPrefix(name, u.Method)
}

// match returns the rules of these kinds that apply to the call, and counts.
func (t *traffic) match(name, text string, kinds ...string) (out []*rule) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range t.rules {
		if !slices.Contains(kinds, u.Kind) || !u.concerns(name) || !strings.Contains(text, u.Contains) || u.Count > 0 && u.Hits >= u.Count {
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
func (t *traffic) taskRules(m *simulator.Method) (before, after *rule) {
	text := ""
	t.mu.Lock()
	n := len(t.rules)
	t.mu.Unlock()
	if n > 0 {
		b, _ := json.Marshal(m.Body)
		text = m.This.Value + " " + string(b)
	}
	for _, u := range t.match(m.Name, text, "task-fault", "task-fault-after") {
		if u.Kind == "task-fault" {
			before = u
		} else {
			after = u
		}
	}
	return
}
