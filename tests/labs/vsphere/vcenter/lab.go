// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

type ref = types.ManagedObjectReference

// settings are what POST /config changes while the lab runs.
type settings struct {
	LatencyMS     int            `json:"latency_ms"`      // before every SOAP and REST call
	Jitter        float64        `json:"jitter"`          // 0.5: latency and task times +-50%
	TaskMS        map[string]int `json:"task_ms"`         // by SOAP method, "CloneVM_Task.linked", "*"
	SlotsHost     int            `json:"slots_host"`      // clones at once per destination host, 0: no limit
	SlotsDS       int            `json:"slots_datastore"` // the same per destination datastore
	SlotsAll      int            `json:"slots_all"`       // the same for the whole vCenter
	BootMS        int            `json:"boot_ms"`         // power on -> guest IP
	DuplicateUUID string         `json:"duplicate_uuid"`  // change (as vCenter), allow, fault
	TaskSeconds   float64        `json:"task_seconds"`    // a task that has ended is forgotten after that time
}

// lab is the simulator with what stands around it. mu guards set.
type lab struct {
	mu       sync.Mutex
	set      settings
	defaults settings

	model  *simulator.Model
	reg    *simulator.Registry
	server *simulator.Server
	users  map[string]string // user -> password

	seeded  map[ref]bool                  // VMs of the seed
	restore []func(context.Context) error // bring back what a test may have removed of the seed

	traffic traffic
	tasks   taskState
	guest   guestState
	grants  grants
	space   space
}

func (l *lab) config() settings {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.set
}

// context is for work of the lab's own.
func (l *lab) context(ctx context.Context) *simulator.Context {
	return &simulator.Context{Context: ctx, Map: l.reg, Session: l.model.Service.Context.Session}
}

// lock runs f while nobody else changes the object.
func (l *lab) lock(f func(*simulator.Context), r ref) {
	ctx := l.context(context.Background())
	ctx.WithLock(r, func() { f(ctx) })
}

// name of an inventory object, "" for others.
func (l *lab) name(r *ref) string {
	if r != nil {
		if e, ok := l.reg.Get(*r).(mo.Entity); ok {
			return e.Entity().Name
		}
	}
	return ""
}

// named says whether the text is the object's name or its managed object reference.
func (l *lab) named(r ref, text string) bool {
	return text == r.Value || text == l.name(&r)
}

// machines are all VMs, templates too.
func (l *lab) machines() []*simulator.VirtualMachine {
	var out []*simulator.VirtualMachine
	for _, e := range l.reg.All("VirtualMachine") {
		if vm, ok := e.(*simulator.VirtualMachine); ok {
			out = append(out, vm)
		}
	}
	return out
}
