// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// space is how much room the datastores have that a test has given a limit. The
// simulator counts disks in summary.freeSpace and never refuses one. A linked
// clone is let in, though the simulator counts it in full. mu guards all of it.
type space struct {
	mu      sync.Mutex
	hidden  map[ref]int64 // datastore -> what the limit took from its free space
	pending map[ref]int64 // datastore -> bytes of clones under way
}

func (s *space) init() { s.hidden, s.pending = map[ref]int64{}, map[ref]int64{} }

// limit sets the free space of the datastore; nil lifts the limit.
func (s *space) limit(l *lab, datastore ref, bytes *int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.lock(func(ctx *simulator.Context) {
		ds, ok := l.reg.Get(datastore).(*simulator.Datastore)
		if !ok {
			return
		}
		free := ds.Summary.FreeSpace + s.hidden[datastore]
		delete(s.hidden, datastore)
		if bytes != nil {
			s.hidden[datastore] = free - *bytes
			free = *bytes
		}
		ds.Info.GetDatastoreInfo().FreeSpace = free
		ctx.Update(ds, []types.PropertyChange{{Name: "summary.freeSpace", Val: free}})
	}, datastore)
}

func (s *space) reset(l *lab) {
	for _, e := range l.reg.All("Datastore") {
		s.limit(l, e.Reference(), nil)
	}
}

// take reserves what the clone needs until done is called, or says that the datastore is full.
func (s *space) take(c *clone) (done func(), fault types.BaseMethodFault) {
	at, src := c.req.Spec.Location.Datastore, c.source()
	if at == nil || src == nil || c.linked() {
		return func() {}, nil
	}
	var need int64
	for _, d := range disks(src) {
		need += d.CapacityInKB << 10
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ds, ok := c.reg.Get(*at).(*simulator.Datastore)
	if _, limited := s.hidden[*at]; !limited || !ok {
		return func() {}, nil
	}
	if ds.Summary.FreeSpace-s.pending[*at] < need {
		return nil, &types.NoDiskSpace{Datastore: ds.Name,
			FileFault: types.FileFault{File: fmt.Sprintf("[%s] %s/%s.vmdk", ds.Name, c.req.Name, c.req.Name)}}
	}
	s.pending[*at] += need
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pending[*at] -= need
	}, nil
}
