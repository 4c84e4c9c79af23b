// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"path"
	"sort"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// vms is the truth about the inventory, for assertions that shall not depend
// on the client under test.
func (l *lab) vms() []map[string]any {
	out := []map[string]any{}
	for _, vm := range l.machines() {
		l.lock(func(*simulator.Context) {
			if vm.Config != nil && vm.Runtime.Host != nil {
				out = append(out, l.facts(vm))
			}
		}, vm.Self)
	}
	sort.Slice(out, func(i, j int) bool { return out[i]["name"].(string) < out[j]["name"].(string) })
	return out
}

func (l *lab) facts(vm *simulator.VirtualMachine) map[string]any {
	known := extra(&vm.VirtualMachine)
	delete(known, "govcsim")
	m := map[string]any{"name": vm.Name, "moref": vm.Self.Value, "uuid": vm.Config.Uuid,
		"instance_uuid": vm.Config.InstanceUuid, "template": vm.Config.Template,
		"power": vm.Runtime.PowerState, "host": l.name(vm.Runtime.Host), "pool": l.name(vm.ResourcePool),
		"folder": l.name(vm.Parent), "ip": vm.Guest.IpAddress, "tools": vm.Guest.ToolsRunningStatus,
		"cpus": vm.Config.Hardware.NumCPU, "memory_mb": vm.Config.Hardware.MemoryMB,
		"annotation": vm.Config.Annotation, "seed": l.seeded[vm.Self], "extra_config": known, "cloud_init": readCloudInit(known)}
	if host, ok := l.reg.Get(*vm.Runtime.Host).(*simulator.HostSystem); ok {
		m["cluster"] = l.name(host.Parent)
	}
	stores := []string{}
	for i := range vm.Datastore {
		stores = append(stores, l.name(&vm.Datastore[i]))
	}
	m["datastores"] = stores
	found := []map[string]any{}
	for _, d := range disks(vm) {
		disk := map[string]any{"gib": d.CapacityInKB >> 20, "linked": false, "first_class": ""}
		if b, ok := d.Backing.(*types.VirtualDiskFlatVer2BackingInfo); ok {
			disk["file"], disk["mode"], disk["linked"] = b.FileName, b.DiskMode, b.Parent != nil
		}
		if d.VDiskId != nil {
			disk["first_class"] = d.VDiskId.Id
		}
		found = append(found, disk)
	}
	m["disks"] = found
	networks := []string{}
	for _, card := range l.cardInfo(&vm.VirtualMachine) {
		networks = append(networks, card.Network)
	}
	m["networks"] = networks
	return m
}

// each calls f for the VMs whose name is like the pattern; there must be one.
func (l *lab) each(pattern string, f func(*simulator.VirtualMachine) error) (err error) {
	hit := false
	for _, vm := range l.machines() {
		if ok, _ := path.Match(pattern, vm.Name); ok {
			hit = true
			if e := f(vm); e != nil {
				err = fmt.Errorf("%s: %w", vm.Name, e)
			}
		}
	}
	if !hit {
		return fmt.Errorf("no such VM: %s", pattern)
	}
	return err
}

// change sets a VM's properties behind the client's back: {"power":"off"}, or guest
// properties such as {"guestHeartbeatStatus":"red", "guest.ipAddress":""}.
func (l *lab) change(vm *simulator.VirtualMachine, set map[string]any) (err error) {
	l.lock(func(ctx *simulator.Context) {
		defer func() {
			if p := recover(); p != nil { // unknown path, wrong type
				err = fmt.Errorf("%v", p)
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
	return err
}

// destroy takes a VM away, also one of the seed, also one that runs.
func (l *lab) destroy(vm *simulator.VirtualMachine) error {
	var task ref
	l.lock(func(c *simulator.Context) {
		task = vm.PowerOffVMTask(c, &types.PowerOffVM_Task{This: vm.Self}).(*methods.PowerOffVM_TaskBody).Res.Returnval
	}, vm.Self)
	l.ended(task)
	l.lock(func(c *simulator.Context) {
		task = vm.DestroyTask(c, &types.Destroy_Task{This: vm.Self}).(*methods.Destroy_TaskBody).Res.Returnval
	}, vm.Self)
	defer l.leavePools(vm.Self)
	return l.ended(task)
}

// ended waits for a task of the lab's own.
func (l *lab) ended(task ref) error {
	t, ok := l.reg.Get(task).(*simulator.Task)
	if !ok {
		return nil
	}
	t.Wait()
	l.reg.Remove(l.context(context.Background()), task)
	if t.Info.Error != nil {
		return fmt.Errorf("%T", t.Info.Error.Fault)
	}
	return nil
}

// destroyAll removes all VMs that were not seeded.
func (l *lab) destroyAll() int {
	var group sync.WaitGroup
	turns, n := make(chan struct{}, 8), 0
	for _, vm := range l.machines() {
		if l.seeded[vm.Self] {
			continue
		}
		n++
		group.Add(1)
		go func() {
			defer group.Done()
			turns <- struct{}{}
			_ = l.destroy(vm)
			<-turns
		}()
	}
	group.Wait()
	return n
}
