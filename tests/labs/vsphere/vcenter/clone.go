// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// place picks a host of the pool's cluster, as DRS does: the simulator would
// leave the clone on its template's host. It has to be known before the call;
// that none fits is told by the task.
func (l *lab) place(m *simulator.Method) types.BaseMethodFault {
	req, ok := m.Body.(*types.CloneVM_Task)
	if !ok {
		return nil
	}
	loc := &req.Spec.Location
	l.tasks.mu.Lock()
	defer l.tasks.mu.Unlock()
	if loc.Host == nil && loc.Pool != nil {
		var fault types.BaseMethodFault
		if loc.Host, fault = l.choose(*loc.Pool, loc.Datastore); fault != nil {
			return fault
		}
	} else if loc.Host != nil {
		if h, ok := l.reg.Get(*loc.Host).(*simulator.HostSystem); ok && !usable(h) {
			return &types.InvalidHostState{InvalidState: types.InvalidState{}, Host: loc.Host}
		}
	}
	if loc.Host != nil {
		l.tasks.placed[*loc.Host]++
	}
	return nil
}

// choose returns the host with the fewest VMs that is in service and has the datastore.
func (l *lab) choose(pool ref, datastore *ref) (*ref, types.BaseMethodFault) {
	for pool.Type == "ResourcePool" {
		p, ok := l.reg.Get(pool).(*simulator.ResourcePool)
		if !ok {
			return nil, &types.ManagedObjectNotFound{Obj: pool}
		}
		pool = *p.Parent
	}
	cluster, ok := l.reg.Get(pool).(*simulator.ClusterComputeResource)
	if !ok {
		return nil, nil
	}
	var best *ref
	load := 1 << 30
	for _, h := range slices.Clone(cluster.Host) {
		host, ok := l.reg.Get(h).(*simulator.HostSystem)
		if !ok || !usable(host) || datastore != nil && !slices.Contains(host.Datastore, *datastore) {
			continue
		}
		if n := len(host.Vm) + l.tasks.placed[h]; n < load {
			load, best = n, &h
		}
	}
	if best == nil {
		return nil, &types.NoCompatibleHost{}
	}
	return best, nil
}

func usable(h *simulator.HostSystem) bool {
	return !h.Runtime.InMaintenanceMode && h.Runtime.ConnectionState == types.HostSystemConnectionStateConnected
}

// clone is one CloneVM_Task: what vCenter does and the simulator leaves out.
type clone struct {
	*lab
	req *types.CloneVM_Task
}

func (c *clone) linked() bool {
	return c.req.Spec.Location.DiskMoveType == string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking)
}

// work makes the VM. run is the simulator's part.
func (c *clone) work(ctx *simulator.Context, cfg settings, run func() (types.AnyType, types.BaseMethodFault)) (types.AnyType, types.BaseMethodFault) {
	c.inherit()
	if f := c.snapshot(); f != nil {
		return nil, f
	}
	if f := c.uniqueUUID(cfg); f != nil {
		return nil, f
	}
	if f := c.shrunk(); f != nil {
		return nil, f
	}
	done, f := c.space.take(c)
	if f != nil {
		return nil, f
	}
	res, fault := run()
	done()
	if made, ok := res.(ref); ok {
		c.finish(ctx, made)
	}
	return res, fault
}

func (c *clone) source() *simulator.VirtualMachine {
	vm, _ := c.reg.Get(c.req.This).(*simulator.VirtualMachine)
	return vm
}

// inherit gives the clone its source's extraConfig.
func (c *clone) inherit() {
	src := c.source()
	if src == nil {
		return
	}
	if c.req.Spec.Config == nil {
		c.req.Spec.Config = &types.VirtualMachineConfigSpec{}
	}
	config := c.req.Spec.Config
	given := map[string]bool{"govcsim": true}
	for _, o := range config.ExtraConfig {
		given[o.GetOptionValue().Key] = true
	}
	c.lock(func(*simulator.Context) {
		for _, o := range src.Config.ExtraConfig {
			if v := *o.GetOptionValue(); !given[v.Key] {
				config.ExtraConfig = append(config.ExtraConfig, &v)
			}
		}
	}, src.Self)
}

// snapshot refuses one that is gone, or of another VM.
func (c *clone) snapshot() types.BaseMethodFault {
	s := c.req.Spec.Snapshot
	if s == nil {
		return nil
	}
	found, ok := c.reg.Get(*s).(*simulator.VirtualMachineSnapshot)
	if !ok {
		return &types.ManagedObjectNotFound{Obj: *s}
	}
	if found.Vm != c.req.This {
		return &types.InvalidArgument{InvalidProperty: "spec.snapshot"}
	}
	return nil
}

// shrunk refuses a disk that is to be smaller than its source: the simulator's
// clone ignores it, as all that is wrong with devices.
func (c *clone) shrunk() types.BaseMethodFault {
	src, config := c.source(), c.req.Spec.Config
	if src == nil || config == nil {
		return nil
	}
	for i, change := range config.DeviceChange {
		spec := change.GetVirtualDeviceConfigSpec()
		disk, ok := spec.Device.(*types.VirtualDisk)
		if !ok || spec.Operation != types.VirtualDeviceConfigSpecOperationEdit {
			continue
		}
		for _, d := range disks(src) {
			if d.Key == disk.Key && disk.CapacityInKB < d.CapacityInKB {
				return &types.InvalidDeviceSpec{DeviceIndex: int32(i),
					InvalidVmConfig: types.InvalidVmConfig{Property: "capacityInKB"}}
			}
		}
	}
	return nil
}

// uniqueUUID gives the newcomer uuids of its own where none are asked for (the simulator
// makes them of its path: a VM with an old name would be the old VM), and another
// instanceUuid when its own is in use.
func (c *clone) uniqueUUID(cfg settings) types.BaseMethodFault {
	config := c.req.Spec.Config
	if config == nil {
		return nil
	}
	if config.Uuid == "" {
		config.Uuid = uuid.NewString()
	}
	if config.InstanceUuid == "" {
		config.InstanceUuid = uuid.NewString()
		return nil
	}
	if cfg.DuplicateUUID == "allow" {
		return nil
	}
	config.InstanceUuid = strings.ToLower(config.InstanceUuid)
	yes := true
	found := c.reg.SearchIndex().FindByUuid(c.context(context.Background()),
		&types.FindByUuid{Uuid: config.InstanceUuid, VmSearch: true, InstanceUuid: &yes})
	if r := found.(*methods.FindByUuidBody).Res; r == nil || r.Returnval == nil {
		return nil
	}
	if cfg.DuplicateUUID == "fault" {
		return &types.InvalidArgument{InvalidProperty: "spec.config.instanceUuid"}
	}
	config.InstanceUuid = uuid.NewString()
	return nil
}

// finish adds annotation, new MAC addresses and the parent disks of a linked clone.
func (c *clone) finish(ctx *simulator.Context, made ref) {
	vm, ok := c.reg.Get(made).(*simulator.VirtualMachine)
	src := c.source()
	if !ok || src == nil {
		return
	}
	ctx.WithLock(vm, func() {
		note := src.Config.Annotation
		if config := c.req.Spec.Config; config != nil && config.Annotation != "" {
			note = config.Annotation
		}
		if note != "" {
			ctx.Update(vm, []types.PropertyChange{{Name: "config.annotation", Val: note}, {Name: "summary.config.annotation", Val: note}})
		}
		macs := map[string]bool{}
		for _, card := range cards(src) {
			macs[card.MacAddress] = true
		}
		for _, card := range cards(vm) {
			if macs[card.MacAddress] {
				id := uuid.New()
				card.MacAddress = fmt.Sprintf("00:50:56:%02x:%02x:%02x", id[0]&0x3f, id[1], id[2])
			}
		}
		if c.linked() {
			own := disks(vm)
			for i, parent := range disks(src) {
				if i < len(own) {
					setParent(own[i], parent)
				}
			}
		}
	})
}

func setParent(disk, parent *types.VirtualDisk) {
	own, ok1 := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	theirs, ok2 := parent.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	if ok1 && ok2 {
		above := *theirs
		own.Parent = &above
	}
}

func cards(vm *simulator.VirtualMachine) []*types.VirtualEthernetCard {
	var out []*types.VirtualEthernetCard
	for _, d := range object.VirtualDeviceList(vm.Config.Hardware.Device).SelectByType((*types.VirtualEthernetCard)(nil)) {
		out = append(out, d.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard())
	}
	return out
}

func disks(vm *simulator.VirtualMachine) []*types.VirtualDisk {
	var out []*types.VirtualDisk
	for _, d := range vm.Config.Hardware.Device {
		if disk, ok := d.(*types.VirtualDisk); ok {
			out = append(out, disk)
		}
	}
	return out
}
