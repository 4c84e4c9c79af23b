// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"log"
	"math/rand"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// hook is told of every object put, updated and removed in the inventory.
type hook struct{ *lab }

func (h *hook) Reference() ref { return ref{Type: "LabHook", Value: "lab"} }

func (h *hook) PutObject(_ *simulator.Context, o mo.Reference) {
	switch o := o.(type) {
	case *simulator.Task:
		h.wrap(o)
	case *simulator.VirtualMachine:
		// a VM being made has no name yet, and who looks for one by name meets a panic
		if o.Name == "" && o.Config != nil {
			_, folder, _ := strings.Cut(o.Config.Files.LogDirectory, "] ")
			o.Name = path.Base(folder)
		}
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
			h.tasks.stop(o.Reference())
		case c.Name == "runtime.powerState":
			if vm, ok := o.(*mo.VirtualMachine); ok {
				h.powerChanged(vm)
			}
		}
	}
}

func (h *hook) RemoveObject(_ *simulator.Context, r ref) {
	if r.Type == "VirtualMachine" {
		h.guest.forget(r)
		go h.leaveRules(r)
	}
}

// call is one that makes a task.
type call struct {
	method *simulator.Method
	misfit types.BaseMethodFault // why no host can take the clone
}

// taskState is what the lab knows of tasks under way. mu guards the slots.
type taskState struct {
	call   sync.Map // *simulator.Context -> *call: what is about to make a task
	ctx    sync.Map // task -> *simulator.Context
	cancel sync.Map // task -> chan struct{}

	mu      sync.Mutex
	used    map[string]int // slots in use, by "host-12", "datastore-3", "all"
	waiting []*waiter
	placed  map[ref]int // clones under way, by host
}

func (s *taskState) init() { s.used, s.placed = map[string]int{}, map[ref]int{} }

// stop ends a task's wait.
func (s *taskState) stop(task ref) {
	if ch, ok := s.cancel.LoadAndDelete(task); ok {
		close(ch.(chan struct{}))
	}
}

// beforeCall sees each decoded call; it may refuse or change it.
func (l *lab) beforeCall(ctx *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if f := l.refused(ctx, m); f != nil {
		return nil, f
	}
	if m.Name == "RebootGuest" && ctx.Session != nil {
		go l.reboot(m.This)
	}
	if strings.HasSuffix(m.Name, "_Task") {
		fillCapacity(m)
		l.tasks.call.Store(ctx, &call{m, l.place(m)})
	}
	return nil, nil
}

// wrap puts the lab's queue, delay and faults around a task. While it waits
// nobody may hold the entity's lock, so the simulator is given a lock of its
// own and the entity is locked only for the work itself. Clones into one folder
// are made one after the other, of whatever template: a name is there once.
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
		made, outer := l.tasks.call.LoadAndDelete(ctx)
		alone := entity
		if outer {
			if req, ok := made.(*call).method.Body.(*types.CloneVM_Task); ok {
				alone = clonesInto(req.Folder)
			}
		} else if strings.HasPrefix(strings.ToLower(t.Info.Name), "clonevm") { // crowd.go has locked
			alone = ref{Type: "LabNothing", Value: uuid.NewString()}
		}
		run := func() (res types.AnyType, fault types.BaseMethodFault) {
			ctx.WithLock(alone, func() {
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
		if !outer { // a task inside a task; the lab's own
			return run()
		}
		cfg := l.config()
		defer l.forgetLater(t.Self, cfg)
		return l.runTask(ctx, t, made.(*call), cfg, run)
	}
}

// clonesInto is what clones into that folder lock.
func clonesInto(folder ref) ref { return ref{Type: "LabClones", Value: folder.Value} }

// forgetLater drops a task some time after its end, as vCenter does.
func (l *lab) forgetLater(task ref, cfg settings) {
	time.AfterFunc(time.Duration(cfg.TaskSeconds*float64(time.Second)), func() {
		l.reg.Remove(l.context(context.Background()), task)
	})
}

func (l *lab) runTask(ctx *simulator.Context, t *simulator.Task, made *call, cfg settings,
	run func() (types.AnyType, types.BaseMethodFault)) (types.AnyType, types.BaseMethodFault) {
	cancelled := make(chan struct{})
	l.tasks.cancel.Store(t.Self, cancelled)
	defer l.tasks.cancel.Delete(t.Self)

	m := made.method
	work, method := run, m.Name
	if req, ok := m.Body.(*types.CloneVM_Task); ok {
		c := &clone{lab: l, req: req}
		if c.linked() && cfg.TaskMS["CloneVM_Task.linked"] > 0 {
			method = "CloneVM_Task.linked"
		}
		if made.misfit != nil {
			return nil, made.misfit
		}
		done, ok := l.slot(ctx, t, cfg, &req.Spec.Location, cancelled)
		if !ok {
			return nil, &types.RequestCanceled{}
		}
		defer done()
		work = func() (types.AnyType, types.BaseMethodFault) { return c.work(ctx, cfg, run) }
	}
	ms, ok := cfg.TaskMS[method]
	if !ok {
		ms = cfg.TaskMS["*"]
	}
	before, after := l.traffic.taskRules(m)
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
	finish := l.aroundDisks(m)
	res, fault := work()
	finish(fault)
	if after != nil {
		return nil, after.fault
	}
	return res, fault
}

func spread(ms int, jitter float64) time.Duration {
	return time.Duration(float64(ms) * (1 + jitter*(2*rand.Float64()-1)) * float64(time.Millisecond))
}
