// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"sort"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// control is the HTTP interface for tests. See NOTES.md.
func (l *lab) control(mux *http.ServeMux) {
	h := &l.http
	say := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		_ = e.Encode(v)
	}
	read := func(w http.ResponseWriter, r *http.Request, v any) bool {
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(v); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return false
		}
		return true
	}
	mux.HandleFunc("GET /calls", func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		out := map[string]any{}
		for k, m := range h.calls {
			n := 0
			for _, c := range m {
				n += c
			}
			out[k], out[k+"_total"] = m, n
		}
		if r.URL.Query().Has("reset") {
			h.clear()
		}
		b, _ := json.MarshalIndent(out, "", " ")
		h.mu.Unlock()
		_, _ = w.Write(b)
	})
	mux.HandleFunc("DELETE /calls", func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.clear()
		h.mu.Unlock()
	})
	mux.HandleFunc("GET /rules", func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		say(w, h.rules)
	})
	mux.HandleFunc("POST /rules", func(w http.ResponseWriter, r *http.Request) {
		u := &rule{Method: "*"}
		if !read(w, r, u) {
			return
		}
		if err := u.check(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.lastID++
		u.ID = h.lastID
		h.rules = append(h.rules, u)
		say(w, u)
	})
	mux.HandleFunc("DELETE /rules", func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.rules = nil
		h.mu.Unlock()
	})
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, r *http.Request) { say(w, l.config()) })
	mux.HandleFunc("POST /config", func(w http.ResponseWriter, r *http.Request) {
		set := l.config() // fields not given stay as they are, maps are merged
		tasks := set.TaskMS
		set.TaskMS = map[string]int{}
		for k, v := range tasks {
			set.TaskMS[k] = v
		}
		if read(w, r, &set) {
			l.mu.Lock()
			l.set = set
			l.mu.Unlock()
			say(w, set)
		}
	})
	mux.HandleFunc("POST /sessions/terminate", func(w http.ResponseWriter, r *http.Request) {
		say(w, map[string]int{"ended": l.endSessions()})
	})
	mux.HandleFunc("GET /sessions", func(w http.ResponseWriter, r *http.Request) { say(w, l.sessions()) })
	mux.HandleFunc("POST /outage", func(w http.ResponseWriter, r *http.Request) {
		o := struct {
			Seconds      float64 `json:"seconds"`
			Mode         string  `json:"mode"` // reset, 503
			KeepSessions bool    `json:"keep_sessions"`
		}{Mode: "reset"}
		if !read(w, r, &o) {
			return
		}
		h.mu.Lock()
		h.downTill, h.downHow = time.Now().Add(time.Duration(o.Seconds*float64(time.Second))), o.Mode
		h.mu.Unlock()
		if !o.KeepSessions {
			l.endSessions()
		}
		if o.Mode == "reset" {
			go l.server.CloseClientConnections()
		}
	})
	mux.HandleFunc("GET /vms", func(w http.ResponseWriter, r *http.Request) { say(w, l.vms()) })
	mux.HandleFunc("POST /vms/{name}", func(w http.ResponseWriter, r *http.Request) {
		var set map[string]any // property path -> value, or power: off
		if read(w, r, &set) {
			if err := l.poke(r.PathValue("name"), set); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		}
	})
	mux.HandleFunc("POST /reset", func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.rules, h.downTill = nil, time.Time{}
		h.clear()
		h.mu.Unlock()
		l.mu.Lock()
		l.set = l.defaults
		l.mu.Unlock()
		say(w, map[string]int{"destroyed": l.destroyAll()})
	})
}

func (l *lab) sessions() []types.UserSession {
	ctx := l.model.Service.Context
	sm := ctx.Session.Get(*l.model.ServiceContent.SessionManager).(*simulator.SessionManager)
	return sm.SessionList
}

func (l *lab) endSessions() int {
	var ids []string
	for _, s := range l.sessions() {
		ids = append(ids, s.Key)
	}
	l.reg.SessionManager().TerminateSession(l.model.Service.Context, &types.TerminateSession{SessionId: ids})
	l.http.mu.Lock()
	l.http.epoch++
	l.http.mu.Unlock()
	return len(ids)
}

// context is for work of the lab's own.
func (l *lab) context(ctx context.Context) *simulator.Context {
	return &simulator.Context{Context: ctx, Map: l.reg, Session: l.model.Service.Context.Session}
}

func (l *lab) lock(f func(*simulator.Context), r ref) {
	ctx := l.context(context.Background())
	ctx.WithLock(r, func() { f(ctx) })
}

func (l *lab) name(r *ref) string {
	if r != nil {
		if e, ok := l.reg.Get(*r).(mo.Entity); ok {
			return e.Entity().Name
		}
	}
	return ""
}

// vms is the truth about the inventory, for assertions that shall not depend
// on the client under test.
func (l *lab) vms() []map[string]any {
	var out []map[string]any
	for _, e := range l.reg.All("VirtualMachine") {
		vm := e.(*simulator.VirtualMachine)
		l.lock(func(*simulator.Context) {
			if vm.Config == nil || vm.Runtime.Host == nil {
				return
			}
			host, _ := l.reg.Get(*vm.Runtime.Host).(*simulator.HostSystem)
			m := map[string]any{"name": vm.Name, "moref": vm.Self.Value, "uuid": vm.Config.Uuid,
				"instance_uuid": vm.Config.InstanceUuid, "template": vm.Config.Template,
				"power": vm.Runtime.PowerState, "host": l.name(vm.Runtime.Host), "pool": l.name(vm.ResourcePool),
				"folder": l.name(vm.Parent), "ip": vm.Guest.IpAddress, "tools": vm.Guest.ToolsRunningStatus,
				"annotation": vm.Config.Annotation, "seed": l.seedVMs[vm.Self]}
			if host != nil {
				m["cluster"] = l.name(host.Parent)
			}
			var ds []string
			for i := range vm.Datastore {
				ds = append(ds, l.name(&vm.Datastore[i]))
			}
			m["datastores"] = ds
			ec := map[string]string{}
			for k, v := range extra(&vm.VirtualMachine) {
				if k != "govcsim" {
					ec[k] = v
				}
			}
			m["extra_config"] = ec
			out = append(out, m)
		}, vm.Self)
	}
	sort.Slice(out, func(i, j int) bool { return out[i]["name"].(string) < out[j]["name"].(string) })
	return out
}

// poke changes a VM behind the client's back: {"power":"off"}, or guest
// properties such as {"guestHeartbeatStatus":"red", "guest.ipAddress":""}.
func (l *lab) poke(pattern string, set map[string]any) (err error) {
	hit := false
	for _, e := range l.reg.All("VirtualMachine") {
		vm := e.(*simulator.VirtualMachine)
		if ok, _ := path.Match(pattern, vm.Name); !ok {
			continue
		}
		hit = true
		l.lock(func(ctx *simulator.Context) {
			defer func() {
				if p := recover(); p != nil { // unknown path, wrong type
					err = fmt.Errorf("%s: %v", vm.Name, p)
				}
			}()
			for k, v := range set {
				switch {
				case k == "power" && v == "off":
					vm.PowerOffVMTask(ctx, &types.PowerOffVM_Task{This: vm.Self})
				case k == "power":
					vm.PowerOnVMTask(ctx, &types.PowerOnVM_Task{This: vm.Self})
				default:
					ctx.Update(vm, []types.PropertyChange{{Name: k, Val: v}})
				}
			}
		}, vm.Self)
	}
	if !hit {
		return fmt.Errorf("no such VM: %s", pattern)
	}
	return err
}

// destroyAll removes all VMs that were not seeded.
func (l *lab) destroyAll() int {
	n := 0
	for _, e := range l.reg.All("VirtualMachine") {
		vm := e.(*simulator.VirtualMachine)
		if l.seedVMs[vm.Self] {
			continue
		}
		var task ref
		l.lock(func(c *simulator.Context) {
			task = vm.PowerOffVMTask(c, &types.PowerOffVM_Task{This: vm.Self}).(*methods.PowerOffVM_TaskBody).Res.Returnval
		}, vm.Self)
		l.reg.Get(task).(*simulator.Task).Wait()
		l.lock(func(c *simulator.Context) {
			task = vm.DestroyTask(c, &types.Destroy_Task{This: vm.Self}).(*methods.Destroy_TaskBody).Res.Returnval
		}, vm.Self)
		l.reg.Get(task).(*simulator.Task).Wait()
		n++
	}
	return n
}
