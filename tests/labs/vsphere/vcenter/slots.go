// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// waiter is a clone that queues for its host, its datastore and the vCenter.
type waiter struct {
	keys  []string
	ready chan struct{}
}

// fits says whether all that the waiter needs takes one more clone.
func (s *taskState) fits(cfg settings, w *waiter) bool {
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

func (s *taskState) take(w *waiter) {
	for _, k := range w.keys {
		s.used[k]++
	}
	close(w.ready)
}

// leave gives back what the waiter had, and lets the next ones in.
func (s *taskState) leave(cfg settings, w *waiter, host ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.placed[host]--
	if !slices.Contains(s.waiting, w) {
		for _, k := range w.keys {
			s.used[k]--
		}
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(o *waiter) bool {
		if o == w || !s.fits(cfg, o) {
			return o == w
		}
		s.take(o)
		return true
	})
}

// slot waits, in state queued, until host, datastore and vCenter take one more
// clone. The answer gives the slot back; false: the task was cancelled.
func (l *lab) slot(ctx *simulator.Context, t *simulator.Task, cfg settings, loc *types.VirtualMachineRelocateSpec,
	cancelled chan struct{}) (func(), bool) {
	s := &l.tasks
	w := &waiter{keys: []string{"all"}, ready: make(chan struct{})}
	host := ref{}
	if loc.Host != nil {
		host = *loc.Host
		w.keys = append(w.keys, host.Value)
	}
	if loc.Datastore != nil {
		w.keys = append(w.keys, loc.Datastore.Value)
	}
	s.mu.Lock()
	if s.fits(cfg, w) {
		s.take(w)
	} else {
		s.waiting = append(s.waiting, w)
	}
	s.mu.Unlock()

	done := func() { s.leave(l.config(), w, host) }
	state := func(state types.TaskInfoState) {
		ctx.Map.AtomicUpdate(ctx, t, []types.PropertyChange{{Name: "info.state", Val: state}})
	}
	select {
	case <-w.ready:
		return done, true
	default:
	}
	state(types.TaskInfoStateQueued)
	select {
	case <-w.ready:
		now := time.Now()
		ctx.WithLock(t, func() { t.Info.StartTime = &now }) // the time in the queue is none of the work's
		state(types.TaskInfoStateRunning)
		return done, true
	case <-cancelled:
		done()
		return nil, false
	}
}
