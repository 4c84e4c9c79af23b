// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// machine is a VM that the lab itself makes, quicker than any client: no delay, no slot, no rule.
type machine struct {
	Name         string            `json:"name"`
	Source       string            `json:"source"`  // a template's or VM's name
	Cluster      string            `json:"cluster"` // its pool fleet
	Folder       string            `json:"folder"`
	Datastore    string            `json:"datastore"`
	Annotation   string            `json:"annotation"`
	InstanceUUID string            `json:"instance_uuid"`
	ExtraConfig  map[string]string `json:"extra_config"`
	Off          bool              `json:"off"`
}

// make makes all of them, eight at a time.
func (l *lab) make(machines []machine) error {
	var group sync.WaitGroup
	turns, failed := make(chan struct{}, 8), make(chan error, len(machines))
	for _, m := range machines {
		group.Add(1)
		turns <- struct{}{}
		go func() {
			defer group.Done()
			if err := l.makeOne(m); err != nil {
				failed <- fmt.Errorf("%s: %w", m.Name, err)
			}
			<-turns
		}()
	}
	group.Wait()
	close(failed)
	return <-failed
}

func (l *lab) makeOne(m machine) error {
	source, err := l.find("VirtualMachine", m.Source)
	if err != nil {
		return err
	}
	vm := l.reg.Get(source).(*simulator.VirtualMachine)
	config := &types.VirtualMachineConfigSpec{Annotation: m.Annotation, InstanceUuid: m.InstanceUUID}
	for key, value := range m.ExtraConfig {
		config.ExtraConfig = append(config.ExtraConfig, &types.OptionValue{Key: key, Value: value})
	}
	req := &types.CloneVM_Task{This: source, Name: m.Name, Spec: types.VirtualMachineCloneSpec{Config: config, PowerOn: !m.Off}}
	if req.Folder, err = l.find("Folder", m.Folder); err != nil {
		return err
	}
	datastore, err := l.find("Datastore", m.Datastore)
	if err != nil {
		return err
	}
	pool, err := l.pool(m.Cluster)
	if err != nil {
		return err
	}
	req.Spec.Location.Datastore, req.Spec.Location.Pool = &datastore, &pool
	if f := l.place(&simulator.Method{Body: req}); f != nil {
		return fmt.Errorf("%T", f)
	}
	defer l.placedBack(req.Spec.Location.Host)
	c := &clone{lab: l, req: req}
	ctx := l.context(context.Background())
	_, fault := c.work(ctx, l.config(), func() (result types.AnyType, fault types.BaseMethodFault) {
		l.lock(func(*simulator.Context) {
			var task ref
			l.lock(func(ctx *simulator.Context) {
				task = vm.CloneVMTask(ctx, req).(*methods.CloneVM_TaskBody).Res.Returnval
			}, source)
			t := l.reg.Get(task).(*simulator.Task)
			if err = l.ended(task); err != nil {
				fault = t.Info.Error.Fault
				return
			}
			result = t.Info.Result
		}, clonesInto(req.Folder))
		return
	})
	if err == nil && fault != nil {
		err = fmt.Errorf("%T", fault)
	}
	return err
}

func (l *lab) placedBack(host *ref) {
	l.tasks.mu.Lock()
	defer l.tasks.mu.Unlock()
	if host != nil {
		l.tasks.placed[*host]--
	}
}

// find an inventory object of that type by name.
func (l *lab) find(kind, name string) (ref, error) {
	for _, e := range l.reg.All(kind) {
		if r := e.Reference(); l.named(r, name) {
			return r, nil
		}
	}
	return ref{}, fmt.Errorf("no such %s: %q", kind, name)
}

// pool fleet of the cluster.
func (l *lab) pool(cluster string) (ref, error) {
	owner, err := l.find("ClusterComputeResource", cluster)
	if err != nil {
		return ref{}, err
	}
	for _, e := range l.reg.All("ResourcePool") {
		if p, ok := e.(*simulator.ResourcePool); ok && p.Owner == owner && p.Name == "fleet" {
			return p.Self, nil
		}
	}
	return ref{}, fmt.Errorf("no pool fleet in %s", cluster)
}
