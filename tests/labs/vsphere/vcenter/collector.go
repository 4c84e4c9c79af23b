// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// collector replaces the simulator's PropertyCollector where it differs too
// much from vCenter's: WaitForUpdatesEx here costs what changed (theirs
// collects every filter anew for each change of anything), two sessions may
// wait on their default collectors, and Fetch of an unset property answers.
type collector struct {
	simulator.PropertyCollector

	busy    sync.Mutex // one wait at a time
	mu      sync.Mutex
	hook    *collectorHook
	touched map[ref]bool // true: came or went
	wake    chan struct{}
	cancel  context.CancelFunc
	used    time.Time

	known   map[ref]map[ref]map[string]types.AnyType // filter -> object -> path -> last value
	version int
	last    *types.UpdateSet
	rest    []types.PropertyFilterUpdate
}

// collectorHook listens for one collector, under a name of its own.
type collectorHook struct {
	self ref
	pc   *collector
}

func (h *collectorHook) Reference() ref { return h.self }
func (h *collectorHook) PutObject(_ *simulator.Context, o mo.Reference) {
	h.pc.touch(o.Reference(), true)
}
func (h *collectorHook) RemoveObject(_ *simulator.Context, r ref) { h.pc.touch(r, true) }
func (h *collectorHook) UpdateObject(ctx *simulator.Context, o mo.Reference, _ []types.PropertyChange) {
	h.pc.touch(o.Reference(), false)
	if h.pc.idle() { // its session is gone, or it is no longer used
		ctx.Map.RemoveHandler(h)
	}
}

func (pc *collector) touch(r ref, moved bool) {
	pc.mu.Lock()
	pc.touched[r] = pc.touched[r] || moved
	pc.mu.Unlock()
	pc.poke()
}

func (pc *collector) poke() {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	if pc.wake != nil {
		select {
		case pc.wake <- struct{}{}:
		default:
		}
	}
}

func (pc *collector) idle() bool {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	if pc.cancel == nil && pc.hook != nil && time.Since(pc.used) > 5*time.Minute {
		pc.hook, pc.touched = nil, map[ref]bool{}
		return true
	}
	return false
}

func (pc *collector) CreatePropertyCollector(ctx *simulator.Context, _ *types.CreatePropertyCollector) soap.HasFault {
	n := &collector{}
	n.Self.Type = "PropertyCollector"
	return &methods.CreatePropertyCollectorBody{Res: &types.CreatePropertyCollectorResponse{
		Returnval: ctx.Session.Put(n).Reference()}}
}

func (pc *collector) CreateFilter(ctx *simulator.Context, c *types.CreateFilter) soap.HasFault {
	r := pc.PropertyCollector.CreateFilter(ctx, c)
	pc.poke()
	return r
}

func (pc *collector) CancelWaitForUpdates(*types.CancelWaitForUpdates) soap.HasFault {
	pc.mu.Lock()
	if pc.cancel != nil {
		pc.cancel()
	}
	pc.mu.Unlock()
	return &methods.CancelWaitForUpdatesBody{Res: new(types.CancelWaitForUpdatesResponse)}
}

func (pc *collector) DestroyPropertyCollector(ctx *simulator.Context, c *types.DestroyPropertyCollector) soap.HasFault {
	pc.CancelWaitForUpdates(nil)
	pc.mu.Lock()
	h := pc.hook
	pc.hook = nil
	pc.mu.Unlock()
	if h != nil {
		ctx.Map.RemoveHandler(h)
	}
	return pc.PropertyCollector.DestroyPropertyCollector(ctx, c)
}

// read collects one filter, or only the given objects of it.
func (pc *collector) read(ctx *simulator.Context, spec types.PropertyFilterSpec, only []ref) ([]types.ObjectContent, types.BaseMethodFault) {
	spec.ReportMissingObjectsInResults = types.NewBool(true)
	if only != nil {
		spec.ObjectSet = nil
		for _, r := range only {
			spec.ObjectSet = append(spec.ObjectSet, types.ObjectSpec{Obj: r})
		}
	}
	res := pc.PropertyCollector.RetrievePropertiesEx(ctx, &types.RetrievePropertiesEx{SpecSet: []types.PropertyFilterSpec{spec}})
	if f := res.Fault(); f != nil {
		return nil, f.VimFault().(types.BaseMethodFault)
	}
	return res.(*methods.RetrievePropertiesExBody).Res.Returnval.Objects, nil
}

// changes brings what is known of one filter up to date and returns the differences.
func (pc *collector) changes(ctx *simulator.Context, f *simulator.PropertyFilter, touched map[ref]bool) ([]types.ObjectUpdate, types.BaseMethodFault) {
	known, old := pc.known[f.Self]
	var out []types.ObjectUpdate
	only := []ref{}
	whole := !old
	for r, moved := range touched {
		_, in := known[r]
		if in {
			only = append(only, r)
		}
		for _, o := range f.Spec.ObjectSet {
			switch {
			case len(o.SelectSet) == 0:
			case moved: // may have come into the view, if it is of a wanted type
				for _, p := range f.Spec.PropSet {
					whole = whole || p.Type == r.Type || p.Type == "ManagedEntity"
				}
			case !in && r.Type != "VirtualMachine" && r.Type != "Task": // folder, view: the way there changed
				whole = true
			}
		}
	}
	if !whole && len(only) == 0 {
		return nil, nil
	}
	if whole {
		only = nil
	}
	objs, fault := pc.read(ctx, f.Spec, only)
	if fault != nil {
		return nil, fault
	}
	if !old {
		known = map[ref]map[string]types.AnyType{}
		pc.known[f.Self] = known
	}
	seen := map[ref]bool{}
	for _, o := range objs {
		seen[o.Obj] = true
		was, in := known[o.Obj]
		now := map[string]types.AnyType{}
		u := types.ObjectUpdate{Obj: o.Obj, Kind: types.ObjectUpdateKindEnter}
		if in {
			u.Kind = types.ObjectUpdateKindModify
		}
		for _, p := range o.PropSet {
			now[p.Name] = p.Val
			if v, ok := was[p.Name]; !ok || !reflect.DeepEqual(v, p.Val) {
				u.ChangeSet = append(u.ChangeSet, types.PropertyChange{Op: types.PropertyChangeOpAssign, Name: p.Name, Val: p.Val})
			}
		}
		for name := range was {
			if _, ok := now[name]; !ok {
				u.ChangeSet = append(u.ChangeSet, types.PropertyChange{Op: types.PropertyChangeOpAssign, Name: name})
			}
		}
		known[o.Obj] = now
		if !in || len(u.ChangeSet) > 0 {
			out = append(out, u)
		}
	}
	gone := only
	if whole {
		for r := range known {
			gone = append(gone, r)
		}
	}
	for _, r := range gone {
		if !seen[r] {
			delete(known, r)
			out = append(out, types.ObjectUpdate{Obj: r, Kind: types.ObjectUpdateKindLeave})
		}
	}
	return out, nil
}

func (pc *collector) WaitForUpdatesEx(ctx *simulator.Context, r *types.WaitForUpdatesEx) soap.HasFault {
	body := &methods.WaitForUpdatesExBody{}
	fail := func(f types.BaseMethodFault) soap.HasFault { body.Fault_ = simulator.Fault("", f); return body }
	pc.busy.Lock()
	defer pc.busy.Unlock()
	wait, cancel := context.WithCancel(context.Background())
	defer func() { cancel() }()
	page, once := 100, false // vCenter's limit is 100 too
	if o := r.Options; o != nil {
		if o.MaxWaitSeconds != nil {
			once = *o.MaxWaitSeconds <= 0
			wait, cancel = context.WithTimeout(wait, time.Duration(*o.MaxWaitSeconds)*time.Second)
		}
		if o.MaxObjectUpdates > 0 && int(o.MaxObjectUpdates) < page {
			page = int(o.MaxObjectUpdates)
		}
	}

	pc.mu.Lock()
	pc.used, pc.cancel = time.Now(), cancel
	if pc.hook == nil || r.Version == "" { // from the start, or asleep too long
		if pc.hook == nil {
			pc.hook = &collectorHook{ref{Type: "LabCollector", Value: uuid.NewString()}, pc}
			pc.wake = make(chan struct{}, 1)
			ctx.Map.AddHandler(pc.hook)
		}
		if r.Version == "" || pc.known == nil {
			pc.known, pc.last, pc.rest = map[ref]map[ref]map[string]types.AnyType{}, nil, nil
		}
		pc.touched = map[ref]bool{}
		for _, k := range pc.known {
			for o := range k {
				pc.touched[o] = true
			}
		}
	}
	pc.mu.Unlock()
	defer func() {
		pc.mu.Lock()
		pc.cancel, pc.used = nil, time.Now()
		pc.mu.Unlock()
	}()

	if v := fmt.Sprint(pc.version); r.Version != "" && r.Version != v {
		if pc.last != nil && r.Version == fmt.Sprint(pc.version-1) { // its answer was lost: again
			body.Res = &types.WaitForUpdatesExResponse{Returnval: pc.last}
			return body
		}
		return fail(&types.InvalidCollectorVersion{})
	}

	for {
		set := pc.rest
		pc.rest = nil
		if set == nil {
			pc.mu.Lock()
			touched := pc.touched
			pc.touched = map[ref]bool{}
			pc.mu.Unlock()
			for _, fr := range append([]ref(nil), pc.Filter...) {
				f, ok := ctx.Session.Get(fr).(*simulator.PropertyFilter)
				if !ok {
					continue
				}
				ups, fault := pc.changes(ctx, f, touched)
				if fault != nil {
					return fail(fault)
				}
				if len(ups) > 0 {
					set = append(set, types.PropertyFilterUpdate{Filter: fr, ObjectSet: ups})
				}
			}
		}
		if len(set) > 0 || r.Version == "" {
			pc.version++
			us := &types.UpdateSet{Version: fmt.Sprint(pc.version)}
			us.FilterSet, pc.rest = cut(set, page)
			if pc.rest != nil {
				us.Truncated = types.NewBool(true)
			}
			pc.last = us
			body.Res = &types.WaitForUpdatesExResponse{Returnval: us}
			return body
		}
		if !once {
			select {
			case <-pc.wake:
				time.Sleep(10 * time.Millisecond) // let updates gather
				continue
			case <-wait.Done():
			}
		}
		if wait.Err() == context.Canceled {
			return fail(&types.RequestCanceled{})
		}
		body.Res = &types.WaitForUpdatesExResponse{}
		return body
	}
}

func (pc *collector) WaitForUpdates(ctx *simulator.Context, r *types.WaitForUpdates) soap.HasFault {
	res := pc.WaitForUpdatesEx(ctx, &types.WaitForUpdatesEx{This: r.This, Version: r.Version}).(*methods.WaitForUpdatesExBody)
	body := &methods.WaitForUpdatesBody{Fault_: res.Fault_}
	if res.Res != nil {
		body.Res = &types.WaitForUpdatesResponse{Returnval: *res.Res.Returnval}
	}
	return body
}

// cut keeps the first n object updates, the others are for the next call.
func cut(set []types.PropertyFilterUpdate, n int) (now, later []types.PropertyFilterUpdate) {
	for i, f := range set {
		if len(f.ObjectSet) > n {
			head, tail := f, f
			head.ObjectSet, tail.ObjectSet = f.ObjectSet[:n], f.ObjectSet[n:]
			if n > 0 {
				now = append(now, head)
			}
			return now, append([]types.PropertyFilterUpdate{tail}, set[i+1:]...)
		}
		now = append(now, f)
		n -= len(f.ObjectSet)
	}
	return now, nil
}

// FetchResponse and fetchBody are the answer for an unset property.
type FetchResponse struct{}

type fetchBody struct{ Res *FetchResponse }

func (*fetchBody) Fault() *soap.Fault { return nil }

// Fetch takes the simulator's internal request type.
func (pc *collector) Fetch(ctx *simulator.Context, req any) soap.HasFault {
	res := reflect.ValueOf(&pc.PropertyCollector).MethodByName("Fetch").Call(
		[]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(req)})[0].Interface().(soap.HasFault)
	if b, ok := res.(*methods.RetrievePropertiesExBody); ok && b.Fault() == nil {
		return &fetchBody{Res: &FetchResponse{}}
	}
	return res
}
