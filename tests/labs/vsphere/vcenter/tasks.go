// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"log"
	"math/rand"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

type ref = types.ManagedObjectReference

// hook is told of every object put, updated and removed in the inventory.
type hook struct{ *lab }

func (h *hook) Reference() ref { return ref{Type: "LabHook", Value: "lab"} }

func (h *hook) PutObject(_ *simulator.Context, o mo.Reference) {
	switch o := o.(type) {
	case *simulator.Task:
		h.wrap(o)
	case *simulator.VirtualMachine:
		// the simulator leaves these enums empty, which pyvmomi cannot parse
		o.Runtime.FaultToleranceState = types.VirtualMachineFaultToleranceStateNotConfigured
		o.Runtime.RecordReplayState = types.VirtualMachineRecordReplayStateInactive
		o.Summary.Runtime.FaultToleranceState = o.Runtime.FaultToleranceState
		o.Summary.Runtime.RecordReplayState = o.Runtime.RecordReplayState
		o.GuestHeartbeatStatus = types.ManagedEntityStatusGray
	}
}

func (h *hook) UpdateObject(ctx *simulator.Context, o mo.Reference, changes []types.PropertyChange) {
	for _, c := range changes {
		switch {
		case o.Reference().Type == "Task" && c.Name == "info.startTime":
			h.tasks.ctx.LoadOrStore(o.Reference(), ctx)
		case o.Reference().Type == "Task" && c.Name == "info.cancelled":
			if ch, ok := h.tasks.cancel.LoadAndDelete(o.Reference()); ok {
				close(ch.(chan struct{}))
			}
		case c.Name == "runtime.powerState":
			if vm, ok := o.(*mo.VirtualMachine); ok {
				h.powerChanged(vm)
			}
		}
	}
}

func (h *hook) RemoveObject(_ *simulator.Context, r ref) {
	if r.Type == "VirtualMachine" {
		h.guest.halt(r)
	}
}

type taskState struct {
	call   sync.Map // *simulator.Context -> *simulator.Method: the call that is about to make a task
	ctx    sync.Map // task -> *simulator.Context
	cancel sync.Map // task -> chan struct{}

	mu      sync.Mutex
	used    map[string]int // slots in use, by "host-12", "datastore-3", "all"
	waiting []*waiter
	placed  map[ref]int // clones under way, by host
}

type waiter struct {
	keys  []string
	ready chan struct{}
}

// beforeCall sees each decoded call; it may change the request.
func (l *lab) beforeCall(ctx *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if m.Name == "RebootGuest" && ctx.Session != nil {
		go l.reboot(m.This)
	}
	if strings.HasSuffix(m.Name, "_Task") {
		l.tasks.call.Store(ctx, m)
		if req, ok := m.Body.(*types.CloneVM_Task); ok && ctx.Session != nil {
			return nil, l.place(ctx, req)
		}
	}
	return nil, nil
}

// place picks a host of the pool's cluster, as DRS does: the simulator would
// leave the clone on its template's host.
func (l *lab) place(ctx *simulator.Context, req *types.CloneVM_Task) types.BaseMethodFault {
	loc := &req.Spec.Location
	if loc.Host == nil && loc.Pool != nil {
		owner := *loc.Pool
		for owner.Type == "ResourcePool" {
			p, ok := l.reg.Get(owner).(*simulator.ResourcePool)
			if !ok {
				return &types.ManagedObjectNotFound{Obj: owner}
			}
			owner = *p.Parent
		}
		cl, ok := l.reg.Get(owner).(*simulator.ClusterComputeResource)
		if !ok {
			return nil
		}
		l.tasks.mu.Lock()
		defer l.tasks.mu.Unlock()
		var best *ref
		load := 1 << 30
		for _, h := range slices.Clone(cl.Host) {
			host := l.reg.Get(h).(*simulator.HostSystem)
			if host.Runtime.InMaintenanceMode || host.Runtime.ConnectionState != types.HostSystemConnectionStateConnected ||
				loc.Datastore != nil && !slices.Contains(host.Datastore, *loc.Datastore) {
				continue
			}
			if n := len(host.Vm) + l.tasks.placed[h]; n < load {
				load, best = n, &h
			}
		}
		if best == nil {
			return &types.NoCompatibleHost{}
		}
		loc.Host = best
	}
	return nil
}

// wrap puts the lab's queue, delay and faults around a task. While it waits
// nobody may hold the entity's lock, so the simulator is given a lock of its
// own and the entity is locked only for the work itself.
func (l *lab) wrap(t *simulator.Task) {
	if t.Execute == nil || t.Info.Entity == nil { // made by CreateTask: not ours
		return
	}
	entity, work := *t.Info.Entity, t.Execute
	t.Info.Entity = &ref{Type: entity.Type, Value: entity.Value + "-" + uuid.NewString()[:8]}
	t.Execute = func(t *simulator.Task) (types.AnyType, types.BaseMethodFault) {
		v, _ := l.tasks.ctx.LoadAndDelete(t.Self)
		ctx := v.(*simulator.Context)
		ctx.WithLock(t, func() { t.Info.Entity = &entity })
		run := func() (res types.AnyType, fault types.BaseMethodFault) {
			ctx.WithLock(entity, func() {
				defer func() { // the simulator dies of a panic here
					if p := recover(); p != nil {
						log.Printf("PANIC in task %s: %v\n%s", t.Info.DescriptionId, p, debug.Stack())
						fault = &types.SystemError{Reason: fmt.Sprint("simulator: ", p)}
					}
				}()
				res, fault = work(t)
			})
			return
		}
		call, outer := l.tasks.call.LoadAndDelete(ctx)
		if !outer { // a task inside a task; the seed
			return run()
		}
		return l.runTask(ctx, t, call.(*simulator.Method), run)
	}
}

func (l *lab) runTask(ctx *simulator.Context, t *simulator.Task, m *simulator.Method,
	run func() (types.AnyType, types.BaseMethodFault)) (types.AnyType, types.BaseMethodFault) {
	cfg := l.config()
	cancelled := make(chan struct{})
	l.tasks.cancel.Store(t.Self, cancelled)
	defer l.tasks.cancel.Delete(t.Self)

	key := m.Name
	clone, isClone := m.Body.(*types.CloneVM_Task)
	linked := false
	if isClone {
		linked = clone.Spec.Location.DiskMoveType == string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking)
		if _, ok := cfg.TaskMS[key+".linked"]; ok && linked {
			key += ".linked"
		}
		if done, ok := l.slot(ctx, t, cfg, &clone.Spec.Location, cancelled); !ok {
			return nil, &types.RequestCanceled{}
		} else {
			defer done()
		}
	}
	ms, ok := cfg.TaskMS[key]
	if !ok {
		ms = cfg.TaskMS["*"]
	}
	before, after := l.http.taskRules(m)
	if before != nil {
		ms += before.MS
	}
	if ms > 0 {
		select {
		case <-cancelled:
			return nil, &types.RequestCanceled{}
		case <-time.After(spread(ms, cfg.Jitter)):
		}
	}
	if before != nil {
		return nil, before.fault
	}
	if isClone {
		l.inherit(clone)
		if f := l.uniqueUUID(cfg, clone); f != nil {
			return nil, f
		}
	}
	keep := func() {}
	if m.Name == "Destroy_Task" && m.This.Type == "VirtualMachine" {
		keep = l.keepDisks(m.This)
	}
	res, fault := run()
	keep()
	if isClone && res != nil {
		l.finishClone(ctx, res.(ref), clone, linked)
	}
	if after != nil {
		return nil, after.fault
	}
	return res, fault
}

func spread(ms int, jitter float64) time.Duration {
	return time.Duration(float64(ms) * (1 + jitter*(2*rand.Float64()-1)) * float64(time.Millisecond))
}

// slot waits, in state queued, until host, datastore and vCenter take one more
// clone.
func (l *lab) slot(ctx *simulator.Context, t *simulator.Task, cfg settings, loc *types.VirtualMachineRelocateSpec, cancelled chan struct{}) (func(), bool) {
	s := &l.tasks
	w := &waiter{ready: make(chan struct{})}
	limit := map[string]int{"all": cfg.SlotsAll}
	w.keys = []string{"all"}
	if loc.Host != nil {
		limit[loc.Host.Value] = cfg.SlotsHost
		w.keys = append(w.keys, loc.Host.Value)
	}
	if loc.Datastore != nil {
		limit[loc.Datastore.Value] = cfg.SlotsDS
		w.keys = append(w.keys, loc.Datastore.Value)
	}
	fits := func(w *waiter) bool {
		for _, k := range w.keys {
			n := cfg.SlotsHost
			switch {
			case k == "all":
				n = cfg.SlotsAll
			case strings.HasPrefix(k, "datastore"):
				n = cfg.SlotsDS
			}
			if n > 0 && s.used[k] >= n {
				return false
			}
		}
		return true
	}
	take := func(w *waiter) {
		for _, k := range w.keys {
			s.used[k]++
		}
	}
	s.mu.Lock()
	if s.used == nil {
		s.used, s.placed = map[string]int{}, map[ref]int{}
	}
	host := ref{}
	if loc.Host != nil {
		host = *loc.Host
	}
	s.placed[host]++
	if fits(w) {
		take(w)
		close(w.ready)
	} else {
		s.waiting = append(s.waiting, w)
	}
	s.mu.Unlock()

	set := func(state types.TaskInfoState) {
		ctx.Map.AtomicUpdate(ctx, t, []types.PropertyChange{{Name: "info.state", Val: state}})
	}
	done := func(had bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.placed[host]--
		if had {
			for _, k := range w.keys {
				s.used[k]--
			}
		}
		s.waiting = slices.DeleteFunc(s.waiting, func(o *waiter) bool {
			if o == w || !fits(o) {
				return o == w
			}
			take(o)
			close(o.ready)
			return true
		})
	}
	select {
	case <-w.ready:
	default:
		set(types.TaskInfoStateQueued)
		select {
		case <-w.ready:
			set(types.TaskInfoStateRunning)
		case <-cancelled:
			s.mu.Lock()
			had := !slices.Contains(s.waiting, w)
			s.mu.Unlock()
			done(had)
			return nil, false
		}
	}
	return func() { done(true) }, true
}

// inherit gives the clone its source's extraConfig, as vCenter does.
func (l *lab) inherit(req *types.CloneVM_Task) {
	src, ok := l.reg.Get(req.This).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	if req.Spec.Config == nil {
		req.Spec.Config = &types.VirtualMachineConfigSpec{}
	}
	c := req.Spec.Config
	given := map[string]bool{"govcsim": true}
	for _, o := range c.ExtraConfig {
		given[o.GetOptionValue().Key] = true
	}
	l.lock(func(*simulator.Context) {
		for _, o := range src.Config.ExtraConfig {
			if v := *o.GetOptionValue(); !given[v.Key] {
				c.ExtraConfig = append(c.ExtraConfig, &v)
			}
		}
	}, src.Self)
}

// uniqueUUID does what vCenter does with an instanceUuid already in use: the
// newcomer gets another one.
func (l *lab) uniqueUUID(cfg settings, req *types.CloneVM_Task) types.BaseMethodFault {
	c := req.Spec.Config
	if c == nil || c.InstanceUuid == "" || cfg.DuplicateUUID == "allow" {
		return nil
	}
	c.InstanceUuid = strings.ToLower(c.InstanceUuid)
	yes := true
	sc := l.context(context.Background())
	found := l.reg.SearchIndex().FindByUuid(sc, &types.FindByUuid{Uuid: c.InstanceUuid, VmSearch: true, InstanceUuid: &yes})
	if r := findResult(found); r != nil {
		if cfg.DuplicateUUID == "fault" {
			return &types.InvalidArgument{InvalidProperty: "spec.config.instanceUuid"}
		}
		c.InstanceUuid = uuid.NewString()
	}
	return nil
}

// keepDisks saves the disks in a VM's folder that are not (or no longer) its
// own: vCenter leaves them, the simulator would delete the whole folder.
func (l *lab) keepDisks(r ref) (restore func()) {
	own, moved, dir := map[string]bool{}, map[string]string{}, ""
	l.lock(func(*simulator.Context) {
		vm, ok := l.reg.Get(r).(*simulator.VirtualMachine)
		if !ok || vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
			return
		}
		for _, d := range object.VirtualDeviceList(vm.Config.Hardware.Device).SelectByType((*types.VirtualDisk)(nil)) {
			if b, ok := d.(*types.VirtualDisk).Backing.(types.BaseVirtualDeviceFileBackingInfo); ok {
				own[filepath.Base(b.GetVirtualDeviceFileBackingInfo().FileName)] = true
			}
		}
		var p object.DatastorePath
		if !p.FromString(vm.Config.Files.LogDirectory) {
			return
		}
		for _, d := range vm.Datastore {
			ds, ok := l.reg.Get(d).(*simulator.Datastore)
			if !ok || ds.Name != p.Datastore {
				continue
			}
			dir = filepath.Join(ds.Summary.Url, p.Path)
			files, _ := filepath.Glob(filepath.Join(dir, "*.vmdk"))
			for _, f := range files {
				if base := filepath.Base(f); !own[base] && !own[strings.Replace(base, "-flat.vmdk", ".vmdk", 1)] {
					moved[f] = filepath.Join(filepath.Dir(ds.Summary.Url), uuid.NewString())
					_ = os.Rename(f, moved[f])
				}
			}
		}
	}, r)
	return func() {
		for i := 0; i < 100 && len(moved) > 0; i++ { // the folder is deleted by another task
			if _, err := os.Stat(dir); err != nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		for f, tmp := range moved {
			_ = os.MkdirAll(filepath.Dir(f), 0o700)
			_ = os.Rename(tmp, f)
		}
	}
}

// finishClone adds what the simulator's clone leaves out: annotation, new MAC
// addresses, parent disks of a linked clone.
func (l *lab) finishClone(ctx *simulator.Context, r ref, req *types.CloneVM_Task, linked bool) {
	vm, ok := l.reg.Get(r).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	src, _ := l.reg.Get(req.This).(*simulator.VirtualMachine)
	ctx.WithLock(vm, func() {
		var ch []types.PropertyChange
		note := ""
		if src != nil && src.Config != nil {
			note = src.Config.Annotation
		}
		if c := req.Spec.Config; c != nil && c.Annotation != "" {
			note = c.Annotation
		}
		if note != "" {
			ch = append(ch, types.PropertyChange{Name: "config.annotation", Val: note},
				types.PropertyChange{Name: "summary.config.annotation", Val: note})
		}
		macs := map[string]bool{}
		if src != nil {
			for _, d := range object.VirtualDeviceList(src.Config.Hardware.Device).SelectByType((*types.VirtualEthernetCard)(nil)) {
				macs[d.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard().MacAddress] = true
			}
		}
		for _, d := range object.VirtualDeviceList(vm.Config.Hardware.Device).SelectByType((*types.VirtualEthernetCard)(nil)) {
			if c := d.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard(); macs[c.MacAddress] {
				id := uuid.New()
				c.MacAddress = fmt.Sprintf("00:50:56:%02x:%02x:%02x", id[0]&0x3f, id[1], id[2])
			}
		}
		if linked && src != nil {
			parents := object.VirtualDeviceList(src.Config.Hardware.Device).SelectByType((*types.VirtualDisk)(nil))
			disks := object.VirtualDeviceList(vm.Config.Hardware.Device).SelectByType((*types.VirtualDisk)(nil))
			for i := range min(len(parents), len(disks)) {
				p, ok1 := parents[i].(*types.VirtualDisk).Backing.(*types.VirtualDiskFlatVer2BackingInfo)
				b, ok2 := disks[i].(*types.VirtualDisk).Backing.(*types.VirtualDiskFlatVer2BackingInfo)
				if ok1 && ok2 {
					parent := *p
					b.Parent = &parent
				}
			}
		}
		ctx.Update(vm, ch)
	})
}
