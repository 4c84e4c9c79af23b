// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// space is how much room the datastores have that a test has given a limit.
// A full clone needs the capacity of its disks, a linked one nothing.
type space struct {
	mu    sync.Mutex
	free  map[ref]int64 // datastore -> bytes; those without a limit are not here
	taken map[ref]room  // VM -> what it holds
	was   map[ref]int64 // freeSpace before the limit
}

type room struct {
	datastore ref
	bytes     int64
}

func (s *space) init() {
	s.free, s.taken, s.was = map[ref]int64{}, map[ref]room{}, map[ref]int64{}
}

// limit sets the free space of the datastore; nil lifts the limit.
func (s *space) limit(l *lab, ds *simulator.Datastore, bytes *int64) {
	s.mu.Lock()
	if _, ok := s.was[ds.Self]; !ok {
		s.was[ds.Self] = ds.Summary.FreeSpace
	}
	shown := s.was[ds.Self]
	if bytes == nil {
		delete(s.free, ds.Self)
	} else {
		s.free[ds.Self], shown = *bytes, *bytes
	}
	s.mu.Unlock()
	l.showFree(ds.Self, shown)
}

func (s *space) reset(l *lab) {
	s.mu.Lock()
	was := s.was
	s.init()
	s.mu.Unlock()
	for r, bytes := range was {
		l.showFree(r, bytes)
	}
}

// take reserves what the clone needs, or says that the datastore is full.
func (s *space) take(c *clone) (room, types.BaseMethodFault) {
	ds := c.req.Spec.Location.Datastore
	src := c.source()
	if src == nil || c.linked() {
		return room{}, nil
	}
	if ds == nil && len(src.Datastore) > 0 {
		ds = &src.Datastore[0]
	}
	var need int64
	for _, d := range disks(src) {
		need += d.CapacityInKB << 10
	}
	s.mu.Lock()
	free, limited := s.free[*ds]
	if limited && free >= need {
		s.free[*ds] -= need
	}
	s.mu.Unlock()
	if !limited {
		return room{}, nil
	}
	if free < need {
		name := c.name(ds)
		return room{}, &types.NoDiskSpace{
			FileFault: types.FileFault{File: fmt.Sprintf("[%s] %s/%s.vmdk", name, c.req.Name, c.req.Name)}, Datastore: name}
	}
	c.showFree(*ds, free-need)
	return room{*ds, need}, nil
}

func (s *space) keep(vm ref, r room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.bytes > 0 {
		s.taken[vm] = r
	}
}

// giveBack is for a VM that is gone, under its lock.
func (s *space) giveBack(l *lab, vm ref) {
	s.mu.Lock()
	r, ok := s.taken[vm]
	delete(s.taken, vm)
	s.mu.Unlock()
	if ok {
		go s.release(l, r)
	}
}

func (s *space) release(l *lab, r room) {
	s.mu.Lock()
	free, limited := s.free[r.datastore]
	if limited {
		free += r.bytes
		s.free[r.datastore] = free
	}
	s.mu.Unlock()
	if limited {
		l.showFree(r.datastore, free)
	}
}

func (l *lab) showFree(r ref, bytes int64) {
	if ds, ok := l.reg.Get(r).(*simulator.Datastore); ok {
		l.reg.AtomicUpdate(l.context(context.Background()), ds, []types.PropertyChange{
			{Name: "summary.freeSpace", Val: bytes}, {Name: "info.freeSpace", Val: bytes}})
	}
}
